"""One container under SageMaker's hosting contract, on this machine: `image serve`, /ping, /invocations, SIGTERM.

The model lies unpacked in /opt/ml/model. Port 8080, or the one that SAGEMAKER_BIND_TO_PORT names, is published on 127.0.0.1. What the
container answers is not trusted: it has a limit of bytes and of time.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from secrets import token_hex
from typing import Any

from ..aws.instances import Instance
from ..errors import SimferryError, UsageError
from ..hints import Option, Text
from .engine import EngineError, ImageError, driver_label, find_image
from .http_lines import ATTRIBUTES as ATTRIBUTES
from .http_lines import Answer as Answer
from .http_lines import Lines, reason
from .limits import limits
from .model_archive import unpack
from .removal import OWNER, leftovers, remove_folder

MODEL = "/opt/ml/model"
PORT, BIND = 8080, "SAGEMAKER_BIND_TO_PORT"
MOST_BYTES = 6_291_456  # of a body, in both directions
INVOKE_SECONDS = 60.0
PING_SECONDS = 2.0
START_SECONDS = 480.0  # from the start to the first 200 of /ping
GRACE_SECONDS = 30.0  # from SIGTERM to SIGKILL
_SERVING = "simferry.serving"  # label: tells containers of one owner apart
_KILL_SECONDS = 5.0  # from SIGKILL to the end
_NOTICED_SECONDS = 0.3  # after a lost connection, for the engine to say that the container has ended
_LAST_LINES, _LONGEST_LINE = 20, 1 << 16


class ServingError(SimferryError):
    """A container does not start, or does not answer as the hosting contract has it."""

    code = "serving"


class ServingTimeout(ServingError):
    """A container did not answer a request in its time."""


@dataclass(frozen=True)
class Ended:
    """How a container ended. killed: it did not heed SIGTERM. seconds: from SIGTERM to its end."""

    exit_code: int
    out_of_memory: bool
    killed: bool = False
    seconds: float = 0.0

    def __str__(self) -> str:
        memory = ", out of memory" if self.out_of_memory else ""
        return f"exit code {self.exit_code}{memory}"


def batch_environment(payload_mb: int, strategy: str, transforms: int) -> dict[str, str]:
    """The environment that batch transform adds. payload_mb: of a request. strategy: MultiRecord or SingleRecord. transforms: requests
    at once."""
    return {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(payload_mb),
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD" if strategy == "MultiRecord" else "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(transforms),
    }


class Serving:
    """A container that serves a model. It may be asked by many threads at once, which share its connections.

    client: a Docker client. image: the engine's name of an image. folder: an empty folder of its own. owner: the value of the label
    OWNER. name: begins the container's name. model: a tar.gz, if it has one. kind: its cores and memory; without it, all of this
    machine's. port: of 127.0.0.1, 0 for any. isolated: without a way to the network. most_bytes: of a body, in both directions.
    """

    def __init__(
        self,
        client: Any,
        image: str,
        folder: Path,
        owner: str,
        name: str = "simferry-serve",
        *,
        model: Path | None = None,
        environment: Mapping[str, str] | None = None,
        kind: Instance | None = None,
        port: int = 0,
        isolated: bool = False,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.client, self.image, self.folder, self.model, self.kind = client, image, folder, model, kind
        self.environment = dict(environment or {})
        self.port, self.isolated, self.most_bytes = port, isolated, most_bytes
        self.inner_port = _inner_port(self.environment)
        self.token = token_hex(4)
        self.name, self.labels = f"{name}-{self.token}", {OWNER: owner, _SERVING: self.token, **driver_label()}
        self.container: Any = None
        self.network: Any = None
        self.ready_seconds = self.ping_seconds = 0.0  # from the start to the first 200 of /ping, and what that took
        self.ended = threading.Event()
        self.end: Ended | None = None
        self._lines = Lines(("127.0.0.1", port), most_bytes)
        self._kept_lines: list[str] | None = None
        self._started = 0.0

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{self.url} serves {self.image}>"

    @property
    def address(self) -> tuple[str, int]:
        """Where it is asked: host and port."""
        return self._lines.address

    @property
    def url(self) -> str:
        return f"http://{'localhost' if self.address[0] == '127.0.0.1' else self.address[0]}:{self.address[1]}"

    # ---- start ----

    def start(self) -> None:
        """Unpack the model, and start the container. After an error nothing is left.

        Raises ModelArchiveError for a bad archive, UsageError if the port is in use, ImageError if the image is not there or has no
        `serve`, and EngineError.
        """
        import docker.errors

        self._started = time.monotonic()
        find_image(self.client, self.image)
        _check_free(self.port)
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            model = self.folder / "model"
            model.mkdir()
            model.chmod(0o777)
            if self.model:
                unpack(self.model, model)
            self._create(model)
            self.container.start()
            self.container.reload()
        except docker.errors.APIError as error:
            self.discard()
            raise self._why_not(str(error.explanation or error)) from None
        except BaseException:
            self.discard()
            raise
        threading.Thread(target=self._await_end, daemon=True).start()
        networks = self.container.attrs["NetworkSettings"]
        if self.network:  # no port of it is published; this machine reaches it
            self._lines.address = (networks["Networks"][self.network.name]["IPAddress"], self.inner_port)
        elif published := (networks.get("Ports") or {}).get(f"{self.inner_port}/tcp"):  # none: it has ended
            self._lines.address = ("127.0.0.1", int(published[0]["HostPort"]))

    def _create(self, model: Path) -> None:
        options: dict[str, Any] = {"ports": {f"{self.inner_port}/tcp": ("127.0.0.1", self.port or None)}}
        if self.isolated:
            self.network = self.client.networks.create(self.name, driver="bridge", labels=self.labels, internal=True)
            options = {"network": self.network.name}
        self.container = self.client.containers.create(
            self.image,
            command=["serve"],
            environment=self.environment,
            name=self.name,
            volumes={str(model): {"bind": MODEL, "mode": "rw"}},
            labels=self.labels,
            **(limits(self.kind) if self.kind else {}),
            **options,
        )

    def _why_not(self, text: str) -> SimferryError:
        if "executable file not found" in text or "no such file or directory" in text:
            return ImageError(
                f"image {self.image} has no program `serve`: {text}",
                "The hosting contract starts an image as `docker run IMAGE serve`: its entry point has to know that word.",
            )
        if "already allocated" in text or "address already in use" in text:
            return _in_use(self.port)
        return EngineError(f"image {self.image} can't be started: {text}")

    def _await_end(self) -> None:
        with contextlib.suppress(Exception):  # an engine that restarts, or a container that was removed
            self.client.api.wait(self.container.id, timeout=None)
        state: dict[str, Any] = {}
        with contextlib.suppress(Exception):
            self.container.reload()
            state = self.container.attrs["State"]
        self.end = Ended(state.get("ExitCode", 137), bool(state.get("OOMKilled")))
        self.ended.set()

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until /ping answers 200. seconds: the limit of the start.

        Raises ServingError with the container's last lines if it does not, or if the container ends before.
        """
        until, wait, said = time.monotonic() + seconds, 0.02, f"nothing answers at port {self.inner_port}"
        while not self.ended.is_set():
            left = until - time.monotonic()
            if left <= 0:
                raise ServingError(
                    f"/ping of {self.image} did not answer 200 within {seconds:g} s: {said}", self._last_words()
                )
            try:
                asked = time.monotonic()
                answer = self.ping(min(PING_SECONDS, left))
                if answer.status == 200:
                    self.ready_seconds = time.monotonic() - self._started
                    self.ping_seconds = time.monotonic() - asked
                    return
                said = f"it answers {answer.status}"
            except ServingTimeout:
                said = said if left < PING_SECONDS else f"it gives no answer in {PING_SECONDS:g} s"
            except ServingError:
                pass
            self.ended.wait(wait)
            wait = min(1.5 * wait, 0.5)
        raise ServingError(f"{self.image} ended before /ping answered 200: {self.end}", self._last_words())

    def _last_words(self) -> str:
        lines = self.lines(_LAST_LINES)
        return "\n".join(["The container's last lines:", *lines]) if lines else "The container has printed nothing."

    # ---- requests ----

    def ping(self, seconds: float = PING_SECONDS) -> Answer:
        """GET /ping. Raises ServingTimeout or ServingError if there is no answer."""
        return self._exchange("GET", "/ping", None, {}, seconds)

    def execution_parameters(self) -> Answer:
        """GET /execution-parameters, which a container need not have: it answers 404 then. Raises ServingTimeout or ServingError."""
        return self._exchange("GET", "/execution-parameters", None, {}, PING_SECONDS)

    def invoke(
        self,
        body: bytes,
        content_type: str = "",
        accept: str = "",
        attributes: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float = INVOKE_SECONDS,
    ) -> Answer:
        """POST /invocations. Any status is an answer.

        body, content_type, accept, attributes: of the request; attributes are SageMaker's custom ones. headers: more of them. seconds:
        the limit of the answer. Raises UsageError for a body that is too large or a header that is none, ServingTimeout if there is no
        answer in time, ServingError if the connection is lost or the answer is too large.
        """
        if len(body) > self.most_bytes:
            raise UsageError(
                f"the body has {len(body):,} bytes; /invocations takes {self.most_bytes:,}",
                "Several requests take more, or a batch transform.",
            )
        named = {"Content-Type": content_type, "Accept": accept, ATTRIBUTES: attributes}
        given = {**(headers or {}), **{name: value for name, value in named.items() if value}}
        return self._exchange("POST", "/invocations", body, given, seconds)

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> Answer:
        try:
            return self._lines.exchange(method, path, body, headers, seconds)
        except TimeoutError:
            raise ServingTimeout(f"{path} of {self.image} gave no answer within {seconds:g} s") from None
        except ValueError as error:
            raise UsageError(f"a header of the request is none: {error}") from None
        except (OSError, HTTPException) as error:
            has_ended = self.ended.wait(_NOTICED_SECONDS if body is not None else 0)
            ended = f"; the container has ended, {self.end}" if has_ended else ""
            raise ServingError(f"{path} of {self.image} gave no answer: {reason(error)}{ended}") from None

    # ---- log ----

    def lines(self, last: int = 1000) -> list[str]:
        """The last lines that the container has printed."""
        if self._kept_lines is not None:
            return self._kept_lines[-last:]
        with contextlib.suppress(Exception):
            printed: bytes = self.container.logs(tail=last)
            return printed.decode(errors="replace").splitlines()
        return []

    def follow(self) -> Iterator[str]:
        """The lines that the container prints, until it has ended."""
        pending = b""
        with contextlib.suppress(Exception):  # the container was removed
            for piece in self.container.logs(stream=True, follow=True):
                *whole, pending = (pending + piece).split(b"\n")
                if len(pending) > _LONGEST_LINE:
                    whole, pending = [*whole, pending], b""
                yield from (line.decode(errors="replace") for line in whole)
        if pending:
            yield pending.decode(errors="replace")

    # ---- end ----

    def stop(self, seconds: float = GRACE_SECONDS) -> Ended:
        """End the container: SIGTERM, then SIGKILL after so many seconds. It is removed then; `lines` are kept."""
        began, killed = time.monotonic(), False
        try:
            if not self.ended.is_set():
                self._signal("SIGTERM")
                if not self.ended.wait(seconds):
                    killed = True
                    self._signal("SIGKILL")
                    self.ended.wait(_KILL_SECONDS)
            took = time.monotonic() - began
            self._kept_lines = self.lines()
        finally:
            self.discard()
        end = self.end or Ended(137, False)
        return Ended(end.exit_code, end.out_of_memory, killed, took)

    def _signal(self, name: str) -> None:
        with contextlib.suppress(Exception):  # it has ended
            self.container.kill(signal=name)

    def discard(self) -> None:
        """Remove container, network and folder, whatever state they are in."""
        self._lines.close()
        with contextlib.suppress(EngineError):  # by label: the engine may have made one whose answer was lost
            leftovers(self.client, self.labels)
        remove_folder(self.client, self.image, self.folder)


def _inner_port(environment: Mapping[str, str]) -> int:
    text = environment.get(BIND, str(PORT))
    if not text.isdigit() or not 0 < int(text) < 1 << 16:
        raise UsageError(f"{BIND} is {text!r}, which is no port")
    return int(text)


def _check_free(port: int) -> None:
    if port:
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            raise _in_use(port) from None


def _in_use(port: int) -> UsageError:
    return UsageError(
        f"port {port} of this machine is in use, or not allowed", Text(Option("port", 0), "  takes a free one.")
    )
