"""One SageMaker Processing job, run in local containers under the service's contract.

The request is that of CreateProcessingJob. Where the service has S3 there is a `Storage`; everything else is as there:
/opt/ml/processing/..., /opt/ml/config/*.json, the entry point and arguments, several hosts on one network, the limits of the
instance type, exit codes, ExitMessage, the maximal run time. Nothing stays behind: `finish` and `discard` remove containers,
network and folder, and what a killed process left is found by its labels (`leftovers`).
"""

import codecs
import contextlib
import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .. import untrusted
from ..aws.instances import Instance, instance
from ..aws.limits import RequestRefused, check_request
from ..untrusted import Tree
from .engine import EngineError, find_image

OWNER = "simferry.owner"  # label: who started it; all that an owner left behind is found by it
JOB = "simferry.job"
GIB = 2**30
MESSAGE_BYTES = 1024
LONGEST_MESSAGE = 1 << 16  # of which so much is looked at
ROLE = "arn:aws:iam::000000000000:role/simferry-local"  # of jobs that run here: nobody is asked for it


class Storage(Protocol):
    """Where a job's inputs come from and its outputs go."""

    def fetch(self, source: dict[str, Any], folder: Path, host: int, hosts: int) -> None:
        """Bring what an S3Input of the request names into a folder; of sharded data only host number `host`'s share."""

    def send(self, tree: Tree, uri: str) -> None:
        """Bring the files of a tree that are new or have changed to a URI; what can't be brought is passed over."""


HERE = "s3://this-machine"  # the service knows no addresses but those of S3


def local_uri(path: Path) -> str:
    """A folder of this machine, as the request of a job that runs here names it."""
    return f"{HERE}{path.absolute()}"


def share(files: list[Any], source: dict[str, Any], host: int, hosts: int) -> list[Any]:
    """What host number `host` gets of an input's files: all of them, or every so many where they are sharded."""
    return files[host::hosts] if source.get("S3DataDistributionType") == "ShardedByS3Key" else files


class Files:
    """Storage in folders of this machine."""

    def __init__(self) -> None:
        self.sent: untrusted.Sent = {}

    def fetch(self, source: dict[str, Any], folder: Path, host: int, hosts: int) -> None:
        path = Path(source["S3Uri"].removeprefix(HERE))
        if not path.exists():
            raise FileNotFoundError(2, "there is no such input", str(path))
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        base = path if path.is_dir() else path.parent
        for file in share(files, source, host, hosts):
            target = folder / file.relative_to(base)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)

    def send(self, tree: Tree, uri: str) -> None:
        target = Path(uri.removeprefix(HERE))
        target.mkdir(parents=True, exist_ok=True)
        tree.send(self.sent, lambda file, stream: untrusted.write(target, file.name, stream, file.size))


@dataclass
class Outcome:
    """How a job stands: the service's ProcessingJobStatus, ExitMessage and FailureReason."""

    status: str  # InProgress, Completed, Failed, Stopped
    exit_message: str = ""
    failure_reason: str = ""


