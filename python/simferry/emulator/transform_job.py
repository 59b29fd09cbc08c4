"""An emulated transform job: a model's container answers records of files in S3, and its answers become files."""

import contextlib
import datetime
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from ..aws.instances import instance
from ..containers.job import Contract, Outcome
from ..containers.serving import Answer, ServingError, batch_environment
from ..system.untrusted import Tree
from .endpoints import START_SECONDS
from .hosted import Hosted, HostingFailed, Model
from .jobs import Job

GROUP = "/aws/sagemaker/TransformJobs"
MB = 1 << 20
MOST_MB = 100  # of all requests at once, and of an answer
_TIMEOUT, _RETRIES = 600, 3  # of ModelClientConfig
_LOGS = "See job logs for more information"
_STRATEGIES = {"SINGLE_RECORD": "SingleRecord", "MULTI_RECORD": "MultiRecord"}


class RecordFailed(Exception):
    """A part of a file was not answered. whose: ClientError or AlgorithmError."""

    def __init__(self, whose: str, lines: list[str]) -> None:
        super().__init__(lines[0])
        self.whose, self.lines = whose, lines


@dataclass(frozen=True)
class Execution:
    """How a job asks its container. payload_mb: of a request; 0 for no limit."""

    transforms: int = 1
    payload_mb: int = 6
    strategy: str = "MultiRecord"

    def __str__(self) -> str:
        told = next(name for name, ours in _STRATEGIES.items() if ours == self.strategy)
        return f"MaxConcurrentTransforms={self.transforms}, MaxPayloadInMB={self.payload_mb}, BatchStrategy={told}"

    @property
    def most_bytes(self) -> int:
        return (self.payload_mb or MOST_MB) * MB


