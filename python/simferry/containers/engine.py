"""The Docker engine, through its official client; its errors say what to do."""

import errno
import os
import shutil
from typing import Any

from ..errors import SimferryError, UsageError, nearest
from ..hints import Command, Extra, Option, Text

WAYS_OUT = Text(
    "Install Docker (Debian, Ubuntu: apt-get install docker.io; others: https://docs.docker.com/get-docker), "
    "or run without containers: ",
    Option("backend", "local"),
)


class EngineError(SimferryError):
    """Docker is not installed, does not run, can't be reached, or refused a request."""

    code = "docker"


class ImageError(UsageError):
    """An image does not exist, or can't do what it has to."""

    code = "image"
    exit_code = 1


def no_client() -> EngineError:
    return EngineError("the Python package docker is not installed", Extra("docker"))


def connect(timeout_seconds: int = 60) -> Any:
    """A Docker client whose engine answers. Raises EngineError if Docker is not installed, does not run, or may not be used."""
    try:
        import docker
        import docker.errors
    except ImportError:
        raise no_client() from None
    try:
        where = os.environ.get("DOCKER_HOST") or _context_host()
        environment = {**os.environ, **({"DOCKER_HOST": where} if where else {})}
        client = docker.from_env(timeout=timeout_seconds, environment=environment)
        client.ping()
        return client
    except Exception as error:
        raise _why_not(error) from None


def _context_host() -> str | None:
    """The engine's address in the current Docker context; Docker Desktop and rootless Docker set one."""
    from docker.context import ContextAPI

    context = ContextAPI.get_current_context()
    return str(context.Host) if context and context.Name != "default" and context.Host else None


def _why_not(error: BaseException) -> EngineError:
    numbers: set[int | None] = set()
    todo: list[Any] = [error]  # the client wraps the operating system's error several times
    while todo:
        inner = todo.pop()
        if isinstance(inner, BaseException):
            numbers.add(getattr(inner, "errno", None))
            todo += [*inner.args, inner.__cause__ or inner.__context__]
    text = str(error)
    if errno.EACCES in numbers or "Permission denied" in text:
        return EngineError(
            "this user may not use Docker: permission denied on its socket",
            "sudo usermod -aG docker $USER  and a new login, or use rootless Docker.",
        )
    if errno.ENOENT in numbers or errno.ECONNREFUSED in numbers or "refused" in text or "No such file" in text:
        if shutil.which("dockerd") or shutil.which("docker"):
            return EngineError(
                "Docker is installed, but its engine is not running",
                "Start it: sudo systemctl start docker (Linux), or the Docker Desktop application.",
            )
        return EngineError("Docker is not installed", WAYS_OUT)
    return EngineError(f"Docker's engine can't be reached: {text}", "DOCKER_HOST says where it is looked for.")


def repository_of(name: str) -> str:
    """An image's name without its tag or digest. The colon before a registry's port starts no tag."""
    name = name.partition("@")[0]
    return name if "/" in name.rpartition(":")[2] or ":" not in name else name.rpartition(":")[0]


def find_image(client: Any, name: str, pull: bool = True) -> Any:
    """An image by its name; pulled if it is not on this machine. Raises ImageError, also if its architecture is not the engine's."""
    import docker.errors

    try:
        image = client.images.get(name)
    except docker.errors.ImageNotFound:
        image = _pulled(client, name) if pull and "/" in name else None
        if image is None:
            here = sorted({repository_of(tag) for i in client.images.list() for tag in i.tags})
            hint = nearest(repository_of(name), here) or Command("image build", "containers/r") + "  makes one."
            raise ImageError(f"there is no image {name} here", hint) from None
    except docker.errors.APIError as error:
        raise ImageError(f"{name!r} is no image's name: {error.explanation or error}") from None
    check_architecture(client, image, name)
    return image


def _pulled(client: Any, name: str) -> Any:
    import docker.errors

    try:
        return client.images.pull(f"{name}:latest" if name == repository_of(name) else name)
    except docker.errors.APIError as error:
        raise ImageError(f"image {name} is not here and can't be pulled: {error.explanation or error}") from None


def run_once(client: Any, image: str, command: list[str], **options: Any) -> tuple[int, str, str]:
    """Run a command in a new container, and remove it. Returns exit status, standard output and standard error.

    Raises ImageError if the image has no such program.
    """
    import docker.errors

    container = client.containers.create(image, entrypoint=command, command=[], network_mode="none", **options)
    try:
        container.start()
        status = int(container.wait()["StatusCode"])
        out, err = (container.logs(stdout=o, stderr=not o).decode(errors="replace") for o in (True, False))
        return status, out, err
    except docker.errors.APIError as error:
        text = str(error.explanation or error)
        if "executable file not found" in text or "no such file" in text:
            raise ImageError(
                f"image {image} has no {command[0]}", Command("image build", "containers/r") + "  makes one with R."
            ) from None
        raise EngineError(f"image {image} can't be started: {text}") from None
    finally:
        container.remove(force=True)


def check_architecture(client: Any, image: Any, name: str) -> None:
    ours = {"x86_64": "amd64", "aarch64": "arm64"}
    engine = client.info().get("Architecture", "")
    engine = ours.get(engine, engine)
    made_for = image.attrs.get("Architecture") or engine
    if made_for != engine:
        raise ImageError(
            f"image {name} is for {made_for}, and this machine is {engine}",
            Text("Build it for this machine, or with ", Option("platform", f"linux/{engine}"), "."),
        )