class ProcessingJob:
    """A job in containers here.

    request: as for CreateProcessingJob. folder: an empty one of the job's own, for what the containers see as /opt/ml.
    arn: what the containers are told that the job is. image: the engine's own name for what the request's ImageUri means.
    """

    def __init__(
        self,
        client: Any,
        request: dict[str, Any],
        folder: Path,
        storage: Storage,
        owner: str,
        arn: str = "",
        image: str = "",
    ) -> None:
        check_request("sagemaker", "CreateProcessingJob", request)
        self.client, self.request, self.folder, self.storage = client, request, folder, storage
        self.name = request["ProcessingJobName"]
        self.arn = arn or f"arn:aws:sagemaker:us-east-1:000000000000:processing-job/{self.name}"
        self.image = image or request["AppSpecification"]["ImageUri"]
        self.labels = {OWNER: owner, JOB: self.name}
        cluster = request["ProcessingResources"]["ClusterConfig"]
        self.hosts = [f"algo-{i + 1}" for i in range(cluster.get("InstanceCount", 1))]
        self.instance = instance(cluster["InstanceType"])
        self.volume_bytes = cluster["VolumeSizeInGB"] * GIB
        self.started = 0.0
        self.send_again = 0.0
        self.stopped = ""  # why, once it is
        self.left_out: dict[str, dict[str, str]] = {host: {} for host in self.hosts}  # of the outputs, and why
        self.containers: dict[str, Any] = {}
        self.network: Any = None
        self.outcome = Outcome("InProgress")

    # ---- start ----

    def start(self) -> None:
        """Bring the inputs, write the configuration, start the hosts. What fails leaves nothing behind."""
        find_image(self.client, self.image)
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)  # the hosts' folders below are anybody's
            for number, host in enumerate(self.hosts):
                self._prepare(number, host)
            if len(self.hosts) > 1:
                self.network = self.client.networks.create(
                    f"{self.name}-{os.getpid()}", driver="bridge", labels=self.labels,
                    internal=bool(self.request.get("NetworkConfig", {}).get("EnableNetworkIsolation")),
                )  # fmt: skip
            for host in self.hosts:
                self.containers[host] = self._container(host)
            for container in self.containers.values():
                container.start()
        except BaseException:
            self.discard()
            raise
        self.started = time.monotonic()

    def _inside(self, host: str, path: str) -> Path:
        """Where a path of the container lies here. Raises RequestRefused for one that would lie outside of the job's folder."""
        if not path.startswith("/opt/ml/") or ".." in path.split("/"):
            raise RequestRefused(f"LocalPath must begin with /opt/ml/ and not lead out of it, and is '{path}'")
        return self.folder / host / Path(path).relative_to("/opt/ml")

    def _prepare(self, number: int, host: str) -> None:
        for name in ("config", "output", "processing"):
            (self.folder / host / name).mkdir(parents=True)
        for one in self.request.get("ProcessingInputs", []):
            source = one["S3Input"]
            target = self._inside(host, source["LocalPath"])
            target.mkdir(parents=True, exist_ok=True)
            self.storage.fetch(source, target, number, len(self.hosts))
        for one in self.request.get("ProcessingOutputConfig", {}).get("Outputs", []):
            self._inside(host, one["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
        self._configure(host)
        for path in [self.folder / host, *(self.folder / host).rglob("*")]:  # the image's user is another than ours
            path.chmod(0o777 if path.is_dir() else 0o666)

    def _configure(self, host: str) -> None:
        r = self.request
        config = {
            "ProcessingJobArn": self.arn,
            "ProcessingJobName": self.name,
            "AppSpecification": r["AppSpecification"],
            "Environment": r.get("Environment", {}),
            "ProcessingInputs": r.get("ProcessingInputs", []),
            "ProcessingOutputConfig": r.get("ProcessingOutputConfig", {"Outputs": []}),
            "ProcessingResources": r["ProcessingResources"],
            "RoleArn": r["RoleArn"],
            "StoppingCondition": r.get("StoppingCondition", {"MaxRuntimeInSeconds": 86400}),
        }
        resources = {
            "current_host": host,
            "current_instance_type": self.instance.name,
            "hosts": self.hosts,
            "network_interface_name": "eth0",
        }
        folder = self.folder / host / "config"
        (folder / "processingjobconfig.json").write_text(json.dumps(config))
        (folder / "resourceconfig.json").write_text(json.dumps(resources))

    def _container(self, host: str) -> Any:
        application = self.request["AppSpecification"]
        cores = cores_of(self.instance, os.cpu_count() or 1)
        memory = int(self.instance.memory_gib * GIB)
        isolated = self.request.get("NetworkConfig", {}).get("EnableNetworkIsolation") and not self.network
        options: dict[str, Any] = {"network_mode": "none"} if isolated else {}
        if self.network:
            options = {
                "network": self.network.name,
                "networking_config": {
                    self.network.name: self.client.api.create_endpoint_config(aliases=[host]),
                },
            }
        return self.client.containers.create(
            self.image,
            entrypoint=application.get("ContainerEntrypoint"),
            command=application.get("ContainerArguments"),
            environment=self.request.get("Environment", {}),
            hostname=host,
            name=f"{self.name}-{host}",
            volumes={str(self.folder / host): {"bind": "/opt/ml", "mode": "rw"}},
            nano_cpus=cores * 10**9,
            mem_limit=memory,
            memswap_limit=memory,  # no swap there either
            labels=self.labels,
            **options,
        )

    # ---- watch ----

    def poll(self) -> Outcome:
        """How the job stands now; when it has ended, its outputs are there and its containers gone."""
        if self.outcome.status != "InProgress":
            return self.outcome
        import docker.errors

        states: dict[str, dict[str, Any]] = {}
        for host, container in self.containers.items():
            try:
                container.reload()
                states[host] = container.attrs["State"]
            except docker.errors.NotFound:  # removed by somebody
                states[host] = {"Running": False, "Status": "removed", "ExitCode": 137, "OOMKilled": False}
        if time.monotonic() >= self.send_again:
            began = time.monotonic()
            self._send("Continuous")
            # to look through many files is to be a small part of the time
            self.send_again = time.monotonic() + 4 * (time.monotonic() - began)
        seconds = self.request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86400)
        running = [host for host, s in states.items() if s.get("Running") or s.get("Status") == "created"]
        bad = {host: s for host, s in states.items() if host not in running and s["ExitCode"] != 0}
        if running and time.monotonic() - self.started > seconds:
            self.stop(f"MaxRuntimeExceeded: the job ran longer than {seconds} s")
            return self.poll()
        if running and bad:  # a host is lost: the others are of no use
            for host in running:
                with contextlib.suppress(docker.errors.APIError):
                    self.containers[host].kill()
            return self.finish(bad)
        if running:
            return self.outcome
        return self.finish(bad or states)

    def logs(self, host: str) -> str:
        """What a host has printed so far."""
        with contextlib.suppress(Exception):
            printed: bytes = self.containers[host].logs()
            return printed.decode(errors="replace")
        return ""

    def signal(self, name: str) -> None:
        """Send a signal to each host's first process."""
        for container in self.containers.values():
            with contextlib.suppress(Exception):
                container.kill(signal=name)

    def stop(self, why: str) -> None:
        """End the job, as StopProcessingJob does."""
        self.stopped = self.stopped or why
        self.signal("SIGKILL")

    # ---- end ----

    def finish(self, states: dict[str, dict[str, Any]]) -> Outcome:
        """Outputs out, containers gone. states: of the hosts that decide about the outcome."""
        self._send("Continuous")
        written = b"".join(self._message(host) for host in self.hosts)
        message = written[:MESSAGE_BYTES].decode(errors="ignore")
        bad = {host: s for host, s in states.items() if s["ExitCode"] != 0}
        if self.stopped:
            self.outcome = Outcome("Stopped", message, self.stopped)
        elif bad:
            host, state = next(iter(bad.items()))
            memory = f"{self.instance.memory_gib:g} GiB"
            why = f"out of memory ({self.instance.name} has {memory})" if state.get("OOMKilled") else ""
            which = f"host {host} " if len(self.hosts) > 1 else ""
            reason = f"AlgorithmError: {which}exited with code {state['ExitCode']}{': ' + why if why else ''}"
            if len(self.hosts) > 1 and state["ExitCode"] == 137 and not why:
                reason = f"AlgorithmError: host {host} was lost (exit code 137)"
            self.outcome = Outcome("Failed", message, reason)
        elif not is_text(written):
            self.outcome = Outcome("Failed", message, "ClientError: /opt/ml/output/message is not encoded in UTF-8")
        else:
            self._send("EndOfJob")
            self.outcome = Outcome("Completed", message)
        self.kept_logs = {host: self.logs(host) + self._left_out(host) for host in self.hosts}
        self.discard()
        return self.outcome

    def _send(self, mode: str) -> None:
        for one in self.request.get("ProcessingOutputConfig", {}).get("Outputs", []):
            output = one["S3Output"]
            if output.get("S3UploadMode", "EndOfJob") == mode:
                for host in self.hosts:
                    parts = self._inside(host, output["LocalPath"]).relative_to(self.folder / host).parts
                    tree = Tree(self.folder / host, parts, self.volume_bytes, self.left_out[host])
                    self.storage.send(tree, output["S3Uri"])

    def _message(self, host: str) -> bytes:
        return untrusted.read(self.folder / host, "output/message", LONGEST_MESSAGE) or b""

    def _left_out(self, host: str) -> str:
        return "".join(
            f"simferry: {f'/opt/ml/{name}'!r} is left out: {why}\n" for name, why in self.left_out[host].items()
        )

    def discard(self) -> None:
        """Remove containers, network and folder, whatever state they are in."""
        with contextlib.suppress(EngineError):  # by label: one that was made may not have been told of
            leftovers(self.client, self.labels)
        remove_folder(self.client, self.image, self.folder)


def is_text(content: bytes) -> bool:
    """Whether it is UTF-8, as far as it was read: its last character may be cut."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content, final=len(content) % LONGEST_MESSAGE != 0)
    except UnicodeDecodeError:
        return False
    return True


def cores_of(kind: Instance, here: int) -> int:
    """The cores that a job gets here: the instance's, or as many as there are."""
    return min(kind.cores, here)


def remove_folder(client: Any, image: str, folder: Path) -> None:
    """Remove a folder in which a container's user, perhaps root, has written. The engine would follow a link in its place."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists() and not folder.is_symlink():
        with contextlib.suppress(Exception):
            client.containers.run(
                image, entrypoint=["chmod", "-R", "a+rwX", "/folder"], user="0", remove=True, network_mode="none",
                volumes={str(folder): {"bind": "/folder", "mode": "rw"}},
            )  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)


def leftovers(client: Any, labels: dict[str, str]) -> None:
    """Remove the containers and networks that have all these labels."""
    filters = {"label": [f"{name}={value}" for name, value in labels.items()]}
    try:
        for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
            with contextlib.suppress(Exception):
                container.remove(force=True, v=True)
        for network in client.networks.list(filters=filters):
            with contextlib.suppress(Exception):
                network.remove()
    except Exception as error:
        raise EngineError(f"Docker's engine did not answer: {error}") from None
