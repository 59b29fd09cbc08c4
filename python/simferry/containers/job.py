"""One job in containers on this machine, under the contract of a service.

The request is the service's own. A `Contract` interprets it (processing.py, training.py); a `Storage` stands for S3. This module
has what all such jobs share: several hosts on one network, the limits of the instance type, the maximal run time. `finish` and
`discard` remove containers, network and folder (removal.py).
"""

import contextlib
import math
import os
import posixpath
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from ..aws.instances import Instance
from ..system import untrusted
from .engine import EngineError, find_image
from .limits import GIB, limits
from .removal import labels_of, leftovers, open_by_image, remove_folder
from .storage import Storage
from .waiting import WaitingContainer, open_to_all

ROLE = "arn:aws:iam::000000000000:role/simferry-local"  # in requests of local jobs; it is never assumed


@dataclass
class Outcome:
    """The state of a job: the service's status, exit message and failure reason."""

    status: str  # InProgress, Completed, Failed, Stopped; of training jobs Interrupted
    exit_message: str = ""
    failure_reason: str = ""


@dataclass(frozen=True)
class Needs:
    """What a job needs of the machine. seconds: its maximal run time. isolated: whether it has no network."""

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
    """One of a job's containers. folder: is mounted at `Launch.mount`. left_out: output files that were not copied, with the reason."""

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
    """How a host's container is started. None stands for the image's own entry point or command."""

    entrypoint: list[str] | None
    command: list[str] | None
    environment: Mapping[str, str]
    mount: str


class Contract(Protocol):
    """What a service provides in the containers of its jobs, and how it judges their exit.

    grace_seconds: from SIGTERM to SIGKILL when a job is stopped.
    """

    @property
    def grace_seconds(self) -> float: ...

    def needs(self, request: Mapping[str, Any]) -> Needs:
        """What a request needs. Raises RequestRefused for a request that the service would refuse."""

    def prepare(self, host: Host, request: Mapping[str, Any], storage: Storage) -> Launch:
        """Fills the folder of a host before its container starts."""

    def send(self, hosts: list[Host], request: Mapping[str, Any], storage: Storage, status: str) -> None:
        """Copies outputs of hosts to the storage. status: InProgress for those copied while the job runs; else how it ended."""

    def outcome(self, hosts: list[Host], states: Mapping[str, Mapping[str, Any]], stopped: str) -> Outcome:
        """How a job ended. states: the engine's states of the hosts that decide, by name. stopped: why it was stopped, or empty."""


