"""What jobs in containers see, wherever those run: the contract of SageMaker Processing."""

from typing import Any

from ..simulation import COMMANDS

ROOT = "/opt/ml/processing"
SECONDS_AT_MOST = 777_600  # that a job may run
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