class TransformJob(Job):
    """Beside what a `Job` has: the model whose container answers."""

    kind = "Transform"

    def __init__(self, model: Model, *given: Any) -> None:
        super().__init__(*given)
        self.model = model
        self._log = f"{self.name}/i-{token_hex(9)[:17]}"
        self._hosted: Hosted | None = None

    # ---- what each kind of job has ----

    @property
    def cluster(self) -> dict[str, Any]:
        return dict(self.request["TransformResources"])

    def with_cluster(self, cluster: dict[str, Any]) -> dict[str, Any]:
        return {**self.request, "TransformResources": cluster}

    @property
    def image(self) -> str:
        return self.model.image

    @property
    def role(self) -> str:
        return self.model.role

    @property
    def kms_key(self) -> str | None:
        key: str | None = self.request["TransformOutput"].get("KmsKeyId")
        return key

    def contract(self) -> Contract:
        raise NotImplementedError  # its container serves

    def stop(self, at_once: bool = False) -> None:
        super().stop(at_once)
        if self._hosted:
            threading.Thread(target=self._hosted.end, args=[0], daemon=True).start()

    def summary(self) -> dict[str, Any]:
        with self._changing:
            out = super().summary()
            if self.ended and self.status == "Failed":
                out["FailureReason"] = self.outcome.failure_reason[:1024]
            return out

    def describe(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in super().describe().items()
            if key not in ("LastModifiedTime", "StoppingCondition")
        }

    # ---- the thread ----

    def work(self) -> Outcome:
        given = self._execution({})
        environment = batch_environment(given.payload_mb, given.strategy, given.transforms)
        environment |= self.request.get("Environment", {})
        self._hosted = hosted = Hosted(
            self.model, self.machine, self.clients, self.name, instance(self.selected[0]), environment, GROUP, self._log,
            MOST_MB * MB,
        )  # fmt: skip
        try:
            if self._stop.is_set():  # before `stop` could end it
                return Outcome("Stopped")
            hosted.start()
            if not hosted.wait_ready(START_SECONDS * self.faults.pace):
                return Outcome(
                    "Failed", "", f"AlgorithmError: The container did not pass the ping health check. {_LOGS}"
                )
            self.on_event(f"{self.name}  running")
            return self._stopped() or self._transform_all(hosted)
        except HostingFailed as error:
            return self._stopped() or Outcome("Failed", "", f"ClientError: {error}")
        finally:
            hosted.end(0)

    def _stopped(self) -> Outcome | None:
        return Outcome("Stopped") if self._stop.is_set() else None

    def _transform_all(self, hosted: Hosted) -> Outcome:
        execution = self._execution(self._asked(hosted))
        self._say([str(execution)])
        storage, source = self.storage(), self.request["TransformInput"]["DataSource"]["S3DataSource"]
        inputs, outputs = hosted.folder / "inputs", hosted.folder / "outputs"
        inputs.mkdir()
        outputs.mkdir()
        storage.fetch(source, inputs, 0, 1)
        failed = ""
        for path in sorted(one for one in inputs.rglob("*") if one.is_file()):
            name = path.relative_to(inputs)
            target = outputs / name.parent / f"{name.name}.out"
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._transform(hosted, execution, path, target)
            except RecordFailed as error:  # the others are transformed all the same
                target.unlink()
                failed = failed or error.whose
                self._say([f"{name}: {line}" for line in error.lines])
            if self._stop.is_set():
                return Outcome("Stopped")
            storage.send(Tree(outputs), self.request["TransformOutput"]["S3OutputPath"])
        return Outcome("Failed", "", f"{failed}: {_LOGS}") if failed else Outcome("Completed")

    def _execution(self, asked: dict[str, Any]) -> Execution:
        """What the request says, else what the container says, else the service's defaults."""
        default, given = Execution(), self.request
        strategy = given.get("BatchStrategy") or _STRATEGIES.get(asked.get("BatchStrategy", ""), default.strategy)
        payload = given.get("MaxPayloadInMB", asked.get("MaxPayloadInMB", default.payload_mb))
        transforms = given.get("MaxConcurrentTransforms") or asked.get("MaxConcurrentTransforms") or default.transforms
        return Execution(min(transforms, MOST_MB // (payload or 1)), payload, strategy)

    def _asked(self, hosted: Hosted) -> dict[str, Any]:
        """What the container says of its requests, if it says anything."""
        assert hosted.serving
        try:
            return parameters_of(hosted.serving.execution_parameters())
        except ServingError:
            return {}

    # ---- one file ----

    def _transform(self, hosted: Hosted, execution: Execution, path: Path, target: Path) -> None:
        """Write the answers for a file to another. Raises RecordFailed."""
        lines = self.request["TransformInput"].get("SplitType", "None") == "Line"
        by_line = self.request["TransformOutput"].get("AssembleWith", "None") == "Line"
        with ThreadPoolExecutor(execution.transforms) as pool, target.open("wb") as out:

            def write(one: Future[bytes]) -> None:
                answer = one.result()
                out.write(answer if not by_line or answer.endswith(b"\n") else answer + b"\n")

            waiting: deque[Future[bytes]] = deque()
            for part in payloads(path, execution, lines):
                waiting.append(pool.submit(self._ask, hosted, part))
                if len(waiting) == execution.transforms:
                    write(waiting.popleft())
            while waiting:
                write(waiting.popleft())

    def _ask(self, hosted: Hosted, part: bytes) -> bytes:
        assert hosted.serving
        client = self.request.get("ModelClientConfig", {})
        seconds = client.get("InvocationsTimeoutInSeconds", _TIMEOUT) * self.faults.pace
        content, accept = (
            self.request["TransformInput"].get("ContentType", ""),
            self.request["TransformOutput"].get("Accept", ""),
        )
        failed = RecordFailed("AlgorithmError", ["it was stopped"])
        for _ in range(1 + client.get("InvocationsMaxRetries", _RETRIES)):
            if self._stop.is_set():
                break
            try:
                answer = hosted.serving.invoke(part, content, accept, seconds=seconds)
            except ServingError as error:
                failed = RecordFailed("AlgorithmError", [error.message.replace(f" of {hosted.serving.image}", "")])
                continue
            if 200 <= answer.status < 300:
                return answer.body
            failed = refusal_of(answer)
            if answer.status < 500:
                break
        raise failed

    # ---- the log of the service's own ----

    def _say(self, lines: list[str]) -> None:
        """Write lines to the job's data log; nothing if the role may not write logs, as on the service."""
        from botocore.exceptions import ClientError

        logs, now = self.clients("logs", self.region), time.time()
        stamp = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).isoformat("T", "milliseconds")[:23]
        events = [{"timestamp": round(now * 1000), "message": f"{stamp}:[sagemaker logs]: {line}"} for line in lines]
        where = {"logGroupName": GROUP, "logStreamName": f"{self._log}/data-log"}
        with contextlib.suppress(ClientError):
            with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
                logs.create_log_stream(**where)
            logs.put_log_events(**where, logEvents=events)


def parameters_of(answer: Answer) -> dict[str, Any]:
    """What a container answers to /execution-parameters. What makes no sense is left out, as is what it does not say."""
    try:
        said = json.loads(answer.body) if answer.status == 200 else {}
    except (ValueError, RecursionError):
        return {}
    said = said if isinstance(said, dict) else {}
    strategy = str(said.get("BatchStrategy"))
    kept: dict[str, Any] = {"BatchStrategy": strategy} if strategy in _STRATEGIES else {}
    for name in ("MaxConcurrentTransforms", "MaxPayloadInMB"):
        if type(value := said.get(name)) is int and 0 < value <= MOST_MB:
            kept[name] = value
    return kept


def refusal_of(answer: Answer) -> RecordFailed:
    """The failure that an answer of the container's stands for."""
    whose = "ClientError" if answer.status < 500 else "AlgorithmError"
    said = answer.body.decode(errors="replace")[:4096].splitlines()
    return RecordFailed(whose, [f"{whose}: {answer.status}", "", "Message:", *said])


def payloads(path: Path, execution: Execution, lines: bool) -> Iterator[bytes]:
    """The bodies of the requests for a file: all of it, or its lines, one by one or as many as fit. Raises RecordFailed for what does
    not fit."""
    most = execution.most_bytes

    def too_large(what: str) -> RecordFailed:
        return RecordFailed(
            "ClientError", [f"ClientError: {what} has more than the {execution.payload_mb} MB of MaxPayloadInMB"]
        )

    if not lines:
        if path.stat().st_size > most:
            raise too_large("the file, which is one request with SplitType None,")
        yield path.read_bytes()
        return
    batch = bytearray()
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(most + 1), b"")):
            if len(line) > most:
                raise too_large(f"line {number + 1}")
            if batch and (execution.strategy == "SingleRecord" or len(batch) + len(line) > most):
                yield bytes(batch)
                batch.clear()
            batch += line
    if batch:
        yield bytes(batch)
