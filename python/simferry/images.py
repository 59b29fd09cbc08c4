"""Images: built, tagged by the hash of everything that goes in, checked against the contract."""

import contextlib
import fnmatch
import hashlib
import io
import json
import re
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import planning
from .design import grid
from .engine import EngineError, ImageError, connect, find_image, run_once
from .errors import nearest
from .processing import Files, ProcessingJob, local_uri
from .simulation import COMMANDS, WORKER_FILES
from .worker import blocks

LABEL = "simferry.recipe"
LAST_LINES = 20
_LAYER = re.compile(r" ---> ([0-9a-f]{12,})")
Progress = Callable[[str], None]


@dataclass
class Recipe:
    """What an image is made of: a name, the files of its build context (Dockerfile among them), build arguments."""

    name: str
    files: dict[str, bytes]
    build_args: dict[str, str] = field(default_factory=dict)
    platform: str | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of everything that goes in, the same on every machine: 12 digits of it are the tag."""
        digest = hashlib.sha256(json.dumps([self.build_args, self.platform], sort_keys=True).encode())
        for name, content in sorted(self.files.items()):
            for part in (name.encode(), content):
                digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()

    @property
    def tag(self) -> str:
        return f"{self.name}:{self.hash[:12]}"

    def context(self) -> io.BytesIO:
        """The build context as a tar."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, content in sorted(self.files.items()):
                info = tarfile.TarInfo(name)
                # what git or a file system says of modes differs between machines
                info.size, info.mode = len(content), 0o755 if content.startswith(b"#!") else 0o644
                tar.addfile(info, io.BytesIO(content))
        out.seek(0)
        return out


@dataclass
class Built:
    """tag: name and recipe hash. skipped: it was there already."""

    tag: str
    id: str
    skipped: bool


def recipe(folder: str | Path, name: str | None = None, build_args: Mapping[str, str] | None = None) -> Recipe:
    """The recipe in a folder: its Dockerfile and what lies beside it (but for .dockerignore's patterns)."""
    folder = Path(folder)
    if folder.is_file():
        folder = folder.parent
    if not (folder / "Dockerfile").is_file():
        there = [p.parent.name for p in folder.parent.glob("*/Dockerfile")] if folder.parent.is_dir() else []
        raise ImageError(f"there is no Dockerfile in {folder}", nearest(folder.name, there))
    ignored = []
    if (folder / ".dockerignore").is_file():
        ignored = [
            line.strip()
            for line in (folder / ".dockerignore").read_text().splitlines()
            if line.strip()[:1] not in ("", "#")
        ]
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        inside = path.relative_to(folder).as_posix()
        if not any(fnmatch.fnmatch(inside, i) or inside.startswith(f"{i.rstrip('/')}/") for i in [*ignored, ".git"]):
            files[inside] = path.read_bytes()
    return Recipe(name or f"simferry-{folder.resolve().name.lower()}", files, dict(build_args or {}))


def build(made_of: Recipe, on_progress: Progress = lambda _: None, rebuild: bool = False) -> Built:
    """Build an image, unless one of this recipe is here. Raises ImageError with the failing step and its last lines.

    rebuild: from the first step on. What fails, or is interrupted, leaves no container and no nameless image.
    """
    import docker.errors
    import requests

    client = connect()
    before = _id(client, made_of.tag)
    if before and not rebuild:
        client.images.get(made_of.tag).tag(made_of.name, "latest")
        return Built(made_of.tag, before, True)
    said: list[str] = []
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
                        step, said = line, []
                    elif made := _LAYER.fullmatch(line):
                        newest = made[1]
                    elif line.strip():
                        said.append(line)
                    if line.strip():
                        on_progress(line)
                if "error" in event:
                    raise _cant_build(made_of.name, step, event["error"], said)
        built = _id(client, made_of.tag)
        if built is None:
            raise EngineError(f"Docker's engine broke off the build of {made_of.name} at {step or 'its start'}")
        client.images.get(built).tag(made_of.name, "latest")
    except docker.errors.APIError as error:
        raise _cant_build(made_of.name, step, str(error.explanation or error), said) from None
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


def _remove_nameless(client: Any, image: str) -> None:
    """Remove an image that has no name, and nothing built upon it."""
    import docker.errors
    import requests

    with contextlib.suppress(docker.errors.APIError, requests.exceptions.RequestException):
        if not client.images.get(image).tags:
            client.images.remove(image)


def _cant_build(name: str, step: str, error: str, said: list[str]) -> ImageError:
    command = step.partition(": ")[2] or "its start"
    lines = [line for line in said if not line.startswith((" --->", "Removing intermediate"))][-LAST_LINES:]
    shown = "".join(f"\n  {line}" for line in lines)
    text = f"the build of {name} failed at {command}: {error.strip()}{shown}"
    if "no space left on device" in text.lower():
        return ImageError(
            f"no room is left on the disk of Docker's engine: {text}",
            "docker system df  shows what fills it, and  docker system prune  frees what is not in use.",
        )
    return ImageError(text)


@dataclass
class Finding:
    """One thing that `check` looked at."""

    what: str
    ok: bool
    found: str


# what is installed, besides what comes with the interpreter
_LIST = {
    "r": """p <- installed.packages(priority = "NA"); cat(paste(p[, 1], p[, 3]), sep = ", ")""",
    "python": "import importlib.metadata as m; "
    "print(', '.join(sorted({f'{d.name} {d.version}' for d in m.distributions()}, key=str.lower)))",
}
_FLAG = {"r": "-e", "python": "-c"}
_LABEL = {"r": "R", "python": "Python"}
_LACKS = (
    "from importlib.util import find_spec\n"
    "print(*(p for p in ('numpy', 'joblib', 'cloudpickle') if find_spec(p) is None), sep=', ')"
)


