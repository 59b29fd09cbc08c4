"""Attempts of AWS Batch's jobs: each is a task of one or more containers on this machine."""

import contextlib
import random
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ..containers.removal import JOB, OWNER
from ..errors import SimferryError
from .batch_definitions import size_of, task_of, values
from .batch_jobs import Job, milliseconds
from .calls import ACCOUNT
from .faults import Faults
from .host_log import HostLog, make_group
from .images import ImageNotFound, local_image
from .machine import Machine

GROUP = "/aws/batch/job"
POLL_SECONDS, LOG_SECONDS = 0.1, 1.0
KILL_SECONDS = 30  # from SIGTERM to SIGKILL
EXITED, NOT_STARTED = "Essential container in task exited", "Task failed to start"
TIMED_OUT = "Job attempt duration exceeded timeout"


class End(NamedTuple):
    """How an attempt ended. reason: the job's. container, told, code: that of which the retries depend, its reason and exit code.
    cut_short: by the time limit or somebody; it is not tried again, whatever its exit code is."""

    reason: str
    container: str = ""
    told: str = ""
    code: int | None = None
    cut_short: bool = False


class NotStarted(Exception):
    """A container can't be started."""

    def __init__(self, container: str, told: str) -> None:
        super().__init__(told)
        self.container, self.told = container, told


class Attempts:
    """Runs attempts in containers.

    clients_of: makes clients with a role's credentials; without a role, with those that Batch's machines have. environment: the
    variables by which a container finds the emulator, its role's credentials and its task, which forget takes back.
    """

    def __init__(
        self,
        machine: Machine,
        faults: Faults,
        clients_of: Callable[[str], Callable[..., Any]],
        environment: Callable[[str, str, Callable[[], dict[str, Any]]], dict[str, str]],
        forget: Callable[[dict[str, str]], None],
        on_event: Callable[[str], None],
    ) -> None:
        self.machine, self.faults, self.clients_of = machine, faults, clients_of
        self.environment, self.forget, self.on_event = environment, forget, on_event
        self.kill_seconds = KILL_SECONDS

    def run(self, job: Job) -> None:
        """One attempt: sets the job's state, in the end SUCCEEDED, FAILED or, to be tried again, RUNNABLE."""
        with self.machine.cores.reserve(
            max(1, int(job.vcpus)), lambda: bool(job.cancelled or job.terminated)
        ) as reserved:
            if not reserved:
                return job.end("FAILED", job.terminated or job.cancelled)
            job.status, job.reason, job.container = "STARTING", "", {}
            end = self._end(job)
        told = {**({} if end.code is None else {"exitCode": end.code}), **({"reason": end.told} if end.told else {})}
        job.attempts.append({
            **job.told_of_attempt(end.container, told), "startedAt": milliseconds(job.started),
            "stoppedAt": milliseconds(time.time()), "statusReason": end.reason,
        })  # fmt: skip
        good = end.code == 0 and not end.cut_short
        if not good and not end.cut_short and job.retries(end.reason, end.told, end.code):
            job.status = "RUNNABLE"
        else:
            job.end("SUCCEEDED" if good else "FAILED", end.reason)
        self.on_event(
            f"{job.request['jobName']} {job.id[-12:]}  {job.status}{'' if good else f': {end.reason} {end.told}'}"
        )

    def _end(self, job: Job) -> End:
        task = Task(self, job)
        try:
            task.start()
            return task.follow()
        except NotStarted as error:
            task.end_all()
            return End(NOT_STARTED, error.container, error.told)
        except SimferryError as error:  # for example: Docker is not running
            return End(f"simferry emulator: {error}")
        except Exception as error:
            return End(f"simferry emulator: {type(error).__name__}: {error}")
        finally:
            task.remove()


