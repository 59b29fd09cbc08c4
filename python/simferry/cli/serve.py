"""The command `simferry serve`: an image's model on this machine, until Ctrl-C."""

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

import click

from ..system.terminal import shown
from .app import example, main
from .output import tell

if TYPE_CHECKING:
    from ..containers.serving import Serving


@example(
    "simferry serve simferry-sklearn --model model.tar.gz",
    "simferry serve simferry-sklearn --model model.tar.gz --memory 2G --check --data rows.csv",
)
@main.command()
@click.argument("image")
@click.option("--model", metavar="FILE", help="The model, a tar.gz: unpacked into /opt/ml/model.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="The port of this machine; 0 uses any free one.",
)
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="An environment variable of the container.")
@click.option("--instance-type", metavar="TYPE", help="Its memory and cores are the limits.")
@click.option("--memory", metavar="SIZE", help="The limit of the memory, such as 2G for a serverless endpoint.")
@click.option("--network-isolation", is_flag=True, help="The container has no network access.")
@click.option(
    "--startup-seconds",
    type=click.FloatRange(0, min_open=True),
    default=480,
    show_default=True,
    help="Until /ping has to answer 200.",
)
@click.option("--check", is_flag=True, help="Send the contract's requests, report each, and end.")
@click.option("--data", metavar="FILE", help="--check: a request that the model can answer.")
@click.option(
    "--content-type", default="text/csv", show_default=True, metavar="TYPE", help="--check: what the data are."
)
def serve(
    image: str,
    model: str | None,
    port: int,
    env: tuple[str, ...],
    instance_type: str | None,
    memory: str | None,
    network_isolation: bool,
    startup_seconds: float,
    check: bool,
    data: str | None,
    content_type: str,
) -> int:
    """Serve an image's model here, as SageMaker's endpoints do.

    It runs `docker run IMAGE serve`, waits for /ping, and publishes the container itself at http://localhost:8080. What the container
    prints is shown. --check sends the contract's requests: pings, predictions one by one and at once, bodies that are empty, as large as
    allowed and larger, an unknown content type, and SIGTERM. Its exit code is 1 if one fails.
    """
    from ..containers.serving import MOST_BYTES
    from ..verbs import serve as verb
    from .options import named_values

    if data is not None and not check:
        raise click.UsageError("--data is for --check")
    content = _content(data, MOST_BYTES)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = verb.serve(
        image,
        model=model,
        port=port,
        env=named_values("--env", env),
        instance_type=instance_type,
        memory=memory,
        network_isolation=network_isolation,
        startup_seconds=startup_seconds,
        most_bytes=2 * MOST_BYTES if check else MOST_BYTES,
        on_start=(lambda _: None) if check else _show,
    )
    return _checked(server, content, content_type) if check else _served(server)


def _content(path: str | None, most: int) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise click.UsageError(f"{path} has more than {most:,} bytes, which is what a request may have")
    return content


def _show(server: "Serving") -> None:
    """Print what the container prints, from now on."""

    def follow() -> None:
        for line in server.follow():
            click.echo(shown(line))

    threading.Thread(target=follow, daemon=True).start()


def _served(server: "Serving") -> int:
    with server:
        times = f"ready after {server.ready_seconds:.1f} s, /ping in {1000 * server.ping_seconds:.1f} ms"
        tell(f"{server.url} serves {server.image}: {times}. Ctrl-C ends it.")
        with contextlib.suppress(KeyboardInterrupt):
            server.ended.wait()
            tell(f"the container has ended: {server.end}")
            return 1
        end = server.stop()
    tell(f"ended after {end.seconds:.1f} s, {end}{', killed: it did not heed SIGTERM' if end.killed else ''}")
    return 0


def _checked(server: "Serving", data: bytes | None, content_type: str) -> int:
    from ..verbs.serve_check import findings

    failed = 0
    with server:
        for one in findings(server, data, content_type):
            click.echo(str(one))
            failed += one.state == "failed"
    if failed:
        tell(f"{failed} failed. The container's last lines:")
        for line in server.lines(20):
            tell(shown(line))
    return int(failed > 0)
