"""One job in containers on this machine, under the contract of a service.

The request is the service's own; what it means is the `Contract`'s to say (processing.py), and where the service has S3 there is
a `Storage`. What any such job has is here: several hosts on one network, the limits of the instance type, the maximal run time.
Nothing stays behind: `finish` and `discard` remove containers, network and folder, and what a killed process left is found by its
labels (`leftovers`).
"""

import contextlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..aws.instances import Instance
from .engine import EngineError, find_image
from .storage import Storage

OWNER = "simferry.owner"  # label: who started it; all that an owner left behind is found by it
JOB = "simferry.job"
GIB = 2**30
ROLE = "arn:aws:iam::000000000000:role/simferry-local"  # of jobs that run here: nobody is asked for it


@dataclass
class Outcome:
    """How a job stands: the service's status, exit message and failure reason."""

    status: str  # InProgress, Completed, Failed, Stopped
    exit_message: str = ""
    failure_reason: str = ""


@dataclass(frozen=True)
class Needs:
    """What a request asks of the machine. seconds: that the job may run. isolated: it reaches no network."""

    name: str
    image: str
    instance: Instance
    hosts: int
    volume_gb: int
    seconds: float
    isolated: bool

    @property
    def host_names(self) -> list[str]:
        return [f"algo-{i + 1}" for i in range(self.hosts)]


@dataclass
class Host:
    """One of a job's containers. folder: what it sees at `Launch.mount`. left_out: files of its outputs, and why they are."""

    name: str  # algo-1
    number: int
    folder: Path
    needs: Needs
    container: Any = None
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def volume_bytes(self) -> int:
        return self.needs.volume_gb * GIB


@dataclass(frozen=True)
class Launch:
    """How a host's container is started. Without entrypoint or command the image's own is taken."""

    entrypoint: list[str] | None
    command: list[str] | None
    environment: Mapping[str, str]
    mount: str


class Contract(Protocol):
    """What a service's jobs find in their containers, and what their ends mean."""

    def needs(self, request: Mapping[str, Any]) -> Needs:
        """Raises RequestRefused for a request that the service would not take."""

    def prepare(self, host: Host, request: Mapping[str, Any], storage: Storage) -> Launch:
        """Fills a host's folder, before it is started."""

    def send(self, host: Host, request: Mapping[str, Any], storage: Storage, ended: bool) -> None:
        """Brings a host's outputs out: those that come while it runs, or those of a job that has `ended` well."""

    def outcome(self, hosts: list[Host], states: Mapping[str, Mapping[str, Any]], stopped: str) -> Outcome:
        """How a job ended. states: the engine's, of the hosts that decide, by name. stopped: why it was stopped, if it was."""