class Task:
    """The containers of one attempt, which share volumes and the network of this machine, as on EC2."""

    def __init__(self, attempts: Attempts, job: Job) -> None:
        self.attempts, self.job, self.machine = attempts, job, attempts.machine
        self.id, self.task = secrets.token_hex(16), task_of(job.definition)
        self.containers = {str(one.get("name", "default")): one for one in job.containers()}
        self.essential = [name for name, one in self.containers.items() if one.get("essential", True)]
        self.made: dict[str, Any] = {}  # Docker's containers
        self.running: set[str] = set()  # those that were started
        self.states: dict[str, dict[str, Any]] = {}  # Docker's, of these, as they were last seen
        self.logs: dict[str, HostLog] = {}
        self.volumes: list[Any] = []
        self.environment: dict[str, str] = {}
        self.lost_after = attempts.faults.seconds_until_lost()

    # ---- start ----

    def start(self) -> None:
        """Raises NotStarted."""
        job = self.job
        job.container = {"taskArn": f"arn:aws:ecs:{job.region}:{ACCOUNT}:task/{self.id}", "of": {}}
        role = self.task.get("jobRoleArn") or self.task.get("taskRoleArn", "")
        self.environment = self.attempts.environment(role, job.region, self.described)
        clients = self.attempts.clients_of(self.task.get("executionRoleArn", ""))
        for volume in {
            mount["sourceVolume"] for one in self.containers.values() for mount in one.get("mountPoints", [])
        }:
            self.volumes.append(self.machine.client.volumes.create(self._of_task(volume), labels=self._labels))
        for name, one in self.containers.items():
            try:
                image = local_image(one["image"], lambda region: clients("ecr", region), self.machine, pull=True)
            except ImageNotFound as error:
                raise NotStarted(name, f"CannotPullContainerError: {error}") from None
            self.made[name] = self._create(name, one, image)
            self._log(name, one, clients)
        self._start_ready()
        job.started, job.status = time.time(), "RUNNING"
        self.attempts.on_event(f"{job.request['jobName']} {job.id[-12:]}  running")

    def described(self) -> dict[str, Any]:
        """What ECS tells a container of its task."""
        return {"TaskARN": self.job.container["taskArn"], "Containers": [
            {"Name": name, "KnownStatus": "RUNNING"} if state["Running"] else
            {"Name": name, "KnownStatus": "STOPPED", "ExitCode": state["ExitCode"]}
            for name, state in [*self.states.items()]
        ]}  # fmt: skip

    @property
    def _labels(self) -> dict[str, str]:
        return {OWNER: self.machine.owner, JOB: self.job.id}

    def _of_task(self, name: str) -> str:
        return f"simferry-batch-{self.id}-{name}"

    def _create(self, name: str, one: dict[str, Any], image: str) -> Any:
        import docker.errors

        cpus, megabytes = size_of(one)
        volumes = {
            self._of_task(mount["sourceVolume"]): {
                "bind": mount["containerPath"],
                "mode": "ro" if mount.get("readOnly") else "rw",
            }
            for mount in one.get("mountPoints", [])
        }
        try:
            return self.machine.client.containers.create(
                image, command=one.get("command") or None, environment=self._variables(one), name=self._of_task(name),
                labels=self._labels, network_mode="host",
                nano_cpus=int(min(cpus, self.machine.cores.count) * 10**9), mem_limit=megabytes * 2**20,
                memswap_limit=megabytes * 2**20, user=one.get("user"), volumes=volumes,
                read_only=bool(one.get("readonlyRootFilesystem")),
            )  # fmt: skip
        except docker.errors.APIError as error:
            raise NotStarted(name, f"CannotCreateContainerError: {error.explanation}") from None

    def _variables(self, one: dict[str, Any]) -> dict[str, str]:
        job = self.job
        given = {
            "AWS_BATCH_JOB_ID": job.id, "AWS_BATCH_JOB_ATTEMPT": str(len(job.attempts) + 1),
            "AWS_BATCH_JQ_NAME": job.queue.rpartition("/")[2], "AWS_BATCH_CE_NAME": job.place,
        }  # fmt: skip
        if job.index is not None:
            size = job.request["arrayProperties"]["size"]
            given |= {"AWS_BATCH_JOB_ARRAY_INDEX": str(job.index), "AWS_BATCH_JOB_ARRAY_SIZE": str(size)}
        return {**values(one.get("environment", [])), **self.environment, **given}

    def _log(self, name: str, one: dict[str, Any], clients: Callable[..., Any]) -> None:
        """The log stream of a container. Batch's own group is there, or made by Batch; another one if it is asked for."""
        from botocore.exceptions import ClientError

        options = one.get("logConfiguration", {}).get("options", {})
        group = options.get("awslogs-group", GROUP)
        prefix = options.get("awslogs-stream-prefix", self.job.definition["jobDefinitionName"])
        stream = f"{prefix}/{name}/{self.id}"
        region = options.get("awslogs-region", self.job.region)
        try:
            if group == GROUP:
                make_group(self.attempts.clients_of("")("logs", region), group)
            elif options.get("awslogs-create-group") == "true":
                make_group(clients("logs", region), group)
            self.logs[name] = HostLog(clients("logs", region), stream, self.made[name], group)
        except ClientError as error:
            raise NotStarted(
                name,
                f"CannotStartContainerError: Error response from daemon: failed to initialize logging driver: {error}",
            ) from None
        self.job.container["of"][name] = {"logStreamName": stream}
        if "ecsProperties" not in self.job.definition:
            self.job.container["logStreamName"] = stream

    def _start_ready(self) -> None:
        """Start the containers that may start now, with those that may then."""
        import docker.errors

        while ready := [name for name in self.containers if name not in self.running and self._may_start(name)]:
            for name in ready:
                try:
                    self.made[name].start()
                except docker.errors.APIError as error:
                    told = f"CannotStartContainerError: Error response from daemon: {error.explanation}"
                    raise NotStarted(name, told) from None
                self.running.add(name)
                self.logs[name].follow()

    def _may_start(self, name: str) -> bool:
        return all(self._met(need) for need in self.containers[name].get("dependsOn", []))

    def _met(self, need: dict[str, str]) -> bool:
        """Whether a container on which another one depends is as far as that needs."""
        name, condition = need["containerName"], need["condition"]
        if name not in self.running or condition == "START":
            return name in self.running
        state = self._state(name)
        if condition == "SUCCESS" and not state["Running"] and state["ExitCode"]:
            raise NotStarted(
                name, f"container {name}, on which another one depends, exited with code {state['ExitCode']}"
            )
        return not state["Running"]

    # ---- running ----

    def follow(self) -> End:
        """Wait for the end of an essential container, then end the others."""
        began, next_log = time.monotonic(), 0.0
        while True:
            states = self.states = {name: self._state(name) for name in self.running}
            if ended := [name for name in self.essential if name in states and not states[name]["Running"]]:
                first = min(ended, key=lambda name: states[name]["FinishedAt"])
                self.end_all()
                return End(EXITED, first, *self._told(first))
            age = time.monotonic() - began
            if self.job.terminated or age > self.job.seconds_at_most * self.attempts.faults.pace:
                self.end_all()
                return End(self.job.terminated or TIMED_OUT, self.essential[0], *self._told(self.essential[0]), True)
            if self.lost_after is not None and age >= self.lost_after:
                for container in self.made.values():
                    with contextlib.suppress(Exception):
                        container.kill()
                instance = f"i-{random.Random(self.id).getrandbits(68):017x}"
                return End(f"Host EC2 (instance {instance}) terminated.", self.essential[0])
            self._start_ready()
            if time.monotonic() > next_log:
                next_log = time.monotonic() + LOG_SECONDS
                for log in self.logs.values():
                    log.flush()
            time.sleep(POLL_SECONDS)

    def _state(self, name: str) -> dict[str, Any]:
        import docker.errors

        try:
            self.made[name].reload()
        except docker.errors.NotFound:  # removed by somebody
            return {"Running": False, "ExitCode": 137, "OOMKilled": False, "FinishedAt": ""}
        return dict(self.made[name].attrs["State"])

    def _told(self, name: str) -> tuple[str, int]:
        """A container's reason, and its exit code."""
        state = self._state(name)
        if state.get("OOMKilled"):
            return "OutOfMemoryError: Container killed due to memory usage", 137
        return str(state.get("Error") or ""), int(state["ExitCode"])

    # ---- end ----

    def end_all(self) -> None:
        """SIGTERM, and after 30 s, or the container's stopTimeout, SIGKILL, to all at once. Notes how each container ended."""
        ending = [threading.Thread(target=self._stop, args=(name,)) for name in self.running]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()
        for name in self.running:
            reason, code = self._told(name)
            self.job.container["of"].setdefault(name, {}).update(
                exitCode=code, **({"reason": reason} if reason else {})
            )

    def _stop(self, name: str) -> None:
        with contextlib.suppress(Exception):
            given, seconds = self.containers[name].get("stopTimeout", KILL_SECONDS), self.attempts.kill_seconds
            self.made[name].stop(timeout=given if seconds == KILL_SECONDS else seconds)
            self.states[name] = self._state(name)  # the others may ask for it

    def remove(self) -> None:
        """Remove what the attempt has made; its logs are sent first."""
        for name, container in self.made.items():
            with contextlib.suppress(Exception):
                if name in self.logs:
                    self.logs[name].close(container.logs().decode(errors="replace"))
            with contextlib.suppress(Exception):
                container.remove(force=True, v=True)
        for volume in self.volumes:
            with contextlib.suppress(Exception):
                volume.remove(force=True)
        self.attempts.forget(self.environment)
