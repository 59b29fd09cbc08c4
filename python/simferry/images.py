"""Images: built, tagged by the hash of everything that goes in, checked against the contract."""

import fnmatch
import hashlib
import io
import json
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import planning
from .design import grid
from .engine import ImageError, connect, find_image, run_once
from .errors import nearest
from .processing import Files, ProcessingJob, local_uri
from .simulation import COMMANDS, WORKER_FILES
from .worker import blocks

LABEL = "simferry.recipe"
LAST_LINES = 20
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
                info.size, info.mode = len(content), 0o755 if name.endswith(".sh") else 0o644
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
    """Build an image, unless one of this recipe is here. Raises ImageError with the failing step and its last lines."""
    import docker.errors

    client = connect()
    if not rebuild:
        try:
            image = client.images.get(made_of.tag)
            image.tag(made_of.name, "latest")
            return Built(made_of.tag, str(image.id), True)
        except docker.errors.ImageNotFound:
            pass
    said: list[str] = []
    step = ""
    try:
        # what a failing step leaves behind is removed
        stream = client.api.build(
            fileobj=made_of.context(), custom_context=True, tag=made_of.tag, rm=True, forcerm=True, decode=True,
            buildargs=made_of.build_args, labels={LABEL: made_of.hash}, network_mode="host", platform=made_of.platform,
        )  # fmt: skip
        for event in stream:
            for line in (event.get("stream") or event.get("status") or "").splitlines():
                if line.startswith("Step "):
                    step, said = line, []
                elif line.strip():
                    said.append(line)
                if line.strip():
                    on_progress(line)
            if "error" in event:
                raise ImageError(_failed_step(step, event["error"], said))
    except docker.errors.APIError as error:
        raise ImageError(f"{made_of.name} can't be built: {error.explanation or error}") from None
    image = client.images.get(made_of.tag)
    image.tag(made_of.name, "latest")
    return Built(made_of.tag, str(image.id), False)


def _failed_step(step: str, error: str, said: list[str]) -> str:
    command = step.partition(": ")[2] or step
    lines = [line for line in said if not line.startswith((" --->", "Removing intermediate"))]
    shown = "\n".join(f"  {line}" for line in lines[-LAST_LINES:])
    place = "; there is no room left on the disk" if "no space left" in error.lower() else ""
    return f"the build failed at {command or 'its start'}: {error.strip()}{place}" + (f"\n{shown}" if shown else "")


@dataclass
class Finding:
    """One thing that `check` looked at."""

    what: str
    ok: bool
    found: str


def check(name: str) -> list[Finding]:
    """Look at an image as a job would: interpreter, packages, user, folders, a block of the worker, exit codes."""
    client = connect()
    image = find_image(client, name)
    out = [
        Finding("architecture", True, str(image.attrs.get("Architecture"))),
        Finding("size", True, f"{image.attrs['Size'] / 1e6:.0f} MB"),
        Finding("user", True, image.attrs["Config"].get("User") or "root"),
    ]
    languages = [
        lang
        for lang, program in (("r", "Rscript"), ("python", "python3"))
        if _runs(client, name, [program, "--version"])
    ]
    if not languages:
        raise ImageError(
            f"image {name} has neither Rscript nor python3", "simferry image build containers/r  makes one that has."
        )
    for language in languages:
        out += _check_language(client, name, language)
    return out


def _runs(client: Any, name: str, command: list[str]) -> bool:
    try:
        return run_once(client, name, command)[0] == 0
    except ImageError:
        return False


def _check_language(client: Any, name: str, language: str) -> list[Finding]:
    """A sweep of two replications, and a script that fails, in the image."""
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
    label = {"r": "R", "python": "Python"}[language]
    out: list[Finding] = []
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
        out.append(
            Finding(
                label,
                True,
                f"{facts['interpreter']}; packages: {facts['packages'] or 'none loaded'}; BLAS {facts['blas']}",
            )
        )
        out.append(Finding(f"{label} worker", True, "ran a block; /opt/ml can be written"))
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
        "ProcessingJobName": "simferry-image-check",
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
