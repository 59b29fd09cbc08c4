"""Checks that an image can run jobs."""

import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..containers.engine import ImageError, connect, find_image, run_once
from ..containers.job import ROLE, ContainerJob
from ..containers.processing import Processing
from ..containers.storage import Files, local_uri
from ..hints import MakesImage
from ..jobs import stretches
from ..jobs.launch import COMMANDS, write_worker
from ..jobs.plan import Streams, job_bytes
from ..sweep.design import grid
from ..system.untrusted import scrap_folder
from ..worker import blocks


@dataclass
class Finding:
    """One result of `check`."""

    what: str
    ok: bool
    found: str


# by language, the interpreter
_INTERPRETERS = {"r": "Rscript", "python": "python3", "octave": "octave-cli"}
# lists installed packages, without those that come with the interpreter
_LIST = {
    "r": """p <- installed.packages(priority = "NA"); cat(paste(p[, 1], p[, 3]), sep = ", ")""",
    "python": "import importlib.metadata as m; "
    "print(', '.join(sorted({f'{d.name} {d.version}' for d in m.distributions()}, key=str.lower)))",
    "octave": "p = pkg('list'); s = cellfun(@(x) [x.name ' ' x.version], p, 'UniformOutput', false); printf('%s', strjoin(s, ', '))",
}
_FLAG = {"r": "-e", "python": "-c", "octave": "--eval"}
_LABEL = {"r": "R", "python": "Python", "octave": "Octave"}
_LACKS = (
    "from importlib.util import find_spec\n"
    "print(*(p for p in ('numpy', 'joblib', 'cloudpickle') if find_spec(p) is None), sep=', ')"
)


def check(name: str) -> list[Finding]:
    """Check an image as jobs use it: interpreter, packages, user, folders, a block of the worker, exit codes.

    Raises ImageError if it is missing, is for another architecture, or has no interpreter.
    """
    client = connect()
    image = find_image(client, name)
    user = image.attrs["Config"].get("User") or "root"
    languages = [lang for lang, program in _INTERPRETERS.items() if _runs(client, name, [program, "--version"])]
    if not languages:
        raise ImageError(f"image {name} has neither Rscript nor python3 nor octave-cli", MakesImage(name))
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
    lacks = "python3"
    if "python" in languages:
        lacks = run_once(client, name, ["python3", "-c", _LACKS])[1].strip() if len(languages) > 1 else ""
    for language in languages:
        if language == "octave" and lacks:
            out.append(
                Finding("Octave worker", False, f"the image lacks {lacks}, which simferry's worker for Octave needs")
            )
        elif language == "python" and lacks:  # an R image with Python for some package
            out.append(Finding("Python", True, f"lacks {lacks}: this image runs R simulations only"))
        elif language != "python" or "octave" not in languages:  # Octave's worker is Python's
            out += _check_language(client, name, language)
    return out


def _runs(client: Any, name: str, command: list[str]) -> bool:
    try:
        return run_once(client, name, command)[0] == 0
    except ImageError:
        return False


def _check_language(client: Any, name: str, language: str) -> list[Finding]:
    """Findings of one language: its packages, a job of two replications, and a script that fails."""
    scripts = {
        "r": ("simulate.R", "simulate <- function(n) mean(rnorm(n))\n", "fail.R", "quit(status = 7)\n"),
        "python": (
            "simulate.py",
            "def simulate(n, rng):\n    return float(rng.normal(size=n).mean())\n",
            "fail.py",
            "raise SystemExit(7)\n",
        ),
        "octave": ("simulate.m", "function x = simulate(n)\nx = mean(randn(n, 1));\nend\n", "fail.m", "exit(7)\n"),
    }[language]
    program, worker = COMMANDS[language]
    label = _LABEL[language]
    installed = run_once(client, name, [_INTERPRETERS[language], _FLAG[language], _LIST[language]])[1].strip()
    with scrap_folder("simferry-image-") as folder:
        code, plan, results = folder / "code", folder / "plan", folder / "blocks"
        for path in (code, plan, results):
            path.mkdir()
        write_worker(language, code)
        (code / scripts[0]).write_text(scripts[1])
        (code / scripts[2]).write_text(scripts[3])
        (plan / "job").write_bytes(_small_job(language, scripts[0]))

        def run(program: str, entry: str, arguments: list[str]) -> tuple[Any, ContainerJob]:
            command = [program, f"/opt/ml/processing/input/code/{entry}"]
            request = _request(name, command, arguments, code, plan, results)
            job = ContainerJob(client, request, Processing(), Files(), folder / entry, "image-check")
            job.start()
            try:
                while (outcome := job.poll()).status == "InProgress":
                    time.sleep(0.05)
            finally:
                job.discard()
            return outcome, job

        outcome, job = run(program, worker, ["run"])
        written = sorted(results.iterdir())
        if outcome.status != "Completed" or not written:
            message = (outcome.exit_message or job.kept_logs["algo-1"] or outcome.failure_reason).strip()
            return [Finding(f"{label} worker", False, message[-400:])]
        facts = blocks.decode(written[0].read_bytes()).facts
        out = [
            Finding(label, True, f"{facts['interpreter']}; BLAS {facts['blas']}"),
            Finding(f"{label} packages", True, installed or "none"),
            Finding(f"{label} worker", True, "ran a block"),
        ]
        outcome, _ = run(_INTERPRETERS[language], scripts[2], [])
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
    streams = Streams(1, design, whole_scripts=False)
    facts = {
        "run": "check",
        "plan": "0001",
        "job": "0001",
        "language": language,
        "kind": "function",
        "function": "simulate",
        "script": script,
    }
    return job_bytes(facts, stretches.all_work(1, 2), streams, spec, design)


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
        "RoleArn": ROLE,
    }
