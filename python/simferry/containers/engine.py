"""The Docker engine, through its official client; its errors say what to do."""

import contextlib
import errno
import json
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import Note, SimferryError, UsageError, nearest
from ..hints import Extra, MakesImage, Option, Shell, Text
from ..system.processes import identity

WAYS_OUT = Text(
    "Install Docker (Debian, Ubuntu: apt-get install docker.io; others: https://docs.docker.com/get-docker), "
    "or run without containers: ",
    Option("backend", "local"),
)
DRIVER = "simferry.driver"  # label: the process that started the container
SOON = 5  # seconds in which an engine answers; if it takes longer, a note says what is waited for


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
        with _without_ssh():
            import docker
            import docker.errors
    except ImportError:
        raise no_client() from None
    where = named_by = ""
    try:
        where, named_by = _address()
        environment = {**os.environ, **({"DOCKER_HOST": where} if where else {})}
        try:
            docker.from_env(timeout=min(SOON, timeout_seconds), environment=environment).ping()
        except Exception as error:
            if not _is_slow(error) or timeout_seconds <= SOON:
                raise
            warnings.warn(
                Note(f"Docker's engine{_at(where)} does not answer yet; it is given {timeout_seconds} s"), stacklevel=2
            )
        client = docker.from_env(timeout=timeout_seconds, environment=environment)
        client.ping()
        return client
    except Exception as error:
        raise _why_not(error, where, named_by) from None


@contextlib.contextmanager
def _without_ssh() -> Iterator[None]:
    """Keeps Docker's client from loading paramiko, which takes as long as all the rest, where no engine is reached by SSH."""
    contexts = Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser() / "contexts"
    if os.environ.get("DOCKER_HOST", "").startswith("ssh:") or os.path.isdir(contexts) or "paramiko" in sys.modules:
        yield
        return
    sys.modules["paramiko"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["paramiko"]


def _address() -> tuple[str, str]:
    """The engine's address and what names it: DOCKER_HOST or the current Docker context. Both are empty for the usual socket.

    Docker Desktop and rootless Docker set a context.
    """
    from docker.context import ContextAPI

    if host := os.environ.get("DOCKER_HOST"):
        return host, "DOCKER_HOST"
    context = ContextAPI.get_current_context()
    if context and context.Name != "default" and context.Host:
        return str(context.Host), f"the Docker context {context.Name}"
    return "", ""


def _at(where: str) -> str:
    return f" at {without_password(where)}" if where else ""


def without_password(address: str) -> str:
    """An address without the user and password that it may have."""
    return re.sub(r"(?<=//)[^/]*@", "", address)


def _is_slow(error: Exception) -> bool:
    return "timed out" in str(error).lower() or "timeout" in str(error).lower()


def _why_not(error: BaseException, where: str, named_by: str) -> EngineError:
    """where: the address that was asked; named_by: what names it, empty for the usual socket."""
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
    if named_by:
        reset = "unset DOCKER_HOST" if named_by == "DOCKER_HOST" else "docker context use default"
        return EngineError(
            f"no Docker engine answers{_at(where)}, which {named_by} names: {without_password(_short(text))}",
            Text("Is the address right, and the engine running? For this machine's own:  ", Shell(*reset.split())),
        )
    if errno.ENOENT in numbers or errno.ECONNREFUSED in numbers or "refused" in text or "No such file" in text:
        if shutil.which("dockerd") or shutil.which("docker"):
            return EngineError(
                "Docker is installed, but its engine is not running",
                "Start it: sudo systemctl start docker (Linux), or the Docker Desktop application.",
            )
        return EngineError("Docker is not installed", WAYS_OUT)
    return EngineError(f"Docker's engine can't be reached: {text}", "DOCKER_HOST says where it is looked for.")


def _short(text: str) -> str:
    """The reason in an error of Docker's client: what it repeats before and around it is left out."""
    text = text.removeprefix("Error while fetching server API version: ")
    inner = re.findall(r"(?:Errno -?\d+\] |\d+, ')([^'\"\]()]+)['\"]?\)", text)
    return inner[-1] if inner else text


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
            hint = nearest(repository_of(name), here) or MakesImage(name)
            raise ImageError(f"there is no image {name} here", hint) from None
    except (docker.errors.APIError, docker.errors.NullResource) as error:
        why = getattr(error, "explanation", None) or error
        raise ImageError(f"{name!r} is no image's name: {why}") from None
    check_architecture(client, image, name)
    return image


def _pulled(client: Any, name: str) -> Any:
    import docker.errors

    try:
        return client.images.pull(f"{name}:latest" if name == repository_of(name) else name)
    except docker.errors.APIError as error:
        raise ImageError(f"image {name} is not here and can't be pulled: {error.explanation or error}") from None


def driver_label() -> dict[str, str]:
    """The label of a container that this process starts."""
    return {DRIVER: json.dumps(identity(os.getpid()))}


def run_once(
    client: Any, image: str, command: list[str], seconds: float | None = None, **options: Any
) -> tuple[int, str, str]:
    """Run a command in a new container, and remove it. Returns exit status, standard output and standard error.

    Raises ImageError if the image has no such program, TimeoutError if it takes longer than `seconds`.
    """
    import docker.errors
    import requests

    given = {"network_mode": "none", **options}
    container = client.containers.create(image, entrypoint=command, command=[], labels=driver_label(), **given)
    try:
        container.start()
        status = int(container.wait(timeout=seconds)["StatusCode"])
        out, err = (container.logs(stdout=o, stderr=not o).decode(errors="replace") for o in (True, False))
        return status, out, err
    except docker.errors.APIError as error:
        text = str(error.explanation or error)
        if "executable file not found" in text or "no such file" in text:
            raise ImageError(f"image {image} has no {command[0]}", MakesImage(image)) from None
        raise EngineError(f"image {image} can't be started: {text}") from None
    except requests.exceptions.RequestException as error:
        if seconds is None or not _is_slow(error):
            raise
        raise TimeoutError(f"{command[0]} has not ended") from None
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
