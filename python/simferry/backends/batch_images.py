"""Jobs of images that are the program, on AWS Batch: each is a plain job, because children of an array share their environment.

The containers of a job are those of batch_requests.py: one that brings files, the image's, and one beside it, which sends checkpoints,
and at the end archives and how the program ended (worker/image_carrier.py). This machine makes blocks of them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..aws import logs, session
from ..aws.contracts import batch as contract
from ..aws.contracts import training
from ..containers.job import ROLE
from ..images.find import Image
from ..store.keys import JobId
from ..store.objects import Objects
from ..store.records import PlanRecord
from ..store.run_folder import RunFolder
from ..worker.image_carrier import IDLE
from . import batch_requests as requests
from .batch import Batch, array_name
from .batch_children import Array, described, service_job
from .batch_queue import why_waiting
from .image_results import kept
from .names import job_name
from .request import Machines, Places, seconds_of, training_request
from .service import Request, ServiceJob, emulated

LOG_SECONDS = 10.0  # until the last lines of a job's log are there
_LONGEST_ENDED = 1 << 17  # bytes
_OVER_TIME = "MaxRuntimeExceeded: its time limit"


class BatchImages(Batch):
    kill_seconds = training.GRACE_SECONDS

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._begun: set[str] = set()  # plans whose jobs were looked for
        self._put: set[str] = set()  # plans whose jobs have their files in the store
        self._definition = ""  # the job definition's ARN
        self._over: dict[str, ServiceJob] = {}  # by the service's id: how a job ended does not change
        self._idle: set[str] = set()  # of these jobs, those that found another one at work
        self._logs: dict[str, str] = {}  # by name: the log stream of the image's container

    def _about(self, found: Image, spec: Mapping[str, Any]) -> dict[str, Any]:
        name = self.image_for(spec)
        config = self._config(found, name)
        volumes = [one for one in config.volumes if one.startswith(f"{training.ROOT}/")] if config else []
        return {
            "carrier_image": self._carrier(name, 2), **({"volumes": volumes} if volumes else {}),
            **({"image_id": found.digest} if found.local else {}),
        }  # fmt: skip

    # ---- starting ----

    def start(self, request: Request) -> None:
        run, plan, job = request.run, request.plan, JobId(request.job)
        if plan.number not in self._begun:
            self._begin_plan(run, plan)
        if request.name in self._arrays:
            return
        asked = self._request(run, plan, job)
        name, key = f"{array_name(run, plan.number)}-{job.number}", Objects(run.address).kms_key
        made = requests.image_submission(self.options, run, asked, job, name, self._definition, session.region(), key)
        try:
            identity = self._submitted_as(made)
        except BaseException:  # the answer may be lost: it is looked for before it is submitted again
            self._begun.discard(plan.number)
            raise
        self._arrays[request.name] = [Array(identity, 1)]

    def _begin_plan(self, run: RunFolder, plan: PlanRecord) -> None:
        """Look for jobs of a plan, and put what its jobs find in /opt/ml/input/config into the store."""
        self._check_queue_of(run)
        for job, one in self._jobs(run, array_name(run, plan.number)):
            self._arrays[job_name(run, job)] = [Array(one["jobId"], 1)]
        self._definition = self._definition or self._revision(run)
        if plan.number not in self._put:
            Objects(run.address).put_many(
                (f"jobs/{job}/request", json.dumps(_config(self._request(run, plan, job))).encode())
                for job in plan.job_ids
            )
            self._put.add(plan.number)
        self._begun.add(plan.number)

    def _request(self, run: RunFolder, plan: PlanRecord, job: JobId) -> dict[str, Any]:
        """The job as a request of CreateTrainingJob, which nobody is asked."""
        places = Places(
            "", "", lambda name, one: one["place"] or f"{run.address}/input/{name}/", lambda name: run.address
        )
        limit = max(contract.LEAST_SECONDS, seconds_of(run, job, plan.limit or self.traits.seconds_at_most))
        machines = Machines(["batch"], 1, 1, limit)
        return training_request(run, job, self.options.image or "", ROLE, places, machines, {})

    # ---- looking ----

    def _jobs(self, run: RunFolder, begin: str) -> Iterator[tuple[JobId, dict[str, Any]]]:
        """The jobs of a run in the service whose names begin so, as it lists them."""
        first = len(array_name(run, ""))
        for one in self._summaries(f"{begin}*"):
            yield JobId(one["jobName"][first:]), one

    def list(self, run: RunFolder) -> dict[str, ServiceJob]:
        listed = [*self._jobs(run, array_name(run, ""))]
        self._describe(run, {one["jobId"]: job for job, one in listed if one["status"] in ("SUCCEEDED", "FAILED")})
        out: dict[str, ServiceJob] = {}
        arrays: dict[str, list[Array]] = {}
        for job, one in sorted(
            listed, key=lambda each: each[1]["jobId"] not in self._idle
        ):  # of two the one at work counts
            name = job_name(run, job)
            arrays.setdefault(name, []).append(Array(one["jobId"], 1))
            out[name] = self._over.get(one["jobId"]) or service_job(one)
            if one["jobId"] in self._idle:
                out[name] = replace(out[name], state="cancelled" if run.is_cancelled(job.plan) else "running")
        self._arrays |= arrays
        waiting = [one for _, one in listed if one["status"] == "RUNNABLE"]
        if waiting and not any(one["status"] in ("STARTING", "RUNNING", "SUCCEEDED") for _, one in listed):
            self.waits_for = why_waiting(self.options.queue or "", waiting)
        elif not self._waiting:
            self.waits_for = ""
        return out

    def _describe(self, run: RunFolder, ended: Mapping[str, JobId]) -> None:
        """Ask once of each job how it ended: the service, and what its containers have left in the store."""
        new = [identity for identity in ended if identity not in self._over]
        if not new:
            return
        names = [name for identity in new for name in _said(run, ended[identity])]
        found = dict(Objects(run.address).find_many(names, _LONGEST_ENDED))
        for one in described(new):
            identity, job = one["jobId"], ended[one["jobId"]]
            attempts = one.get("attempts") or [{}]
            own = {str(each.get("name")): each for each in contract.containers_of({"ecsProperties": attempts[-1]})}
            work = own.get(contract.WORKER, {})
            if stream := work.get("logStreamName"):
                self._logs[job] = stream
            if own.get(contract.BEFORE, {}).get("exitCode") == IDLE:
                self._idle.add(identity)
            told, message = (found.get(name, b"") for name in _said(run, job))
            memory = f"it had {self.options.memory or requests.MEMORY}" if _out_of_memory(work) else ""
            self._over[identity] = _ended(one, _parsed(told, len(attempts)), message.decode(errors="replace"), memory)

    def _arrays_of(self, name: str) -> Sequence[tuple[str, str]]:
        return [(one.id, one.id) for one in self._arrays.get(name, [])]

    def kept(self, run: RunFolder, known: Mapping[str, ServiceJob]) -> Mapping[str, ServiceJob]:
        return kept(run, known, _has_results, self._printed, 1.0 if emulated("batch") else LOG_SECONDS)

    def _printed(self, job: str) -> Sequence[str]:
        if not (stream := self._logs.get(job)):
            return []
        lines = logs.new_lines(session.client("logs"), self.options.log_group or "", stream, {})
        return ["".join(f"{line}\n" for line in lines)]


def _config(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The contents of /opt/ml/input/config, by the files' names."""
    return {
        "hyperparameters": asked["HyperParameters"],
        "inputdataconfig": training.input_config(asked),
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"},
    }


