"""What jobs in containers see, wherever those run: the contract of SageMaker Processing."""

import hashlib
import re
from typing import Any

from ...store.run_folder import RunFolder
from ...sweep.simulation import COMMANDS

ROOT = "/opt/ml/processing"
OUTPUTS = ("artifacts", "blocks")  # in this order: a block says that its replications' artifacts are there
SECONDS_AT_MOST = 777_600  # that a job may run
NAME_LENGTH = 63  # of a job's name
DATE_LENGTH = len("-20260102-c0dec0de")  # with which ids end
THREADS = ("OMP", "OPENBLAS", "MKL")


def command_of(spec: dict[str, Any]) -> tuple[str, str]:
    """The interpreter, and the worker's file."""
    return COMMANDS[spec["language"]]


def environment_of(spec: dict[str, Any]) -> dict[str, str]:
    """The environment of a job. The number of threads changes a function's bits."""
    threads = {f"{name}_NUM_THREADS": "1" for name in THREADS} if spec["kind"] == "function" else {}
    return {**threads, "PYTHONDONTWRITEBYTECODE": "1", "SIMFERRY_INPUT": f"{ROOT}/input"}


def input_of(name: str, address: str, mode: str = "File", sharded: bool = False) -> dict[str, Any]:
    """One of CreateProcessingJob's ProcessingInputs, at ROOT/input/NAME."""
    s3 = {"S3Uri": address, "LocalPath": f"{ROOT}/input/{name}", "S3DataType": "S3Prefix", "S3InputMode": mode}
    s3["S3DataDistributionType"] = "ShardedByS3Key" if sharded else "FullyReplicated"
    return {"InputName": name, "S3Input": s3}


def output_of(name: str, address: str, mode: str) -> dict[str, Any]:
    """One of its outputs, from ROOT/NAME."""
    return {"OutputName": name, "S3Output": {"S3Uri": address, "LocalPath": f"{ROOT}/{name}", "S3UploadMode": mode}}


def cut_short(reason: str) -> bool:
    """Whether a FailureReason tells of a time limit or a lost host: the first process of a container is killed from outside alone."""
    lost = re.search(r"MaxRuntimeExceeded|InternalServerError|host \S+ was lost|exited with code 137", reason)
    return lost is not None and "out of memory" not in reason


def tag_of(run: RunFolder) -> str:
    """What the names of a run's jobs have in common, and those of no other run."""
    return hashlib.sha256(run.address.encode()).hexdigest()[:10]


def job_name(run: RunFolder, job: str) -> str:
    """The name of a job: the run's id, its tag, and plan-job."""
    name, drawn = run.id[:-DATE_LENGTH], run.id[-DATE_LENGTH:]
    end = f"{drawn}-{tag_of(run)}-{job}"
    return re.sub(r"[^A-Za-z0-9]+", "-", name)[: NAME_LENGTH - len(end)].strip("-") + end