class ContainerJob:
    """A job in containers here.

    folder: an empty one of the job's own, for what the containers see. owner: of its label. image: the engine's own name for what
    the request calls its image.
    """

    def __init__(
        self,
        client: Any,
        request: Mapping[str, Any],
        contract: Contract,
        storage: Storage,
        folder: Path,
        owner: str,
        image: str = "",
    ) -> None:
        self.client, self.request, self.contract, self.storage, self.folder = client, request, contract, storage, folder
        self.needs = contract.needs(request)
        self.name, self.image = self.needs.name, image or self.needs.image
        self.labels = {OWNER: owner, JOB: self.name}
        self.hosts = {name: Host(name, i, folder / name, self.needs) for i, name in enumerate(self.needs.host_names)}
        self.started = 0.0
        self.send_again = 0.0
        self.stopped = ""  # why, once it is
        self.network: Any = None
        self.outcome = Outcome("InProgress")
        self.kept_logs: dict[str, str] = {}  # by host, once it has ended

    # ---- start ----

    def start(self) -> None:
        """Bring the inputs, write the configuration, start the hosts. What fails leaves nothing behind."""
        find_image(self.client, self.image)
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)  # the hosts' folders below are anybody's
            launches = {host.name: self._prepared(host) for host in self.hosts.values()}
            if len(self.hosts) > 1:
                self.network = self.client.networks.create(
                    f"{self.name}-{os.getpid()}", driver="bridge", labels=self.labels, internal=self.needs.isolated
                )
            for name, host in self.hosts.items():
                host.container = self._container(host, launches[name])
            for host in self.hosts.values():
                host.container.start()
        except BaseException:
            self.discard()
            raise
        self.started = time.monotonic()

    def _prepared(self, host: Host) -> Launch:
        launch = self.contract.prepare(host, self.request, self.storage)
        for path in [host.folder, *host.folder.rglob("*")]:  # the image's user is another than ours
            path.chmod(0o777 if path.is_dir() else 0o666)
        return launch

    def _container(self, host: Host, launch: Launch) -> Any:
        cores = cores_of(self.needs.instance, os.cpu_count() or 1)
        memory = int(self.needs.instance.memory_gib * GIB)
        options: dict[str, Any] = {"network_mode": "none"} if self.needs.isolated and not self.network else {}
        if self.network:
            alias = self.client.api.create_endpoint_config(aliases=[host.name])
            options = {"network": self.network.name, "networking_config": {self.network.name: alias}}
        return self.client.containers.create(
            self.image,
            entrypoint=launch.entrypoint,
            command=launch.command,
            environment=launch.environment,
            hostname=host.name,
            name=f"{self.name}-{host.name}",
            volumes={str(host.folder): {"bind": launch.mount, "mode": "rw"}},
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
        for name, host in self.hosts.items():
            try:
                host.container.reload()
                states[name] = host.container.attrs["State"]
            except docker.errors.NotFound:  # removed by somebody
                states[name] = {"Running": False, "Status": "removed", "ExitCode": 137, "OOMKilled": False}
        if time.monotonic() >= self.send_again:
            began = time.monotonic()
            self._send(ended=False)
            # to look through many files is to be a small part of the time
            self.send_again = time.monotonic() + 4 * (time.monotonic() - began)
        running = [name for name, s in states.items() if s.get("Running") or s.get("Status") == "created"]
        bad = {name: s for name, s in states.items() if name not in running and s["ExitCode"] != 0}
        if running and time.monotonic() - self.started > self.needs.seconds:
            self.stop(f"MaxRuntimeExceeded: the job ran longer than {self.needs.seconds} s")
            return self.poll()
        if running and bad:  # a host is lost: the others are of no use
            for name in running:
                with contextlib.suppress(docker.errors.APIError):
                    self.hosts[name].container.kill()
            return self.finish(bad)
        if running:
            return self.outcome
        return self.finish(bad or states)

    def logs(self, host: str) -> str:
        """What a host has printed so far."""
        with contextlib.suppress(Exception):
            printed: bytes = self.hosts[host].container.logs()
            return printed.decode(errors="replace")
        return ""

    def signal(self, name: str) -> None:
        """Send a signal to each host's first process."""
        for host in self.hosts.values():
            with contextlib.suppress(Exception):
                host.container.kill(signal=name)

    def stop(self, why: str) -> None:
        """End the job at once."""
        self.stopped = self.stopped or why
        self.signal("SIGKILL")

    # ---- end ----

    def finish(self, states: dict[str, dict[str, Any]]) -> Outcome:
        """Outputs out, containers gone. states: of the hosts that decide about the outcome."""
        self._send(ended=False)
        outcome = self.contract.outcome(list(self.hosts.values()), states, self.stopped)
        if outcome.status == "Completed":
            self._send(ended=True)
        self.outcome = outcome
        self.kept_logs = {name: self.logs(name) + _left_out(host) for name, host in self.hosts.items()}
        self.discard()
        return self.outcome

    def _send(self, ended: bool) -> None:
        for host in self.hosts.values():
            self.contract.send(host, self.request, self.storage, ended)

    def discard(self) -> None:
        """Remove containers, network and folder, whatever state they are in."""
        with contextlib.suppress(EngineError):  # by label: one that was made may not have been told of
            leftovers(self.client, self.labels)
        remove_folder(self.client, self.image, self.folder)


def _left_out(host: Host) -> str:
    return "".join(f"simferry: {f'/opt/ml/{name}'!r} is left out: {why}\n" for name, why in host.left_out.items())


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


def leftovers(client: Any, labels: dict[str, str], patience_seconds: float = 0) -> None:
    """Remove the containers and networks that have all these labels. patience_seconds: for which an engine that does not answer
    is asked again. Raises EngineError."""
    until = time.monotonic() + patience_seconds
    while True:
        try:
            return _remove(client, labels)
        except EngineError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.5)


def _remove(client: Any, labels: dict[str, str]) -> None:
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
