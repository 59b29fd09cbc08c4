"""The docker backend: each job a container (or several hosts) here, under the contract of SageMaker Processing."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import untrusted
from ..aws.contracts import processing as contract
from ..aws.contracts.processing import ROOT
from ..aws.instances import Instance, instance
from ..containers import job as container_job
from ..containers.engine import EngineError, connect, find_image, run_once
from ..containers.job import ContainerJob, Outcome
from ..containers.processing import Processing
from ..containers.storage import Files, local_uri
from ..errors import UsageError
from ..files import write_whole, writing
from ..jobs.launch import command_in_container, environment_of
from ..processes import alive, identity
from ..store import records
from ..store.folder_store import DEFAULT_STORE
from ..store.run_folder import LOCK, RunFolder
from ..sweep.inputs import bring
from ..terminal import shown
from ..untrusted import Tree
from .base import LONGEST_LOG, follow_here
from .names import job_name

ENGINE_SECONDS = 120  # how long an engine that restarts is waited for


class Docker:
    name = "docker"
    contract = True
    jobs_go_on = False
    seconds_between_polls = 0.25
    waits_for = ""
    asks_elsewhere = False
    begun = True

    def __init__(
        self,
        image: str | None = None,
        workers: int | None = None,
        instance_type: str | None = None,
        jobs: int | None = None,
        max_runtime: float | None = None,
        hosts: int | None = None,
    ) -> None:
        if not image:
            raise UsageError(
                "the docker backend needs an image", "--image simferry-r; simferry image build  makes one."
            )
        self.options: dict[str, Any] = {}
        here = os.cpu_count() or 1
        kind = instance(instance_type) if instance_type else None
        self.instance = kind or Instance("ml.m5.24xlarge", here, 384)
        self.workers = workers or container_job.cores_of(self.instance, here)
        self.jobs, self.hosts = jobs or 1, hosts or 1
        self.note = ""
        if kind and kind.cores > here:
            self.note = f"{kind.name} has {kind.cores} cores; this machine's {here} are used (its memory limit holds)"
        self.image, self.max_runtime = image, int(max_runtime or contract.SECONDS_AT_MOST)
        self.seconds_at_most = float(self.max_runtime)
        self.at_once = max(1, here // max(1, self.workers * self.hosts))
        self._client: Any = None
        self._waiting: list[tuple[RunFolder, str]] = []
        self._running: dict[str, ContainerJob] = {}
        self._unreachable_since: float | None = None
        self._to_tidy = False

    @property
    def client(self) -> Any:
        if self._client is None:
            self._client = connect()
        return self._client

    # ---- before anything starts ----

    def default_store(self) -> str:
        return DEFAULT_STORE

    def found(self) -> dict[str, Any]:
        return {}

    def check(self, spec: dict[str, Any], store: str = "") -> None:
        find_image(self.client, self.image)
        if spec["kind"] == "function" and self.hosts > 1:
            raise UsageError("hosts are for whole scripts", "A function's replications are dealt to jobs: --jobs.")

    def image_digest(self) -> str:
        return str(find_image(self.client, self.image).id)

    def ask(
        self, spec: dict[str, Any], root: Path, verb: str, show: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        for path in [
            root,
            *(p for p in root.rglob("*") if not p.is_symlink()),
        ]:  # the image's user is another than ours
            path.chmod(0o777 if path.is_dir() else 0o666)
        command = [*command_in_container(spec["language"], contract.CODE), verb]
        volumes = {str(root): {"bind": ROOT, "mode": "rw"}}
        status, out, err = run_once(
            self.client, self.image, command, volumes=volumes, environment=environment_of(spec, contract.INPUTS)
        )
        if show:
            sys.stdout.write(shown(out, sys.stdout))
            sys.stderr.write(shown(err))
        return subprocess.CompletedProcess(command, status, out, err)

    # ---- jobs ----

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        for job in jobs:
            with writing(run.path):
                (run.jobs / job).mkdir()
            self._record(run, job, "pending")
            self._waiting.append((run, job))
        self._to_tidy = True
        self.go_on(run)

    def go_on(self, run: RunFolder) -> None:
        while self._waiting and len(self._running) < self.at_once:
            run, job = self._waiting.pop(0)
            folder = run.jobs / job / "ml"
            made = ContainerJob(self.client, self.request(run, job), Processing(), Files(), folder, run.id)
            try:
                made.start()
            except Exception:
                self._waiting.insert(0, (run, job))
                raise
            self._running[job] = made
            self._record(run, job, "running")

    def request(self, run: RunFolder, job: str) -> dict[str, Any]:
        """The job as CreateProcessingJob has it; addresses are folders here."""
        spec = run.record["simulation"]
        inputs = [
            contract.input_of("code", local_uri(run.code)),
            contract.input_of("plan", local_uri(run.job_folder(job))),
        ]
        for name, one in run.inputs.items():
            folder = local_uri(bring(name, one, run))
            inputs.append(contract.input_of(name, folder, one["mode"], one["sharded"]))
        outputs = [contract.output_of(name, local_uri(run.path / name), "Continuous") for name in contract.OUTPUTS]
        cluster = {"InstanceCount": self.hosts, "InstanceType": self.instance.name, "VolumeSizeInGB": 16_384}
        return {
            "ProcessingJobName": job_name(run, job),
            "AppSpecification": {
                "ImageUri": self.image,
                "ContainerEntrypoint": command_in_container(spec["language"], contract.CODE),
                "ContainerArguments": ["run"],
            },
            "Environment": environment_of(spec, contract.INPUTS),
            "ProcessingInputs": inputs,
            "ProcessingOutputConfig": {"Outputs": outputs},
            "ProcessingResources": {"ClusterConfig": cluster},
            "StoppingCondition": {"MaxRuntimeInSeconds": self.max_runtime},
            "RoleArn": container_job.ROLE,
        }

    def poll(self, run: RunFolder, jobs: Sequence[str]) -> dict[str, str]:
        import docker.errors
        import requests

        try:
            for job in [j for j in jobs if j in self._running]:
                outcome = self._running[job].poll()
                if outcome.status != "InProgress":
                    self._end(run, job, outcome)
            self.go_on(run)
            self._unreachable_since = None
        except (requests.exceptions.RequestException, docker.errors.APIError) as error:
            # an engine that restarts: its containers are gone, and their jobs' blocks are here
            now = time.monotonic()
            self._unreachable_since = self._unreachable_since or now
            if now - self._unreachable_since > ENGINE_SECONDS:
                raise EngineError(
                    f"Docker's engine has not answered for {ENGINE_SECONDS} s: {error}",
                    "When it runs again: " + run.command("resume"),
                ) from None
            time.sleep(0.5)
        if self._to_tidy and not self._running and not self._waiting:
            self._tidy(run)
        return {job: self._state(run, job) for job in jobs}

    def _tidy(self, run: RunFolder) -> None:
        """All jobs have ended: containers that an engine which was restarting did not remove are removed now."""
        until = time.monotonic() + ENGINE_SECONDS
        while True:
            try:
                container_job.leftovers(self.client, {container_job.OWNER: run.id})
                self._to_tidy = False
                return
            except EngineError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    def _end(self, run: RunFolder, job: str, outcome: Outcome) -> None:
        made = self._running.pop(job)
        folder = run.jobs / job
        for host, text in made.kept_logs.items():
            with contextlib.suppress(OSError):
                (folder / f"{host}.log").write_text(text)
        if outcome.exit_message:
            (folder / "message").write_text(outcome.exit_message)
        states = {"Completed": "succeeded", "Failed": "failed", "Stopped": "cancelled"}
        state = "failed" if "MaxRuntime" in outcome.failure_reason else states[outcome.status]
        self._record(run, job, state, outcome.failure_reason)

    def logs(self, run: RunFolder, job: str) -> str:
        folder = run.jobs / job
        names = sorted(path.name for path in folder.glob("*.log"))
        logs = {name.removesuffix(".log"): untrusted.read(folder, name, LONGEST_LOG) or b"" for name in names}
        texts = {host: log.decode(errors="replace") for host, log in logs.items()}
        if not texts and self._state(run, job) == "running":
            name = f"{container_job.JOB}={job_name(run, job)}"
            for container in self.client.containers.list(filters={"label": name}):
                texts[container.attrs["Config"]["Hostname"]] = container.logs().decode(errors="replace")
        if len(texts) == 1:
            return next(iter(texts.values()))
        return "".join(f"[{host}] {line}\n" for host, text in texts.items() for line in text.splitlines())

    def terms(self, run: RunFolder, jobs: int) -> dict[str, Any]:
        return {}

    def cut_short(self, run: RunFolder, job: str) -> bool:
        return contract.cut_short(str(self._read(run, job).get("reason", ""))) or self._state(run, job) == "lost"

    def just_now(self, run: RunFolder) -> bool:
        return False

    def follow(self, run: RunFolder, jobs: Sequence[str]) -> Iterator[tuple[str, str]]:
        return follow_here(self, run, jobs)

    def dollars(self, run: RunFolder) -> None:
        return None

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        for job in jobs:
            if (run, job) in self._waiting:
                self._waiting.remove((run, job))
                self._record(run, job, "cancelled")
            elif job in self._running and not at_once:
                made = self._running[job]
                made.stopped = "cancelled"
                for host in made.hosts:
                    with contextlib.suppress(OSError):
                        untrusted.touch(made.folder / host, "processing/scratch/stop")
                made.signal("SIGINT")
            elif job in self._running:
                self._running[job].stop("cancelled")
        if not self._running:
            self._clean_up(run, jobs)

    def _clean_up(self, run: RunFolder, jobs: Sequence[str]) -> None:
        """What a killed driver left behind: finished blocks are brought in, containers and folders removed."""
        mine = [job for job in jobs if self._read(run, job).get("state") in ("pending", "running")]
        if not mine:
            return
        container_job.leftovers(self.client, {container_job.OWNER: run.id})
        for job in mine:
            ml = run.jobs / job / "ml"
            for host in sorted(ml.glob("algo-*")):
                for name in contract.OUTPUTS:
                    tree = Tree(ml, (host.name, "processing", name))
                    Files().send(tree, local_uri(run.path / name))
            container_job.remove_folder(self.client, self.image, ml)
            self._record(run, job, "lost")

    def _state(self, run: RunFolder, job: str) -> str:
        record = self._read(run, job)
        state = str(record.get("state", "pending"))
        if state in ("pending", "running") and job not in self._running and (run, job) not in self._waiting:
            # another driver's, or a dead one's
            return state if alive(record.get("driver", {}), run.jobs / LOCK) else "lost"
        return state

    def _read(self, run: RunFolder, job: str) -> dict[str, Any]:
        return records.read_job(run.jobs, f"{job}/job.json")

    def _record(self, run: RunFolder, job: str, state: str, reason: str = "") -> None:
        record = {"state": state, "reason": reason, "driver": identity(os.getpid())}
        with writing(run.path):
            write_whole(run.jobs / job / "job.json", json.dumps(record).encode())
