"""The verb serve: an image's model on this machine, under the hosting contract of SageMaker."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_hex

from ..aws.contracts.batch import mebibytes
from ..aws.instances import Instance, instance
from ..containers.engine import connect
from ..containers.removal import remove_orphans
from ..containers.serving import MOST_BYTES, START_SECONDS, Serving
from ..errors import UsageError
from ..hints import Literal, Option, Text
from ..sweep.options import not_a_size
from ..sweep.variables import variables

PORT = 8080
OWNER = "serve"


def serve(
    image: str,
    *,
    model: str | Path | None = None,
    port: int = PORT,
    env: Mapping[str, object] | None = None,
    instance_type: str | None = None,
    memory: str | None = None,
    network_isolation: bool = False,
    startup_seconds: float = START_SECONDS,
    most_bytes: int = MOST_BYTES,
    on_start: Callable[[Serving], None] = lambda _: None,
) -> Serving:
    """Start an image as SageMaker's hosting starts it (`docker run IMAGE serve`), and wait until it answers /ping with 200.

        with simferry.serve("simferry-sklearn", model="model.tar.gz") as server:
            answer = server.invoke(b"5.1,3.5,1.4,0.2\\n", "text/csv")  # answer.status, answer.content_type, answer.body

    image: its name. model: a tar.gz, unpacked into /opt/ml/model; without it that folder is empty. port: of 127.0.0.1; 0 takes a free one
    (see `server.url`). env: environment variables of the container. instance_type: its memory and its cores are the limits, as far as this
    machine has them. memory: such as "2G", the limit alone, as of a serverless endpoint. network_isolation: the container has no way to
    the network, and is asked at an address of its own. startup_seconds: until /ping has to answer 200. most_bytes: of a request's body.
    on_start: called when the container has started, before it answers.

    The container ends with the block, or by `server.stop()`: SIGTERM, and SIGKILL after 30 seconds. Raises UsageError for arguments that
    are wrong and a port in use, ModelArchiveError for a model that is none, ImageError if the image is not there or has no `serve`,
    ServingError with the container's last lines if it does not answer, EngineError.
    """
    kind = _limits(instance_type, memory)
    if port not in range(1 << 16):
        raise UsageError(Text(Option("port"), " is ", Literal(port), "; ports are 0 to 65535"))
    environment = variables(env or {})
    client = connect()
    remove_orphans(client)
    server = Serving(
        client,
        image,
        Path(tempfile.gettempdir()) / f"simferry-serve-{token_hex(8)}",
        OWNER,
        model=Path(model) if model is not None else None,
        environment=environment,
        kind=kind,
        port=int(port),
        isolated=network_isolation,
        most_bytes=most_bytes,
    )
    try:
        server.start()
        on_start(server)
        server.wait_ready(startup_seconds)
    except BaseException:
        server.discard()
        raise
    return server


def _limits(instance_type: str | None, memory: str | None) -> Instance | None:
    if instance_type and memory:
        raise UsageError(
            Text(Option("instance_type"), " and ", Option("memory"), " both limit the memory"),
            Text("Give ", Option("instance_type"), ", or, as for a serverless endpoint, ", Option("memory"), " alone."),
        )
    if memory:
        if why := not_a_size(str(memory)):
            raise UsageError(Text(Option("memory"), " is ", Literal(memory), f"; it has to be {why}"))
        return Instance(memory, os.cpu_count() or 1, mebibytes(memory) / 1024)
    return instance(instance_type) if instance_type else None