class ContainerJob:
    """A job in containers on this machine.

    folder: an empty folder of the job's own; the containers mount its subfolders. owner: the value of the label OWNER. image: the
    engine's name of the image, where the request has another. on_end: is called from another thread when a host has ended.
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
        on_end: Callable[[], Any] = lambda: None,
    ) -> None:
        self.client, self.request, self.contract, self.storage, self.folder = client, request, contract, storage, folder
        self.needs = contract.needs(request)
        self.name, self.image = self.needs.name, image or self.needs.image
        self.labels, self.on_end = labels_of(owner, self.name), on_end
        self.token = secrets.token_hex(4)  # jobs of one name may run at once, in two regions or by two emulators
        self.hosts = {name: Host(name, i, folder / name, self.needs) for i, name in enumerate(self.needs.host_names)}
        self.started = 0.0
        self.seconds = 0.0  # that it ran, after its end
        self.send_again = 0.0
        self.stopped = ""  # the reason, after `stop`
        self.kill_at = math.inf  # after `stop`
        self.network: Any = None
        self.outcome = Outcome("InProgress")
        self.kept_logs: dict[str, str] = {}  # by host, after the end
        self.logs_since = 0.0  # when the job began in a container that had another task before
        self._removal: threading.Thread | None = None

    # ---- start ----

    def start(self, waiting: WaitingContainer | None = None) -> None:
        """Copy the inputs, write the configuration, start the hosts. After an error nothing is left.

        waiting: a container that may become this job's only host; where it can't, it is removed.
        """
        if waiting is None or not self._go_on_in(waiting):
            self._start_new()
        self.started = time.monotonic()
        for host in self.hosts.values():
            threading.Thread(target=self._await_end, args=(host.container.id,), daemon=True).start()

    def _start_new(self) -> None:
        volumes = find_image(self.client, self.image).attrs["Config"].get("Volumes") or {}
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)  # its subfolders are writable for all
            launches = {host.name: self._prepared(host) for host in self.hosts.values()}
            if len(self.hosts) > 1:
                self.network = self.client.networks.create(
                    f"{self.name}-{self.token}", driver="bridge", labels=self.labels, internal=self.needs.isolated
                )
            for name, host in self.hosts.items():
                host.container = self._container(host, launches[name], volumes)
            for host in self.hosts.values():
                host.container.start()
        except BaseException:
            self.discard()
            raise

    def _go_on_in(self, waiting: WaitingContainer) -> bool:
        """Start the job in a container that waits. Returns False if that can't be; the container is gone then."""
        try:
            if waiting.job != self.name:
                raise ValueError(f"the container waits for {waiting.job}")
            waiting.move(self.folder)
            (host,) = self.hosts.values()
            # made where the container sees nothing, and moved: no path that it can change is followed
            staged = replace(host, folder=self.folder / "next")
            self._prepared(staged)
            for made in list(staged.folder.iterdir()):
                os.rename(made, waiting.mount / made.name)
            staged.folder.rmdir()
            self.logs_since = (
                0.0 if waiting.sets_up else time.time()
            )  # the log begins with what the setup script printed
            waiting.run()
        except Exception:  # a new container will do; if it is no passing trouble, its start says what it is
            self.logs_since = 0.0
            waiting.end()
            return False
        except BaseException:
            waiting.end()
            raise
        host.container = waiting.container
        return True

    def _await_end(self, container: str) -> None:
        with contextlib.suppress(Exception):  # an engine that restarts: `poll` finds out
            self.client.api.wait(container, timeout=None)
        self.on_end()

    def _prepared(self, host: Host) -> Launch:
        launch = self.contract.prepare(host, self.request, self.storage)
        open_to_all(host.folder)
        return launch

    def _container(self, host: Host, launch: Launch, volumes: Iterable[str]) -> Any:
        """volumes: folders of the image that the engine gives a volume of their own; what is written there would be lost."""
        binds = {str(host.folder): {"bind": launch.mount, "mode": "rw"}}
        for volume in map(posixpath.normpath, volumes):
            if volume.startswith(f"{launch.mount}/"):
                inner = host.folder / volume.removeprefix(f"{launch.mount}/")
                if not inner.exists():
                    inner.mkdir(parents=True)
                    open_to_all(host.folder)
                binds[str(inner)] = {"bind": volume, "mode": "rw"}
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
            name=f"{self.name}-{host.name}-{self.token}",
            volumes=binds,
            labels=self.labels,
            **limits(self.needs.instance),
            **options,
        )

    # ---- watch ----

    def poll(self) -> Outcome:
        """The state of the job. When it has ended, its outputs have been copied; its containers are being removed (see `discard`)."""
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
            self._send("InProgress")
            # looking through many files takes at most a fifth of the time
            self.send_again = time.monotonic() + 4 * (time.monotonic() - began)
        running = [name for name, s in states.items() if s.get("Running") or s.get("Status") == "created"]
        bad = {name: s for name, s in states.items() if name not in running and s["ExitCode"] != 0}
        if running and not self.stopped and time.monotonic() - self.started > self.needs.seconds:
            self.stop(f"MaxRuntimeExceeded: the job ran longer than {self.needs.seconds} s")
            return self.outcome
        if running and time.monotonic() >= self.kill_at:
            self.signal("SIGKILL")
        if running and bad:  # without one host the others can't complete the job
            for name in running:
                with contextlib.suppress(docker.errors.APIError):
                    self.hosts[name].container.kill()
            return self.finish(bad)
        if running:
            return self.outcome
        return self.finish(bad or states)

    def logs(self, host: str) -> str:
        """The output of a host so far."""
        with contextlib.suppress(Exception):
            since = {"since": self.logs_since} if self.logs_since else {}
            printed: bytes = self.hosts[host].container.logs(**since)
            return printed.decode(errors="replace")
        return ""

    def signal(self, name: str) -> None:
        """Send a signal to each host's first process."""
        for host in self.hosts.values():
            with contextlib.suppress(Exception):
                host.container.kill(signal=name)

    def stop(self, why: str, at_once: bool = False) -> None:
        """End the job, after the contract's grace unless `at_once`."""
        self.stopped = self.stopped or why
        if at_once or not self.contract.grace_seconds:
            self.signal("SIGKILL")
        elif self.kill_at == math.inf:
            self.kill_at = time.monotonic() + self.contract.grace_seconds
            self.signal("SIGTERM")

    # ---- end ----

    def finish(self, states: dict[str, dict[str, Any]]) -> Outcome:
        """Copy outputs, begin to remove containers. states: those of the hosts that decide the outcome."""
        self.seconds = time.monotonic() - self.started
        for host in self.hosts.values():
            if not untrusted.is_open(host.folder):
                open_by_image(self.client, self.image, host.folder)
        printed = {name: self.logs(name) for name in self.hosts}
        self._send("InProgress")
        outcome = self.contract.outcome(list(self.hosts.values()), states, self.stopped)
        self._send(outcome.status)
        self.outcome = outcome
        self.kept_logs = {name: printed[name] + _left_out(host) for name, host in self.hosts.items()}
        self._removal = threading.Thread(target=self._remove)
        self._removal.start()
        return self.outcome

    def _send(self, status: str) -> None:
        self.contract.send(list(self.hosts.values()), self.request, self.storage, status)

    def discard(self) -> None:
        """Remove containers, network and folder, whatever state they are in. After the job's end: wait until they are removed."""
        if self._removal:
            self._removal.join()
        else:
            self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(EngineError):  # by label: the engine may have made one whose answer was lost
            leftovers(self.client, self.labels)
        remove_folder(self.client, self.image, self.folder)


def _left_out(host: Host) -> str:
    return "".join(f"simferry: {f'/opt/ml/{name}'!r} is left out: {why}\n" for name, why in host.left_out.items())


def resources_of(host: Host) -> dict[str, Any]:
    """The content of resourceconfig.json, in all contracts."""
    return {
        "current_host": host.name,
        "current_instance_type": host.needs.instance.name,
        "hosts": host.needs.host_names,
        "network_interface_name": "eth0",
    }


def failed_by(host: str, state: Mapping[str, Any], needs: Needs) -> str:
    """Why a job failed in which this host ended with an exit code other than 0."""
    code, memory = state["ExitCode"], f"{needs.instance.memory_gib:g} GiB"
    why = f": out of memory ({needs.instance.name} has {memory})" if state.get("OOMKilled") else ""
    if needs.hosts > 1 and code == 137 and not why:
        return f"host {host} was lost (exit code 137)"
    which = f"host {host} " if needs.hosts > 1 else ""
    return f"{which}exited with code {code}{why}"
