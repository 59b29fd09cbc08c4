"""The contract of SageMaker Training: paths in containers, hyperparameters and channels of requests, and their limits."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import UsageError

ROOT = "/opt/ml"
CHANNELS = f"{ROOT}/input/data"
CHECKPOINTS = f"{ROOT}/checkpoints"  # which the service sends to S3, and brings back after an interruption
GRACE_SECONDS = 120  # from SIGTERM to SIGKILL
SECONDS_AT_MOST = 2_419_200  # of MaxRuntimeInSeconds: 28 days
FAILURE_CHARACTERS = 1024  # of output/failure, which become the FailureReason
MOST_HYPERPARAMETERS, LONGEST_NAME, LONGEST_VALUE = 100, 256, 2500
MOST_METRICS, LONGEST_EXPRESSION = 40, 500
MOST_CHANNELS = 20
STATES = {
    "InProgress": "running", "Stopping": "stopping", "Completed": "succeeded", "Failed": "failed", "Stopped": "cancelled",
    "Deleting": "cancelled",
}  # fmt: skip
OVER_TIME = ("MaxRuntimeExceeded", "MaxWaitTimeExceeded")  # secondary states of jobs that the service has stopped


def channel(name: str, address: str, mode: str = "File", sharded: bool = False) -> dict[str, Any]:
    """One of CreateTrainingJob's channels (InputDataConfig), at /opt/ml/input/data/NAME."""
    source = {"S3DataType": "S3Prefix", "S3Uri": address}
    source["S3DataDistributionType"] = "ShardedByS3Key" if sharded else "FullyReplicated"
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": mode}


def input_config(request: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The content of inputdataconfig.json."""
    out = {}
    for one in request.get("InputDataConfig", []):
        source = one["DataSource"].get("S3DataSource", {})
        mode = one.get("InputMode") or request["AlgorithmSpecification"].get("TrainingInputMode", "File")
        facts = {
            "TrainingInputMode": mode,
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": one.get("RecordWrapperType", "None"),
        }
        out[one["ChannelName"]] = facts | ({"ContentType": one["ContentType"]} if one.get("ContentType") else {})
    return out


def hyperparameter(value: Any) -> str:
    """A parameter as the contract has it, a text: 20, 0.1, true, NA, and JSON for lists."""
    if isinstance(value, list):
        return f"[{', '.join(json.dumps(one) if isinstance(one, str) else hyperparameter(one) for one in value)}]"
    if value is None:
        return "NA"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return "NaN" if value != value else "Inf" if value > 0 else "-Inf"
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return str(value)


def check_hyperparameters(given: Mapping[str, str], where: str = "") -> None:
    """Raise UsageError for hyperparameters that no job takes. where: whose they are, for the message."""
    if len(given) > MOST_HYPERPARAMETERS:
        raise UsageError(
            f"there are {len(given)} hyperparameters{where}; a training job takes {MOST_HYPERPARAMETERS}",
            "Many values go into a file, which is an input.",
        )
    for name, value in given.items():
        if not name or len(name) > LONGEST_NAME:
            raise UsageError(f"hyperparameter {name[:40]!r}: a name has 1 to {LONGEST_NAME} characters")
        if len(value) > LONGEST_VALUE:
            raise UsageError(
                f"hyperparameter {name}{where} has {len(value):,} characters; a training job takes {LONGEST_VALUE:,}",
                "A long value goes into a file, which is an input.",
            )


def said(text: str | None, inside: Sequence[str] | None = None) -> str:
    """What a program says of its failure, as a FailureReason has it; empty if it says nothing. text: its failure file. inside: the files
    of a folder of that name, which the contract does not have."""
    if text is not None:
        return text.strip()[:FAILURE_CHARACTERS] or "output/failure is empty"
    if inside is None:
        return ""
    words = "/opt/ml/output/failure is a folder; the contract has a file there, with the reason why the program failed"
    found = "\n".join(inside).strip()
    return (f"{words}. In the folder: {found}" if found else words)[:FAILURE_CHARACTERS]


def unreadable(name: str) -> str:
    """What is said of a failure file that is a link, for instance."""
    return f"/opt/ml/output/{name} is there and can't be read: it has to be a plain file"


def failure_of(reason: str) -> tuple[str, str]:
    """Of a FailureReason how the program ended, and what it wrote in its failure file; empty if nothing."""
    text = reason.removeprefix("AlgorithmError: ")
    found = re.fullmatch(r"(.*), exit code: (\d+)", text, re.S)
    return (f"exited with code {found[2]}", found[1].strip()) if found else (text, "")


def cut_short(reason: str) -> bool:
    """Whether a FailureReason says that the machine or the service failed, and not the program. Exit code 137 is a kill from outside."""
    if not reason.startswith("AlgorithmError: "):
        return re.search("InternalServerError|CapacityError|MaxRuntimeExceeded", reason) is not None
    how, said = failure_of(reason)
    return (
        not said
        and re.fullmatch(r"(host \S+ )?exited with code 137|host \S+ was lost \(exit code 137\)", how) is not None
    )
