"""The contract of SageMaker Processing: paths in containers, inputs and outputs of requests."""

import re
from typing import Any

ROOT = "/opt/ml/processing"
CODE, INPUTS = f"{ROOT}/input/code", f"{ROOT}/input"
OUTPUTS = ("artifacts", "blocks")  # in this order: a block is sent after the artifacts of its replications
SECONDS_AT_MOST = 777_600  # the service's limit of MaxRuntimeInSeconds


def input_of(name: str, address: str, mode: str = "File", sharded: bool = False) -> dict[str, Any]:
    """One of CreateProcessingJob's ProcessingInputs, at ROOT/input/NAME."""
    s3 = {"S3Uri": address, "LocalPath": f"{ROOT}/input/{name}", "S3DataType": "S3Prefix", "S3InputMode": mode}
    s3["S3DataDistributionType"] = "ShardedByS3Key" if sharded else "FullyReplicated"
    return {"InputName": name, "S3Input": s3}


def output_of(name: str, address: str, mode: str) -> dict[str, Any]:
    """One of its outputs, from ROOT/NAME."""
    return {"OutputName": name, "S3Output": {"S3Uri": address, "LocalPath": f"{ROOT}/{name}", "S3UploadMode": mode}}


def cut_short(reason: str) -> bool:
    """Whether a FailureReason names a time limit or a lost host. Exit code 137 is the latter: it is a kill from outside.

    A reason that a training program wrote, before ", exit code: 1", may have the same words.
    """
    if reason.startswith("AlgorithmError: "):
        lost = r"AlgorithmError: (host \S+ was lost \(exit code 137\)|(host \S+ )?exited with code 137)"
        return re.fullmatch(lost, reason) is not None
    return re.search("MaxRuntimeExceeded|InternalServerError", reason) is not None
