"""The contract of AWS Batch: limits, states, the names of jobs, rules of retries, and how a container gets its files."""

import base64
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MOST_CHILDREN = 10_000  # of an array
LONGEST_DEFINITION = 24 * 1024
LONGEST_OVERRIDES = 8192  # characters; ECS's limit
LEAST_SECONDS = 60  # of an attempt
KILL_SECONDS = 30  # from the end of its time, SIGTERM, to SIGKILL
STATES = {
    "SUBMITTED": "pending", "PENDING": "pending", "RUNNABLE": "pending", "STARTING": "running", "RUNNING": "running",
    "SUCCEEDED": "succeeded", "FAILED": "failed",
}  # fmt: skip
GOING_ON = [state for state, ours in STATES.items() if ours in ("pending", "running")]
ARCHITECTURE = "amd64"  # of the stack's machines
CARRIER_VCPUS, CARRIER_MIB = 1.0, 512  # of the container that carries files beside one without Python
CARRIER_VCPUS_ON_FARGATE = 0.25
CANCELLED = "cancelled by simferry"  # the reason with which arrays are terminated
ROOT = "/opt/ml/processing"
WORKER, CARRIER = "work", "carry"  # the containers of a task whose image has no Python
BEFORE = "bring"  # and one that ends before an image starts that is the program
VOLUME, OWN_VOLUME = "ml", "simferry"  # what containers share; what only those of the carrier do
OWN_FOLDER = "/simferry"  # where the latter is
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


def carrier_command(*more: str) -> list[str]:
    """The command that runs the carrier in a container with Python: its whole text, packed. -I: what lies in the image's working
    directory, or is named in its variables, is no module of it. more: modules beside it, the last of which is run."""
    folder = Path(__file__).parents[2] / "worker"
    names = ("s3", "carrier", *more)
    parts = [(folder / f"{name}.py").read_text() for name in names]
    parts = [re.sub(r"^from (__future__|[.]\w+) import .*\n", "", part, flags=re.M) for part in parts]
    run = [part.partition('\nif __name__ == "__main__":')[0] for part in parts[:-1]] + parts[-1:]
    packed = base64.b85encode(
        zlib.compress("\n".join(["from __future__ import annotations", *run]).encode(), 9)
    ).decode()
    unpacked = f"zlib.decompress(base64.b85decode({packed!r})).decode()"
    return ["python3", "-I", "-c", f"import base64,zlib;text={unpacked};exec(text)"]


# In the worker's container, where the carrier is in another one: waits for the files, works, and says how it ended. The carrier
# notices a container that dies by the file that is no longer touched. When the job is to end, one of the two containers makes the
# file scratch/stop; an interrupt is sent only then, since without the file it would be the simulation's own.
BESIDE = f"""
trap 'exit 143' TERM
cd {ROOT} || exit 1
until [ -e carried ]; do sleep 0.2; done
read -r SIMFERRY_ATTEMPT < carried; export SIMFERRY_ATTEMPT
[ "$SIMFERRY_ATTEMPT" = 0 ] && exit 0
trap '{{ echo > scratch/stop; }} 2> /dev/null' TERM
"$@" &
pid=$! told=
while :; do
  {{ echo > alive; }} 2> /dev/null
  [ -z "$told" ] && [ -e scratch/stop ] && told=1 && kill -INT $pid
  sleep 1
done 2> /dev/null &
signs=$!
wait $pid; code=$?
while kill -0 $pid 2> /dev/null; do wait $pid; code=$?; done
kill $signs
echo $code > ended.part && mv ended.part ended
exit $code
""".strip()


def beside_command(command: list[str]) -> list[str]:
    """The command of the worker's container where the carrier is beside it."""
    return ["sh", "-c", BESIDE, "sh", *command]


_PYTHON = re.compile(r"python(3([.]\d+)?)?")
_SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh")
_RUN_ALL = 'exec "$0" "$@"'  # in a shell


def after_entrypoint(entrypoint: Sequence[str], command: list[str]) -> list[str] | None:
    """A command for an image with an entry point, which Batch can't replace: the command is its arguments. None if the entry point
    leaves no room for one, such as a script of Python or R.

    entrypoint: its words; of one that is not known here it is assumed that it runs its arguments, as scripts do that end with
    exec "$@". An R that runs the command keeps signals to itself.
    """
    first, rest = (entrypoint[0].rpartition("/")[2], [*entrypoint[1:]]) if entrypoint else ("", [])
    if _PYTHON.fullmatch(first):
        if rest:
            return None
        if command[0] == "python3":
            return command[1:]
        return ["-I", "-c", "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])", *command]
    if first in ("R", "Rscript"):  # no space and no line break: they change them
        texts = ",".join(f"rawToChar(as.raw(c({','.join(map(str, one.encode()))})))" for one in command[1:])
        run = ["-e", f"quit('no',system2('{command[0]}',shQuote(c({texts}))))"]
        return None if rest else run if first == "Rscript" else ["--no-echo", "--no-restore", *run]
    if first in _SHELLS:
        options = [one for one in rest if one.startswith("-")]
        if rest and options and rest[-1] == options[-1] and "c" in options[-1]:
            return [_RUN_ALL, *command]
        if any(re.fullmatch(r"-\w*c", one) for one in options):
            return None
        return command if len(options) < len(rest) else ["-c", _RUN_ALL, *command]
    return command


def mebibytes(text: str) -> int:
    """MiB of a size such as 4G or 512M."""
    number, unit = re.fullmatch(r"([0-9.]+) ?([KMGT])i?B?", text.strip(), re.I).groups()  # type: ignore[union-attr]
    return round(float(number) * {"K": 2**-10, "M": 1, "G": 2**10, "T": 2**20}[unit.upper()])


def nearest_on_fargate(vcpus: float, mib: int) -> tuple[float, int]:
    """The smallest size of Fargate that has at least these vCPUs and MiB; the largest if none has."""
    sizes = [(cpu, round(gb * 1024)) for cpu, some in FARGATE.items() for gb in some]
    return next((one for one in sorted(sizes) if one[0] >= vcpus and one[1] >= mib), max(sizes))


def has_room_for_carrier(vcpus: float, mib: int, containers: int = 1) -> bool:
    """Whether a size of Fargate leaves something to the worker beside a carrier, in so many containers."""
    return vcpus > containers * CARRIER_VCPUS_ON_FARGATE and mib > (containers + 1) * CARRIER_MIB


def overrides(environment: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in sorted(environment.items())]


def containers_of(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The containers of a job, or of a job definition: its only one, or those of its task."""
    tasks = job.get("ecsProperties", {}).get("taskProperties", [])
    only = job.get("container") or job.get("containerProperties") or {}
    return [container for task in tasks for container in task["containers"]] or [only]


def cut_short(reason: str) -> bool:
    """Whether a job ended by its time limit, or because its machine was lost."""
    return ran_too_long(reason) or reason.startswith(("Host EC2", "Your Spot Task was interrupted"))


def ran_too_long(reason: str) -> bool:
    """Whether a job ended by its time limit."""
    return reason.startswith("Job attempt duration exceeded")


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