def check(name: str) -> list[Finding]:
    """Look at an image as a job would: interpreter, packages, user, folders, a block of the worker, exit codes.

    Raises ImageError where it can't be looked at: it isn't here, is for another architecture, has no interpreter.
    """
    client = connect()
    image = find_image(client, name)
    user = image.attrs["Config"].get("User") or "root"
    languages = [
        lang for lang, (program, _) in COMMANDS.items() if lang in _LIST and _runs(client, name, [program, "--version"])
    ]
    if not languages:
        raise ImageError(
            f"image {name} has neither Rscript nor python3", "simferry image build containers/r  makes one that has."
        )
    out = [
        Finding("architecture", True, str(image.attrs.get("Architecture"))),
        Finding("size", True, f"{image.attrs['Size'] / 1e6:.0f} MB"),
        Finding("user", True, user),
    ]
    if _runs(client, name, ["sh", "-c", "mkdir -p /opt/ml/output && : >/opt/ml/output/message"]):
        out.append(Finding("/opt/ml", True, f"{user} can write it"))
    else:
        out.append(
            Finding(
                "/opt/ml", False, f"{user} can't write it: RUN mkdir -p /opt/ml && chmod 777 /opt/ml  in the Dockerfile"
            )
        )
    for language in languages:
        lacks = [
            p
            for p in _PYTHON_NEEDS
            if language == "python" and not _runs(client, name, ["python3", "-c", f"import {p}"])
        ]
        if lacks and languages != ["python"]:  # an R image in which some package wanted Python
            out.append(Finding("Python", True, f"lacks {', '.join(lacks)}: this image runs R simulations only"))
        else:
            out += _check_language(client, name, language)
    return out


def _runs(client: Any, name: str, command: list[str]) -> bool:
    try:
        return run_once(client, name, command)[0] == 0
    except ImageError:
        return False


def _check_language(client: Any, name: str, language: str) -> list[Finding]:
    """What is installed, a sweep of two replications, and a script that fails, in the image."""
    scripts = {
        "r": ("simulate.R", "simulate <- function(n) mean(rnorm(n))\n", "fail.R", "quit(status = 7)\n"),
        "python": (
            "simulate.py",
            "def simulate(n, rng):\n    return float(rng.normal(size=n).mean())\n",
            "fail.py",
            "raise SystemExit(7)\n",
        ),
    }[language]
    program, worker = COMMANDS[language]
    label = _LABEL[language]
    installed = run_once(client, name, [program, _FLAG[language], _LIST[language]])[1].strip()
    with tempfile.TemporaryDirectory(prefix="simferry-image-") as folder:
        code, plan, results = Path(folder, "code"), Path(folder, "plan"), Path(folder, "blocks")
        for path in (code, plan, results):
            path.mkdir()
        for file in WORKER_FILES[language]:
            (code / file.name).write_bytes(file.read_bytes())
        (code / scripts[0]).write_text(scripts[1])
        (code / scripts[2]).write_text(scripts[3])
        (plan / "job").write_bytes(_small_job(language, scripts[0]))

        def run(entry: str, arguments: list[str]) -> tuple[Any, ProcessingJob]:
            request = _request(
                name, [program, f"/opt/ml/processing/input/code/{entry}"], arguments, code, plan, results
            )
            job = ProcessingJob(client, request, Path(folder, entry), Files(), "image-check")
            job.start()
            try:
                while (outcome := job.poll()).status == "InProgress":
                    time.sleep(0.05)
            finally:
                job.discard()
            return outcome, job

        outcome, job = run(worker, ["run"])
        written = sorted(results.iterdir())
        if outcome.status != "Completed" or not written:
            said = (outcome.exit_message or job.kept_logs["algo-1"] or outcome.failure_reason).strip()
            return [Finding(f"{label} worker", False, said[-400:])]
        facts = blocks.decode(written[0].read_bytes()).facts
        out = [
            Finding(label, True, f"{facts['interpreter']}; BLAS {facts['blas']}"),
            Finding(f"{label} packages", True, installed or "none"),
            Finding(f"{label} worker", True, "ran a block"),
        ]
        outcome, _ = run(scripts[2], [])
        out.append(
            Finding(
                f"{label} exit code",
                "code 7" in outcome.failure_reason,
                f"a script that fails: {outcome.failure_reason or outcome.status}",
            )
        )
    return out


def _small_job(language: str, script: str) -> bytes:
    spec = {"language": language, "kind": "function", "args": None}
    design = grid(n=5)
    streams = planning.Streams(1, design.canonical(), False)
    facts = {
        "run": "check",
        "plan": "0001",
        "job": "0001",
        "language": language,
        "kind": "function",
        "function": "simulate",
        "script": script,
    }
    return planning.job_bytes(facts, planning.all_work(1, 2), streams, spec, design)


def _request(
    image: str, entry: list[str], arguments: list[str], code: Path, plan: Path, results: Path
) -> dict[str, Any]:
    def one(name: str, folder: Path) -> dict[str, Any]:
        s3 = {
            "S3Uri": local_uri(folder),
            "LocalPath": f"/opt/ml/processing/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        }
        return {"InputName": name, "S3Input": s3}

    return {
        "ProcessingJobName": f"simferry-image-check-{uuid.uuid4().hex[:8]}",
        "AppSpecification": {
            "ImageUri": image,
            "ContainerEntrypoint": entry,
            **({"ContainerArguments": arguments} if arguments else {}),
        },
        "ProcessingInputs": [one("code", code), one("plan", plan)],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "blocks",
                    "S3Output": {
                        "S3Uri": local_uri(results),
                        "LocalPath": "/opt/ml/processing/blocks",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 1}
        },
        "RoleArn": "arn:aws:iam::000000000000:role/simferry-local",
    }