def _said(run: RunFolder, job: JobId) -> tuple[str, str]:
    """Names of what the containers of a job leave: how the program ended, and why files could not be carried."""
    return f"archives/{job_name(run, job)}/ended", f"jobs/{job}/message"


def _out_of_memory(container: Mapping[str, Any]) -> bool:
    return str(container.get("reason", "")).startswith("OutOfMemory")


def _parsed(said: bytes, attempt: int) -> dict[str, Any] | None:
    """How the program ended in this attempt; None if that was not left."""
    try:
        told = json.loads(said)
        out = {
            name: kind(told[name])
            for name, kind in (("code", int), ("seconds", float), ("stopped", bool), ("attempt", int))
        }
        return {**out, "failure": _failure(told["failure"])} if out["attempt"] == attempt else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _failure(said: Mapping[str, Any]) -> str:
    if not said:
        return ""
    inside = said.get("inside")
    if "text" in said or inside is not None:
        return training.said(said.get("text"), inside and [str(one) for one in inside])
    return training.unreadable(str(said["name"])[:99])


def _ended(one: Mapping[str, Any], told: Mapping[str, Any] | None, message: str, memory: str) -> ServiceJob:
    """How a job ended, in the words of SageMaker Training. one: as DescribeJobs tells of it. memory: of too little, how much
    it had."""
    job = service_job(one)
    if contract.ran_too_long(str(one.get("statusReason", ""))):
        return replace(job, state="failed", reason=_OVER_TIME, cut_short=True, ran=told["seconds"] if told else 0.0)
    if job.state == "stopped" or job.for_all:
        return job
    if told is None or told["stopped"]:
        without = replace(job, state="failed", reason=job.reason or "its files were not sent")
        return without if job.cut_short else replace(without, message=message)
    code, text = told["code"], told["failure"]
    if not code and not text:
        return replace(job, state="succeeded", reason="", ran=told["seconds"])
    words = f"exited with code {code}" + (f": out of memory ({memory})" if memory else "")
    reason = f"AlgorithmError: {text}, exit code: {code}" if text else f"AlgorithmError: {words}"
    return replace(job, state="failed", reason=reason, cut_short=training.cut_short(reason), ran=told["seconds"])


def _has_results(job: ServiceJob) -> bool:
    """Whether a job has come to its end, and is not done again: its program succeeded, failed, or took too long."""
    return (
        job.state == "succeeded"
        or job.reason == _OVER_TIME
        or (job.reason.startswith("AlgorithmError") and not job.cut_short)
    )
