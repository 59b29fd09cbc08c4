"""Endpoints of instance_type "local": containers of this machine, for as long as this process or until they are deleted."""

import atexit
import io
import os
import tempfile
from pathlib import Path
from typing import Any

from ..containers.engine import connect
from ..containers.serving import Serving
from ..errors import UsageError

_SERVING: dict[str, Serving] = {}


def is_here(name: str) -> bool:
    """Whether an endpoint of this name runs here."""
    return name in _SERVING


def start(name: str, image: str, archive: Path | None, environment: dict[str, str]) -> None:
    """Start an endpoint, and wait until it answers.

    name: of it. image: what it runs as `IMAGE serve`. archive: its model.tar.gz, if it has one. environment: of the container.

    Raises UsageError if there is one of this name, ServingError with the container's last lines if it does not answer, ModelArchiveError,
    ImageError, EngineError.
    """
    if name in _SERVING:
        raise UsageError(
            f"there is an endpoint {name} on this machine already", "Give it another endpoint_name, or delete that one."
        )
    folder = Path(tempfile.mkdtemp(prefix="simferry-endpoint-")) / "ml"
    serving = Serving(connect(), image, folder, f"local-{os.getpid()}", name, model=archive, environment=environment)
    try:
        serving.start()
        serving.wait_ready()
    except BaseException:
        serving.discard()
        folder.parent.rmdir()
        raise
    if not _SERVING:
        atexit.register(stop_all)
    _SERVING[name] = serving


def invoke(name: str, body: bytes, content_type: str, accept: str, attributes: str = "") -> dict[str, Any]:
    """The answer of InvokeEndpoint. name: of an endpoint here. The others: of the request. Raises UsageError, ServingError."""
    answer = _SERVING[name].invoke(body, content_type, accept, attributes)
    if answer.status >= 400:
        said = answer.body.decode(errors="replace")[:500]
        raise UsageError(f"endpoint {name} answers {answer.status}: {said}", "It got the data, and could not use them.")
    return {"Body": io.BytesIO(answer.body), "ContentType": answer.content_type}


def stop(name: str) -> None:
    """End an endpoint. name: of it."""
    serving = _SERVING.pop(name)
    serving.stop()
    serving.folder.parent.rmdir()


def stop_all() -> None:
    """End all of them, at the end of this process."""
    for name in list(_SERVING):
        stop(name)
