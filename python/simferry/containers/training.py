"""The contract of SageMaker Training, for a job in containers here.

It has /opt/ml/input, model, output and checkpoints, the argument `train`, the failure file, SIGTERM and 120 seconds, and exit codes.
A program that says that it failed has failed, whatever its exit code: the service would call it Completed, and nobody would look.
"""

import contextlib
import gzip
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from ..aws.contracts import training as contract
from ..aws.instances import instance
from ..aws.limits import RequestRefused, check_request
from ..system import untrusted
from ..system.untrusted import File, Tree
from .job import Host, Launch, Needs, Outcome, failed_by, resources_of
from .storage import Storage

_ARCHIVES = {"model.tar.gz": ("model",), "output.tar.gz": ("output", "data")}
INTERRUPTED = "the Spot instance was taken back"  # why a job is stopped that is to go on from its checkpoints
_FAILURE_BYTES = 4 * contract.FAILURE_CHARACTERS
_TAKEN = ("input", "model", "output", "code")  # folders below /opt/ml that are not for checkpoints
# the second is what MATLAB's writetable makes of the name without an extension
_FAILURES = ("failure", "failure.txt")


class Training:
    """The `Contract` of SageMaker Training. arn: the job's ARN, which it finds in its environment."""

    grace_seconds: float = contract.GRACE_SECONDS

    def __init__(self, arn: str = "") -> None:
        self.arn = arn

    def needs(self, request: Mapping[str, Any]) -> Needs:
        check_request("sagemaker", "CreateTrainingJob", dict(request))
        checkpoints_of(request)
        resources = request["ResourceConfig"]
        return Needs(
            request["TrainingJobName"],
            request["AlgorithmSpecification"]["TrainingImage"],
            instance(resources["InstanceType"]),
            resources.get("InstanceCount", 1),
            resources["VolumeSizeInGB"],
            request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86400),
            bool(request.get("EnableNetworkIsolation")),
        )

    def prepare(self, host: Host, request: Mapping[str, Any], storage: Storage) -> Launch:
        checkpoints, parts = checkpoints_of(request)
        for name in ("input/config", "input/data", "model", "output/data", "/".join(parts)):
            (host.folder / name).mkdir(parents=True)
        if checkpoints:
            storage.restore(Tree(host.folder, parts), checkpoints)
        for one in request.get("InputDataConfig", []):
            folder = host.folder / "input" / "data" / one["ChannelName"]
            folder.mkdir()
            storage.fetch(one["DataSource"]["S3DataSource"], folder, host.number, host.needs.hosts)
        config = {
            "hyperparameters": request.get("HyperParameters", {}),
            "inputdataconfig": contract.input_config(request),
            "resourceconfig": resources_of(host),
        }
        for name, content in config.items():
            (host.folder / "input" / "config" / f"{name}.json").write_text(json.dumps(content))
        program = request["AlgorithmSpecification"]
        own = {"TRAINING_JOB_NAME": host.needs.name, "TRAINING_JOB_ARN": self.arn or arn_here(host.needs.name)}
        return Launch(
            program.get("ContainerEntrypoint"),
            program.get("ContainerArguments") or (None if program.get("ContainerEntrypoint") else ["train"]),
            {**request.get("Environment", {}), **own},
            contract.ROOT,
        )

    def send(self, hosts: list[Host], request: Mapping[str, Any], storage: Storage, status: str) -> None:
        checkpoints, parts = checkpoints_of(request)
        for host in hosts if checkpoints else ():
            storage.send(Tree(host.folder, parts, host.volume_bytes, host.left_out), checkpoints)
        if status in ("InProgress", "Interrupted"):
            return
        packed = hosts[0].folder.parent / "packed"  # which no container sees
        packed.mkdir(exist_ok=True)
        for name, parts in _ARCHIVES.items():
            if status != "Failed" or name == "output.tar.gz":
                trees = [Tree(host.folder, parts, host.volume_bytes, host.left_out) for host in hosts]
                pack(trees[::-1], packed / name)  # so that the first host's files win
        storage.send(
            Tree(packed), f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{hosts[0].needs.name}/output"
        )

    def outcome(self, hosts: list[Host], states: Mapping[str, Mapping[str, Any]], stopped: str) -> Outcome:
        if stopped:
            return Outcome("Interrupted" if stopped == INTERRUPTED else "Stopped", "", stopped)
        bad = {host: state for host, state in states.items() if state["ExitCode"] != 0}
        said = next(filter(None, (_failure(host) for host in hosts if host.name in bad or not bad)), "")
        if bad:
            host, state = next(iter(bad.items()))
            reason = f"{said}, exit code: {state['ExitCode']}" if said else failed_by(host, state, hosts[0].needs)
            return Outcome("Failed", said, f"AlgorithmError: {reason}")
        if said := said or next(filter(None, map(_unreadable_failure, hosts)), ""):
            return Outcome("Failed", said, f"AlgorithmError: {said}, exit code: 0")
        return Outcome("Completed")


def checkpoints_of(request: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The address of a job's checkpoints, which is empty if they are not kept, and their folder's path below /opt/ml."""
    config = request.get("CheckpointConfig", {})
    path = config.get("LocalPath") or f"{contract.ROOT}/checkpoints"
    parts = PurePosixPath(path).parts
    if parts[:3] != PurePosixPath(contract.ROOT).parts or len(parts) < 4 or ".." in parts or parts[3] in _TAKEN:
        raise RequestRefused(
            f"CheckpointConfig: LocalPath must be a folder of its own below {contract.ROOT}/, and is '{path}'",
            f"The default is {contract.ROOT}/checkpoints.",
        )
    return config.get("S3Uri", ""), parts[3:]


def arn_here(name: str) -> str:
    """The ARN of a training job that runs without the service."""
    return f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"


def pack(trees: list[Tree], path: Path) -> None:
    """Write the plain files of trees as a tar.gz. Of files with one name, who unpacks it gets the last tree's. Files that can't be
    read, or have holes and do not fit on the disk, are passed over."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):

        def add(file: File, stream: BinaryIO) -> None:
            if file.on_disk < file.size:
                untrusted.check_room(str(path.parent), file.size)
            member = tarfile.TarInfo(file.name)
            member.size, member.mtime = file.size, file.mtime_ns // 10**9
            archive.addfile(member, stream)

        for tree in trees:
            tree.send({}, add)


def _failure(host: Host) -> str:
    """What a host's program says of its failure; empty if it says nothing."""
    for name in _FAILURES:
        written = None
        with contextlib.suppress(PermissionError):
            written = untrusted.read(host.folder, f"output/{name}", _FAILURE_BYTES)
        if written is not None:
            return contract.said(written.decode(errors="replace"))
    folder = Tree(host.folder, ("output", "failure"))
    if not _is_folder(host):
        return ""
    inside = [
        untrusted.read(host.folder, f"output/failure/{file.name}", _FAILURE_BYTES) or b"" for file in folder.files()
    ]
    return contract.said(None, [text.decode(errors="replace") for text in inside])


def _unreadable_failure(host: Host) -> str:
    """What is said of a failure file that is a link, for instance; empty if there is none."""
    try:
        with untrusted.opened(host.folder, "output") as folder:
            name = next((name for name in _FAILURES if name in os.listdir(folder)), "")
    except FileNotFoundError:
        return ""
    except OSError:
        return "/opt/ml/output is no folder that can be read"
    return name and contract.unreadable(name)


def _is_folder(host: Host) -> bool:
    try:
        with untrusted.opened(host.folder, "output", "failure"):
            return True
    except (FileNotFoundError, untrusted.Unfit):
        return False
