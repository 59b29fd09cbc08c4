"""Jobs of AWS Batch: states, attempts, arrays; each attempt runs in containers of this machine."""

import contextlib
import fnmatch
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..containers.removal import JOB, OWNER
from ..errors import SimferryError
from .batch_units import containers_of, new_id, size_of, task_id, task_of, values
from .host_log import HostLog
from .images import ImageNotFound, local_image
from .machine import Machine

ENDED = ("SUCCEEDED", "FAILED")
WAITING = ("SUBMITTED", "PENDING", "RUNNABLE")
GROUP = "/aws/batch/job"
POLL_SECONDS = 0.1
KILL_SECONDS = 30
_GIB = 2**30


@dataclass
class Job:
    """A job or a child of an array. index: of a child. request: that of SubmitJob. definition: its revision."""

    id: str
    index: int | None
    request: dict[str, Any]
    definition: dict[str, Any]
    queue: str
    region: str
    array: int = 0
    status: str = "SUBMITTED"
    reason: str = ""
    created: float = field(default_factory=time.time)
    started: float = 0.0
    stopped: float = 0.0
    attempts: list[dict[str, Any]] = field(default_factory=list)
    container: dict[str, Any] = field(default_factory=dict)
    cancelled: str = ""
    terminated: str = ""
    no_capacity: bool = False

    @property
    def arn(self) -> str:
        return f"arn:aws:batch:{self.region}:123456789012:job/{self.id}"

    @property
    def over(self) -> bool:
        return self.status in ENDED

    @property
    def strategy(self) -> dict[str, Any]:
        return dict(self.request.get("retryStrategy") or self.definition.get("retryStrategy") or {"attempts": 1})

    @property
    def seconds_at_most(self) -> float:
        given = self.request.get("timeout") or self.definition.get("timeout") or {}
        return float(given.get("attemptDurationSeconds", float("inf")))

    def end(self, status: str, reason: str) -> None:
        self.reason, self.stopped = reason, time.time()
        self.status = status  # last: others look at it

    def containers(self) -> list[dict[str, Any]]:
        """The containers, with what SubmitJob overrides."""
        if "ecsProperties" not in self.definition:
            return [_overridden(self.definition["containerProperties"], self.request.get("containerOverrides", {}))]
        given = self.request.get("ecsPropertiesOverride", {}).get("taskProperties", [{}])[0].get("containers", [])
        by_name = {one.get("name"): one for one in given}
        return [_overridden(one, by_name.get(one.get("name"), {})) for one in containers_of(self.definition)]

    def retries(self, reason: str, container_reason: str, code: int | None) -> bool:
        """Whether an attempt that failed is made again: by the first rule that matches; by default it is."""
        strategy = self.strategy
        if len(self.attempts) >= strategy.get("attempts", 1) or self.terminated:
            return False
        for rule in strategy.get("evaluateOnExit", []):
            pairs = [
                ("onStatusReason", reason),
                ("onReason", container_reason),
                ("onExitCode", "" if code is None else str(code)),
            ]
            asked = [(rule[name], text) for name, text in pairs if name in rule]
            if all(text and fnmatch.fnmatchcase(text, pattern) for pattern, text in asked):
                return str(rule["action"]).upper() == "RETRY"
        return True

    # ---- answers ----

    def summary(self) -> dict[str, Any]:
        """Its entry in ListJobs."""
        out = {
            "jobArn": self.arn, "jobId": self.id, "jobName": self.request["jobName"], "status": self.status,
            "createdAt": _ms(self.created), "jobDefinition": self.definition["jobDefinitionArn"], **self._times(),
        }  # fmt: skip
        if self.array:
            out["arrayProperties"] = {"size": self.array}
        elif self.index is not None:
            out["arrayProperties"] = {"index": self.index}
        if "ecsProperties" in self.definition:
            pass  # the service tells of containers only where a job is described
        elif shown := {key: self.container[key] for key in ("exitCode", "reason") if key in self.container}:
            out["container"] = shown
        return out

    def _times(self) -> dict[str, Any]:
        return {
            **({"statusReason": self.reason} if self.reason else {}),
            **({"startedAt": _ms(self.started)} if self.started else {}),
            **({"stoppedAt": _ms(self.stopped)} if self.stopped else {}),
        }

    def describe(self) -> dict[str, Any]:
        """Its entry in DescribeJobs."""
        out = {
            "jobArn": self.arn, "jobId": self.id, "jobName": self.request["jobName"], "jobQueue": self.queue,
            "status": self.status, "createdAt": _ms(self.created), "startedAt": 0, **self._times(),
            "jobDefinition": self.definition["jobDefinitionArn"], "attempts": [*self.attempts],
            "retryStrategy": {"attempts": 1, "evaluateOnExit": [], **self.strategy},
            "dependsOn": self.request.get("dependsOn", []), "parameters": {}, "tags": self.request.get("tags", {}),
            "platformCapabilities": self.definition.get("platformCapabilities", ["EC2"]), "eksAttempts": [],
            "isCancelled": bool(self.cancelled), "isTerminated": bool(self.terminated),
        }  # fmt: skip
        if self.seconds_at_most < float("inf"):
            out["timeout"] = {"attemptDurationSeconds": int(self.seconds_at_most)}
        if "ecsProperties" in self.definition:
            task = {
                **task_of(self.definition),
                "containers": [
                    {**one, **self.container.get("of", {}).get(one["name"], {})} for one in self.containers()
                ],
            }
            out["ecsProperties"] = {"taskProperties": [task]}
        else:
            own = {key: value for key, value in self.container.items() if key != "of"}
            out["container"] = {**self.containers()[0], **own}
        return out


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _overridden(container: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    out = {**container, **{key: given[key] for key in ("command",) if key in given}}
    environment = {**values(container.get("environment", [])), **values(given.get("environment", []))}
    out["environment"] = [{"name": name, "value": value} for name, value in environment.items()]
    needs = {
        one["type"]: one for one in [*container.get("resourceRequirements", []), *given.get("resourceRequirements", [])]
    }
    return {**out, "resourceRequirements": [*needs.values()]}


class Attempts:
    """Runs attempts in containers. clients_of: makes clients with a role's credentials. credentials: the environment variables by which
    a container finds those of its role. url: the emulator's."""

    def __init__(
        self,
        machine: Machine,
        faults: Any,
        clients_of: Callable[[str], Callable[..., Any]],
        environment: Callable[[str, str], dict[str, str]],
        on_event: Callable[[str], None],
    ) -> None:
        self.machine, self.faults = machine, faults
        self.clients_of, self.environment, self.on_event = clients_of, environment, on_event

    def run(self, job: Job) -> None:
        """One attempt: sets the job's state, in the end SUCCEEDED, FAILED or, to be tried again, RUNNABLE."""
        containers = job.containers()
        cpus = max(1, int(sum(size_of(one)[0] for one in containers[:1])))
        with self.machine.cores.reserve(cpus, lambda: bool(job.cancelled or job.terminated)) as reserved:
            if not reserved:
                return job.end("FAILED", job.cancelled or job.terminated)
            job.status = "STARTING"
            try:
                reason, told, code = self._task(job, containers)
            except ImageNotFound as error:
                reason, told, code = "Task failed to start", f"CannotPullContainerError: {error}", None
            except SimferryError as error:  # for example: Docker is not running
                reason, told, code = f"simferry emulator: {error}", "", None
            except Exception as error:
                reason, told, code = f"simferry emulator: {type(error).__name__}: {error}", "", None
        job.attempts.append({
            **self._told(job, containers, told, code), "startedAt": _ms(job.started), "stoppedAt": _ms(time.time()),
            "statusReason": reason,
        })  # fmt: skip
        timed_out = reason.startswith("Job attempt duration exceeded")
        good = code == 0 and not job.terminated and not timed_out
        if good:
            job.end("SUCCEEDED", "Essential container in task exited")
        elif not timed_out and job.retries(reason, told, code):
            job.container = {}
            job.status = "RUNNABLE"
        else:
            job.end("FAILED", job.terminated or reason)
        self.on_event(f"{job.request['jobName']} {job.id[-12:]}  {job.status}{'' if good else f': {reason} {told}'}")

    def _told(self, job: Job, containers: list[dict[str, Any]], told: str, code: int | None) -> dict[str, Any]:
        """What an attempt tells of its containers. Sets the job's own."""
        said = {**({} if code is None else {"exitCode": code}), **({"reason": told} if told else {})}
        of = job.container.get("of", {})
        if "ecsProperties" not in job.definition:
            job.container |= said
            return {"container": {key: value for key, value in job.container.items() if key != "of"}}
        first = next(str(one["name"]) for one in containers if one.get("essential", True))
        job.container["of"] = {**of, first: {**of.get(first, {}), **said}}
        listed = [{"name": one["name"], **job.container["of"].get(one["name"], {})} for one in containers]
        task = {"taskArn": job.container["taskArn"]} if "taskArn" in job.container else {}
        return {"taskProperties": [{**task, "containers": listed}]}

    def _task(self, job: Job, containers: list[dict[str, Any]]) -> tuple[str, str, int | None]:
        """Run the containers of an attempt. The status reason, the container's reason and exit code."""
        task = Task(self, job, containers)
        try:
            task.start()
            return task.follow()
        finally:
            task.remove()


class Task:
    """The containers of one attempt, which share volumes and the network of this machine, as on EC2."""

    def __init__(self, attempts: Attempts, job: Job, containers: list[dict[str, Any]]) -> None:
        self.attempts, self.job, self.containers = attempts, job, containers
        self.machine, self.id = attempts.machine, task_id()
        self.client = self.machine.client
        self.labels = {OWNER: self.machine.owner, JOB: job.id}
        self.running: dict[str, Any] = {}
        self.logs: dict[str, HostLog] = {}
        self.lost_after = attempts.faults.seconds_until_lost()

    def start(self) -> None:
        job, task = self.job, task_of(self.job.definition)
        role = task.get("jobRoleArn") or task.get("taskRoleArn", "")
        given = {
            **self.attempts.environment(role, job.region),
            "AWS_BATCH_JOB_ID": job.id, "AWS_BATCH_JOB_ATTEMPT": str(len(job.attempts) + 1),
            "AWS_BATCH_JQ_NAME": job.queue.rpartition("/")[2], "AWS_BATCH_CE_NAME": "emulated",
        }  # fmt: skip
        if job.index is not None:
            given |= {
                "AWS_BATCH_JOB_ARRAY_INDEX": str(job.index),
                "AWS_BATCH_JOB_ARRAY_SIZE": str(job.request["arrayProperties"]["size"]),
            }
        clients = self.attempts.clients_of(task.get("executionRoleArn") or role)
        images = [
            local_image(one["image"], lambda region: clients("ecr", region), self.machine) for one in self.containers
        ]
        for one, image in zip(self.containers, images, strict=True):
            self.running[self._name(one)] = self._create(one, image, given)
        job.container = {"taskArn": f"arn:aws:ecs:{job.region}:123456789012:task/{self.id}", "of": {}}
        for container in self.running.values():  # a container that depends on another one waits for its start only
            container.start()
        self._log(clients)
        job.started, job.status = time.time(), "RUNNING"
        self.attempts.on_event(f"{job.request['jobName']} {job.id[-12:]}  running")

    def _name(self, container: dict[str, Any]) -> str:
        return str(container.get("name", "default"))

    def _create(self, one: dict[str, Any], image: str, given: dict[str, str]) -> Any:
        cpus, megabytes = size_of(one)
        volumes = {
            f"simferry-batch-{self.id}-{mount['sourceVolume']}": {
                "bind": mount["containerPath"],
                "mode": "ro" if mount.get("readOnly") else "rw",
            }
            for mount in one.get("mountPoints", [])
        }
        return self.client.containers.create(
            image, command=one.get("command") or None, environment={**values(one.get("environment", [])), **given},
            name=f"simferry-batch-{self.id}-{self._name(one)}", labels=self.labels, network_mode="host",
            nano_cpus=int(min(cpus, self.machine.cores.count) * 10**9), mem_limit=megabytes * 2**20,
            memswap_limit=megabytes * 2**20, user=one.get("user"), volumes=volumes,
            read_only=bool(one.get("readonlyRootFilesystem")),
        )  # fmt: skip

    def _log(self, clients: Callable[..., Any]) -> None:
        from botocore.exceptions import ClientError

        name = self.job.definition["jobDefinitionName"]
        for one in self.containers:
            options = one.get("logConfiguration", {}).get("options", {})
            group, prefix = options.get("awslogs-group", GROUP), options.get("awslogs-stream-prefix", name)
            stream = f"{prefix}/{self._name(one)}/{self.id}"
            with contextlib.suppress(ClientError):
                self.logs[self._name(one)] = HostLog(
                    clients("logs", self.job.region), stream, self.running[self._name(one)], group
                )
                if len(self.containers) == 1:
                    self.job.container["logStreamName"] = stream
                self.job.container["of"][self._name(one)] = {"logStreamName": stream}

    def follow(self) -> tuple[str, str, int | None]:
        """Wait for the end of an essential container, then end the others."""
        began, next_log = time.monotonic(), 0.0
        essential = [self._name(one) for one in self.containers if one.get("essential", True)]
        while True:
            states = {name: self._state(name) for name in self.running}
            ended = [name for name in essential if not states[name]["Running"]]
            if ended:
                first = min(ended, key=lambda name: states[name]["FinishedAt"])
                self._stop_all([name for name in self.running if name != first])
                return self._judged(first, states[first])
            age = time.monotonic() - began
            if self.job.terminated:
                self._stop_all([*self.running])
                return self.job.terminated, "", self._state(essential[0])["ExitCode"]
            if age > self.job.seconds_at_most * self.attempts.faults.pace:
                self._stop_all([*self.running])
                return "Job attempt duration exceeded timeout", "", self._state(essential[0])["ExitCode"]
            if self.lost_after is not None and age >= self.lost_after:
                for container in self.running.values():
                    with contextlib.suppress(Exception):
                        container.kill()
                instance = f"i-{random.Random(self.id).getrandbits(68):017x}"
                return f"Host EC2 (instance {instance}) terminated.", "", None
            if time.monotonic() > next_log:
                next_log = time.monotonic() + 1.0
                for log in self.logs.values():
                    log.flush()
            time.sleep(POLL_SECONDS)

    def _state(self, name: str) -> dict[str, Any]:
        import docker.errors

        try:
            self.running[name].reload()
        except docker.errors.NotFound:  # removed by somebody
            return {"Running": False, "ExitCode": 137, "OOMKilled": False, "FinishedAt": ""}
        return dict(self.running[name].attrs["State"])

    def _judged(self, name: str, state: dict[str, Any]) -> tuple[str, str, int | None]:
        self.job.container["of"].setdefault(name, {})["exitCode"] = state["ExitCode"]
        if state.get("OOMKilled"):
            return "Essential container in task exited", "OutOfMemoryError: Container killed due to memory usage", 137
        if state.get("Error"):
            return "Task failed to start", f"CannotStartContainerError: {state['Error']}", state["ExitCode"]
        return "Essential container in task exited", "", state["ExitCode"]

    def _stop_all(self, names: list[str]) -> None:
        """SIGTERM, and after 30 s SIGKILL, to all at once."""
        ending = [threading.Thread(target=self._stop, args=(name,)) for name in names]
        for thread in ending:
            thread.start()
        for thread in ending:
            thread.join()

    def _stop(self, name: str) -> None:
        with contextlib.suppress(Exception):
            self.running[name].stop(timeout=KILL_SECONDS)

    def remove(self) -> None:
        for name, container in self.running.items():
            with contextlib.suppress(Exception):
                if name in self.logs:
                    self.logs[name].close(container.logs().decode(errors="replace"))
            with contextlib.suppress(Exception):
                container.remove(force=True, v=True)
        for one in self.containers:
            for mount in one.get("mountPoints", []):
                with contextlib.suppress(Exception):
                    self.client.volumes.get(f"simferry-batch-{self.id}-{mount['sourceVolume']}").remove(force=True)


def new_job(request: dict[str, Any], definition: dict[str, Any], queue: str, region: str) -> tuple[Job, list[Job]]:
    """A job, and, of an array, its children."""
    size = request.get("arrayProperties", {}).get("size", 0)
    job = Job(new_id(), None, request, definition, queue, region, array=size)
    return job, [Job(f"{job.id}:{i}", i, request, definition, queue, region) for i in range(size)]
