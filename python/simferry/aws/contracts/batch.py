"""The contract of AWS Batch: limits, states, the names of jobs, rules of retries, and how a container gets its files."""

import base64
import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_CHILDREN = 10_000  # of an array
LONGEST_DEFINITION = 24 * 1024
LONGEST_OVERRIDES = 8192  # characters; ECS's limit
LEAST_SECONDS = 60  # of an attempt
STATES = {
    "SUBMITTED": "pending", "PENDING": "pending", "RUNNABLE": "pending", "STARTING": "running", "RUNNING": "running",
    "SUCCEEDED": "succeeded", "FAILED": "failed",
}  # fmt: skip
ARCHITECTURE = "amd64"  # of the stack's machines
CARRIER_VCPUS, CARRIER_MIB = 1.0, 512  # of the container that carries files beside one without Python
CARRIER_VCPUS_ON_FARGATE = 0.25
CANCELLED = "cancelled by simferry"  # the reason with which arrays are terminated
ROOT = "/opt/ml/processing"
WORKER, CARRIER = "work", "carry"  # the containers of a task whose image has no Python
VOLUME = "ml"
# what an image without Python has beside it; SIMFERRY_CARRIER_IMAGE replaces it
PYTHON_IMAGE = "public.ecr.aws/docker/library/python:3.12-slim"
# vCPU: GB of memory, on Fargate
FARGATE: dict[float, tuple[float, ...]] = {
    0.25: (0.5, 1, 2), 0.5: (1, 2, 3, 4), 1: tuple(range(2, 9)), 2: tuple(range(4, 17)), 4: tuple(range(8, 31)),
    8: tuple(range(16, 61, 4)), 16: tuple(range(32, 121, 8)), 32: (60, 120, 244),
}  # fmt: skip

# Only lost machines are tried again by the service: what else went wrong, the driver deals out anew, or reports. If no rule matches,
# the service tries again, so that the last one ends all others. A rule needs all its conditions.
RETRIES = [
    {"onStatusReason": "Host EC2*", "action": "RETRY"},
    {"onStatusReason": "Your Spot Task was interrupted*", "action": "RETRY"},
    {"onExitCode": "*", "action": "EXIT"},
    {"onReason": "*", "action": "EXIT"},
    {"onStatusReason": "*", "action": "EXIT"},
]


def carrier_command() -> list[str]:
    """The command that runs the carrier in a container with Python: its whole text, packed."""
    path = Path(__file__).parents[2] / "worker" / "carrier.py"
    packed = base64.b85encode(zlib.compress(path.read_bytes(), 9)).decode()
    return ["python3", "-c", f"import base64,zlib;exec(zlib.decompress(base64.b85decode({packed!r})))"]


# In the worker's container, where the carrier is in another one: waits for the files, works, and says how it ended. The carrier
# notices a container that dies by the file that is no longer touched.
BESIDE = f"""
cd {ROOT}
until [ -e carried ]; do sleep 0.2; done
read -r SIMFERRY_ATTEMPT < carried; export SIMFERRY_ATTEMPT
[ "$SIMFERRY_ATTEMPT" = 0 ] && exit 0
(while :; do : > alive; sleep 2; done) &
"$@" &
pid=$!
trap 'kill -INT $pid' TERM
wait $pid; code=$?
while kill -0 $pid 2> /dev/null; do wait $pid; code=$?; done
echo $code > ended.part && mv ended.part ended
exit $code
""".strip()


def beside_command(command: list[str]) -> list[str]:
    """The command of the worker's container where the carrier is beside it."""
    return ["sh", "-c", BESIDE, "sh", *command]


def after_entrypoint(entrypoint: str, command: list[str]) -> list[str]:
    """A command for an image with an entry point, which Batch can't replace: the command is its arguments.

    entrypoint: the last part of its first word, such as Rscript. One that is not known here has to run its arguments, as scripts do
    that end with exec "$@".
    """
    if entrypoint.startswith("python"):
        if command[0] == "python3":
            return command[1:]
        return ["-c", "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])", *command]
    if entrypoint == "Rscript":  # no space and no line break: Rscript changes them
        texts = ",".join(f"rawToChar(as.raw(c({','.join(map(str, one.encode()))})))" for one in command[1:])
        return ["-e", f"quit(status=system2('{command[0]}',shQuote(c({texts}))))"]
    if entrypoint in ("sh", "bash") and command[0] == "sh":
        return command[1:]
    return command


def mebibytes(text: str) -> int:
    """MiB of a size such as 4G or 512M."""
    number, unit = re.fullmatch(r"([0-9.]+) ?([KMGT])i?B?", text.strip(), re.I).groups()  # type: ignore[union-attr]
    return round(float(number) * {"K": 2**-10, "M": 1, "G": 2**10, "T": 2**20}[unit.upper()])


def nearest_on_fargate(vcpus: float, mib: int) -> tuple[float, int]:
    """The smallest size of Fargate that has at least these vCPUs and MiB; the largest if none has."""
    sizes = [(cpu, round(gb * 1024)) for cpu, some in FARGATE.items() for gb in some]
    return next((one for one in sorted(sizes) if one[0] >= vcpus and one[1] >= mib), max(sizes))


def has_room_for_carrier(vcpus: float, mib: int) -> bool:
    """Whether a size of Fargate leaves something to the worker beside a carrier."""
    return vcpus > CARRIER_VCPUS_ON_FARGATE and mib > 2 * CARRIER_MIB


def overrides(environment: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in sorted(environment.items())]


def cut_short(reason: str) -> bool:
    """Whether a job ended by its time limit, or because its machine was lost."""
    return reason.startswith(("Host EC2", "Job attempt duration exceeded", "Your Spot Task was interrupted"))


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
