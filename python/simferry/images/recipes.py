"""Builds images. The tag is a hash of everything that goes into the image."""

import contextlib
import hashlib
import io
import json
import re
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..containers.engine import EngineError, ImageError, connect, no_client, repository_of
from ..errors import nearest

LABEL = "simferry.recipe"
IGNORED = {".git", ".venv", "__pycache__"}
LAST_LINES = 20
TOOLKIT = "simferry_toolkit"  # the folder that Dockerfiles copy
STEP_ENDS_SECONDS = 10
_LAYER = re.compile(r" ---> ([0-9a-f]{12,})")
Progress = Callable[[str], None]


@dataclass
class Recipe:
    """What an image is built from: a name, the files of the build context with the Dockerfile, build arguments, a platform."""

    name: str
    files: dict[str, bytes]
    build_args: dict[str, str] = field(default_factory=dict)
    platform: str | None = None

    @property
    def hash(self) -> str:
        """The SHA-256 of the recipe, the same on every machine. Its first 12 digits are the tag."""
        digest = hashlib.sha256(json.dumps([self.build_args, self.platform], sort_keys=True).encode())
        for name, content in sorted(self.files.items()):
            for part in (name.encode(), content):
                digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()

    @property
    def tag(self) -> str:
        return f"{self.name}:{self.hash[:12]}"

    def context(self) -> io.BytesIO:
        """The build context as a tar archive."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, content in sorted(self.files.items()):
                info = tarfile.TarInfo(name)
                # file modes differ between machines, and are not taken over
                info.size, info.mode = len(content), 0o755 if content.startswith(b"#!") else 0o644
                tar.addfile(info, io.BytesIO(content))
        out.seek(0)
        return out


@dataclass
class Built:
    """The result of `build`. tag: name and recipe hash. skipped: whether the image existed already."""

    tag: str
    id: str
    skipped: bool


def recipe(folder: str | Path, name: str | None = None, build_args: Mapping[str, str] | None = None) -> Recipe:
    """The recipe in a folder: its Dockerfile and the files beside it, except those that .dockerignore names.

    A Dockerfile that copies the folder simferry_toolkit gets simferry's toolkit, unless a folder of that name lies beside it.
    """
    folder = Path(folder)
    if folder.is_file():
        folder = folder.parent
    if not (folder / "Dockerfile").is_file():
        there = [p.parent.name for p in folder.parent.glob("*/Dockerfile")] if folder.parent.is_dir() else []
        raise ImageError(f"there is no Dockerfile in {folder}", nearest(folder.name, there))
    ignored = folder / ".dockerignore"
    patterns = ignored.read_text().splitlines() if ignored.is_file() else []
    files = {}
    for inside in _not_ignored(folder, [p.strip() for p in patterns if p.strip()[:1] not in ("", "#")]):
        path = folder / inside
        if path.is_file() and not IGNORED & set(path.relative_to(folder).parts):
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    copies = re.search(rf"(?m)^\s*COPY\b.*\b{TOOLKIT}\b", files["Dockerfile"].decode(errors="replace"))
    if copies and not any(name.startswith(f"{TOOLKIT}/") for name in files):
        parts = [path for path in (Path(__file__).parents[1] / "toolkit").iterdir() if path.is_file()]
        files |= {f"{TOOLKIT}/{path.name}": path.read_bytes() for path in parts}
    stem = folder.resolve().name.lower().removesuffix(".image")  # `--for parallel.R` writes parallel.image
    return Recipe(name or f"simferry-{re.sub(r'[^a-z0-9]+', '-', stem).strip('-')}", files, dict(build_args or {}))


def _not_ignored(folder: Path, patterns: list[str]) -> list[str]:
    try:
        from docker.utils import exclude_paths
    except ImportError:
        raise no_client() from None
    return sorted(exclude_paths(str(folder), patterns))


def build(made_of: Recipe, on_progress: Progress = lambda _: None, rebuild: bool = False) -> Built:
    """Build an image, unless one of this recipe exists. Raises ImageError with the failed step and the last lines of its output.

    rebuild: build all steps anew. A build that fails or is interrupted leaves no container and no image without a name.
    """
    import docker.errors
    import requests

    if repository_of(made_of.name) != made_of.name:
        raise ImageError(f"the name {made_of.name!r} has a tag", "The tag is made of the recipe's hash.")
    client = connect()
    before = _id(client, made_of.tag)
    if before and not rebuild:
        client.images.get(made_of.tag).tag(made_of.name, "latest")
        return Built(made_of.tag, before, True)
    output: list[str] = []
    step, newest = "", ""
    try:
        stream = client.api.build(
            fileobj=made_of.context(), custom_context=True, tag=made_of.tag, rm=True, forcerm=True, decode=True,
            buildargs=made_of.build_args, labels={LABEL: made_of.hash}, network_mode="host", platform=made_of.platform,
            nocache=rebuild,
        )  # fmt: skip
        with contextlib.closing(stream):
            for event in stream:
                for line in (event.get("stream") or event.get("status") or "").splitlines():
                    if line.startswith("Step "):
                        step, output = line, []
                    elif made := _LAYER.fullmatch(line):
                        newest = made[1]
                    elif line.strip():
                        output.append(line)
                    if line.strip():
                        on_progress(line)
                if "error" in event:
                    raise _cant_build(made_of.name, step, event["error"], output)
        built = _id(client, made_of.tag)
        if built is None:
            raise EngineError(f"Docker's engine broke off the build of {made_of.name} at {step or 'its start'}")
        client.images.get(built).tag(made_of.name, "latest")
    except docker.errors.APIError as error:
        raise _cant_build(made_of.name, step, str(error.explanation or error), output) from None
    except requests.exceptions.RequestException as error:
        raise EngineError(f"Docker's engine broke off the build of {made_of.name}: {error}") from None
    finally:
        for nameless in {newest, before or ""} - {""}:
            _remove_nameless(client, nameless)
    return Built(made_of.tag, built, False)


def _id(client: Any, name: str) -> str | None:
    import docker.errors

    try:
        return str(client.images.get(name).id)
    except docker.errors.ImageNotFound:
        return None
    except docker.errors.APIError as error:
        raise ImageError(f"{name!r} is no image's name: {error.explanation or error}") from None


def _remove_nameless(client: Any, image: str) -> None:
    """Remove an image if it has no name.

    After an interrupted build the engine first ends the running step; until then it refuses to remove the image.
    """
    import docker.errors
    import requests

    until = time.monotonic() + STEP_ENDS_SECONDS
    while True:
        try:
            if not client.images.get(image).tags:
                client.images.remove(image)
            return
        except docker.errors.APIError as error:
            if "container" not in str(error.explanation) or time.monotonic() > until:
                return
        except requests.exceptions.RequestException:
            return
        time.sleep(0.1)


def _cant_build(name: str, step: str, error: str, output: list[str]) -> ImageError:
    command = step.partition(": ")[2] or "its start"
    lines = [line for line in output if not line.startswith((" --->", "Removing intermediate"))][-LAST_LINES:]
    shown = "".join(f"\n  {line}" for line in lines)
    text = f"the build of {name} failed at {command}: {error.strip()}{shown}"
    if "no space left on device" in text.lower():
        return ImageError(
            f"no room is left on the disk of Docker's engine: {text}",
            "docker system df  shows what fills it, and  docker system prune  frees what is not in use.",
        )
    return ImageError(text)
