"""The contract of SageMaker Processing, for a job in containers here.

It has /opt/ml/processing/..., /opt/ml/config/*.json, the entry point and arguments, exit codes and ExitMessage.
"""

import codecs
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..aws.instances import instance
from ..aws.limits import RequestRefused, check_request
from ..system import untrusted
from ..system.untrusted import Tree
from .job import Host, Launch, Needs, Outcome, failed_by, resources_of
from .storage import Storage

MESSAGE_BYTES = 1024
LONGEST_MESSAGE = 1 << 16  # bytes of a message that are read
MOUNT = "/opt/ml"


class Processing:
    """The `Contract` of SageMaker Processing. arn: the job's ARN in its configuration file."""

    grace_seconds = 0  # a worker that is to stop is told so beforehand

    def __init__(self, arn: str = "") -> None:
        self.arn = arn

    def needs(self, request: Mapping[str, Any]) -> Needs:
        check_request("sagemaker", "CreateProcessingJob", dict(request))
        cluster = request["ProcessingResources"]["ClusterConfig"]
        return Needs(
            request["ProcessingJobName"],
            request["AppSpecification"]["ImageUri"],
            instance(cluster["InstanceType"]),
            cluster.get("InstanceCount", 1),
            cluster["VolumeSizeInGB"],
            request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86400),
            bool(request.get("NetworkConfig", {}).get("EnableNetworkIsolation")),
        )

    def prepare(self, host: Host, request: Mapping[str, Any], storage: Storage) -> Launch:
        for name in ("config", "output", "processing"):
            (host.folder / name).mkdir(parents=True)
        for one in request.get("ProcessingInputs", []):
            source = one["S3Input"]
            target = _inside(host, source["LocalPath"])
            target.mkdir(parents=True, exist_ok=True)
            storage.fetch(source, target, host.number, host.needs.hosts)
        for one in _outputs(request):
            _inside(host, one["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
        self._configure(host, request)
        application = request["AppSpecification"]
        return Launch(
            application.get("ContainerEntrypoint"),
            application.get("ContainerArguments"),
            request.get("Environment", {}),
            MOUNT,
        )

    def _configure(self, host: Host, request: Mapping[str, Any]) -> None:
        config = {
            "ProcessingJobArn": self.arn or arn_here(host.needs.name),
            "ProcessingJobName": host.needs.name,
            "AppSpecification": request["AppSpecification"],
            "Environment": request.get("Environment", {}),
            "ProcessingInputs": request.get("ProcessingInputs", []),
            "ProcessingOutputConfig": request.get("ProcessingOutputConfig", {"Outputs": []}),
            "ProcessingResources": request["ProcessingResources"],
            "RoleArn": request["RoleArn"],
            "StoppingCondition": request.get("StoppingCondition", {"MaxRuntimeInSeconds": 86400}),
        }
        folder = host.folder / "config"
        (folder / "processingjobconfig.json").write_text(json.dumps(config))
        (folder / "resourceconfig.json").write_text(json.dumps(resources_of(host)))

    def send(self, hosts: list[Host], request: Mapping[str, Any], storage: Storage, status: str) -> None:
        mode = {"InProgress": "Continuous", "Completed": "EndOfJob"}.get(status)
        for host in hosts:
            for one in _outputs(request):
                output = one["S3Output"]
                if output.get("S3UploadMode", "EndOfJob") == mode:
                    parts = _inside(host, output["LocalPath"]).relative_to(host.folder).parts
                    storage.send(Tree(host.folder, parts, host.volume_bytes, host.left_out), output["S3Uri"])

    def outcome(self, hosts: list[Host], states: Mapping[str, Mapping[str, Any]], stopped: str) -> Outcome:
        written = b"".join(_message(host) for host in hosts)
        message = written[:MESSAGE_BYTES].decode(errors="ignore")
        bad = {host: s for host, s in states.items() if s["ExitCode"] != 0}
        if stopped:
            return Outcome("Stopped", message, stopped)
        if bad:
            first = min(bad.items(), key=lambda item: item[1]["ExitCode"] != 137)  # others end because one is lost
            return Outcome("Failed", message, f"AlgorithmError: {failed_by(*first, hosts[0].needs)}")
        if not is_text(written):
            return Outcome("Failed", message, "ClientError: /opt/ml/output/message is not encoded in UTF-8")
        return Outcome("Completed", message)


def arn_here(name: str) -> str:
    """The ARN of a job that runs without the service."""
    return f"arn:aws:sagemaker:us-east-1:000000000000:processing-job/{name}"


def _outputs(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(request.get("ProcessingOutputConfig", {}).get("Outputs", []))


def _inside(host: Host, path: str) -> Path:
    """The path on this machine of a path in the container. Raises RequestRefused if it is outside of the job's folder."""
    if not path.startswith(f"{MOUNT}/") or ".." in path.split("/"):
        raise RequestRefused(f"LocalPath must begin with {MOUNT}/ and not lead out of it, and is '{path}'")
    return host.folder / Path(path).relative_to(MOUNT)


def _message(host: Host) -> bytes:
    return untrusted.read(host.folder, "output/message", LONGEST_MESSAGE) or b""


def is_text(content: bytes) -> bool:
    """Whether it is UTF-8. The last character may be incomplete if the file was not read to its end."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content, final=len(content) % LONGEST_MESSAGE != 0)
    except UnicodeDecodeError:
        return False
    return True
