"""An emulated endpoint: its state as the service reports it, and the container that answers its requests."""

import contextlib
import itertools
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..aws.instances import Instance, instance
from ..containers.serving import (
    GRACE_SECONDS,
    INVOKE_SECONDS,
    MOST_BYTES,
    Answer,
    Serving,
    ServingError,
    ServingTimeout,
)
from ..errors import UsageError
from .calls import ACCOUNT, Refusal
from .hosted import Config, Hosted, HostingFailed, Model
from .machine import Machine

GROUP = "/aws/sagemaker/Endpoints"
START_SECONDS, SERVERLESS_SECONDS = 480.0, 180.0  # from a container's start to the first answer of /ping
MOST_SERVERLESS_BYTES = 4 * 1024 * 1024
NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a "
    "different ML instance type or after some time."
)
AGAIN_SECONDS = 5.0  # from the end of a container to the start of the next
_MESSAGE = 4096  # characters of a container's answer in an error
_MB_PER_CORE = 1769  # of a serverless container: it has cores by its memory, and the service does not say how many


class Deployment:
    """A configuration with its model, as an endpoint runs it: a container for each instance."""

    def __init__(self, endpoint: "Endpoint", config: Config, model: Model) -> None:
        self.config, self.model = config, model
        variant = config.variant
        serverless = variant.get("ServerlessConfig")
        self.most_bytes = MOST_SERVERLESS_BYTES if serverless else MOST_BYTES
        self.free = threading.BoundedSemaphore(serverless["MaxConcurrency"]) if serverless else None
        self.seconds = SERVERLESS_SECONDS if serverless else START_SECONDS
        self.seconds = variant.get("ContainerStartupHealthCheckTimeoutInSeconds", self.seconds)
        self._endpoint = endpoint
        self.hosts = [self._new() for _ in range(variant.get("InitialInstanceCount", 1))]
        self.ended = threading.Event()
        self._turn = itertools.count()

    def _new(self) -> Hosted:
        one, variant = self._endpoint, self.config.variant
        stream = f"{variant['VariantName']}/i-{secrets.token_hex(9)[:17]}"
        return Hosted(
            self.model, one.machine, one.clients_of(self.model.role), one.name, kind_of(variant), {},
            f"{GROUP}/{one.name}", stream, self.most_bytes,
        )  # fmt: skip

    def start(self) -> None:
        """Raises HostingFailed, after which nothing is left."""
        try:
            for host in self.hosts:
                host.start()
            until = time.monotonic() + self.seconds * self._endpoint.pace()
            if not all(host.wait_ready(until - time.monotonic()) for host in self.hosts):
                raise HostingFailed(
                    f"The primary container for production variant {self.config.variant['VariantName']} did not pass the "
                    "ping health check. Please check CloudWatch logs for this endpoint."
                )
        except BaseException:
            self.end(0)
            raise
        for number in range(len(self.hosts)):
            threading.Thread(target=self._keep, args=[number], daemon=True).start()

    def _keep(self, number: int) -> None:
        """Start a container anew whenever it ends, until `end`."""
        while not self.ended.is_set():
            old = self.hosts[number]
            assert old.serving
            old.serving.ended.wait()
            if not self.ended.is_set():
                self._endpoint.on_event(f"{self._endpoint.name}  its container has ended; it starts anew")
                old.end(0)
                self._revive(number)

    def _revive(self, number: int) -> None:
        while not self.ended.wait(AGAIN_SECONDS * self._endpoint.pace()):
            new = self._new()
            with contextlib.suppress(HostingFailed):
                new.start()
                self.hosts[number] = new
                if self.ended.is_set():
                    new.end(0)
                return

    def next(self) -> Serving | None:
        """The container whose turn it is; None while all of them are started anew."""
        running = [one for host in self.hosts if (one := host.serving) and not one.ended.is_set()]
        return running[next(self._turn) % len(running)] if running else None

    def end(self, seconds: float = GRACE_SECONDS) -> None:
        self.ended.set()
        with ThreadPoolExecutor(len(self.hosts)) as threads:
            list(threads.map(lambda host: host.end(seconds), self.hosts))

    def row(self) -> dict[str, Any]:
        """The variant in the answer of DescribeEndpoint."""
        variant, image = self.config.variant, self.model.image
        weight = variant.get("InitialVariantWeight", 1.0)
        deployed = [{"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": self._endpoint.created}]
        told = {"VariantName": variant["VariantName"], "DeployedImages": deployed}
        if serverless := variant.get("ServerlessConfig"):
            sized = {"CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
        else:
            sized = {f"{when}InstanceCount": variant["InitialInstanceCount"] for when in ("Current", "Desired")}
        return {**told, "CurrentWeight": weight, "DesiredWeight": weight, **sized}


class Endpoint:
    """One endpoint. clients_of: gives a function that makes clients with the credentials of a role. pace: what limits of time are
    multiplied by. on_end: is called when the endpoint has been deleted."""

    def __init__(
        self,
        arn: str,
        config: Config,
        model: Model,
        tags: dict[str, str],
        machine: Machine,
        clients_of: Callable[[str], Callable[..., Any]],
        pace: Callable[[], float],
        on_event: Callable[[str], None],
        on_end: Callable[["Endpoint"], None],
    ) -> None:
        self.arn, self.config, self.tags = arn, config, tags
        self.machine, self.clients_of, self.pace, self.on_event, self.on_end = (
            machine,
            clients_of,
            pace,
            on_event,
            on_end,
        )
        self.name, self.region = arn.rpartition("/")[2], arn.split(":")[3]
        self.status, self.failure = "Creating", ""
        self.created = self.modified = time.time()
        self.deployment: Deployment | None = None  # that answers
        self._next: Deployment | None = None  # that is being started
        self._first = (config, model)
        self._gone = threading.Event()
        self._changing = threading.Lock()
        self._thread = threading.Thread()

    # ---- for the service ----

    def start(self, after_seconds: float, has_capacity: bool) -> None:
        self.on_event(f"{self.name}  endpoint accepted")
        self._do(self._create, after_seconds, has_capacity)

    def update(self, config: Config, model: Model) -> None:
        self._set("Updating")
        self._do(self._update, config, model)

    def delete(self, at_once: bool = False) -> None:
        self._set("Deleting")
        self._gone.set()
        before = self._thread
        self._do(self._delete, before, 0.0 if at_once else GRACE_SECONDS)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def instances_of(self, kind: str) -> int:
        """The instances of a type that it uses."""
        variant = self.config.variant
        return int(variant.get("InitialInstanceCount", 0)) if variant.get("InstanceType") == kind else 0

    def row(self) -> dict[str, Any]:
        """The endpoint's entry in the answer of ListEndpoints."""
        return {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "EndpointStatus": self.status,
        }

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeEndpoint."""
        deployment = self.deployment
        variants = {"ProductionVariants": [deployment.row()]} if deployment else {}
        failure = {"FailureReason": self.failure[:1024]} if self.failure else {}
        return {**self.row(), "EndpointConfigName": self.config.name, **variants, **failure}

    def invoke(self, body: bytes, given: dict[str, str]) -> Answer:
        """What the container answers. given: the headers, by their names in InvokeEndpoint. Raises Refusal."""
        deployment = self.deployment
        if deployment is None or self._gone.is_set():
            raise Refusal("ValidationError", f"Endpoint {self.name} of account {ACCOUNT} not found.")
        if len(body) > deployment.most_bytes:
            raise Refusal("ValidationError", f"HTTP content length exceeded {deployment.most_bytes} bytes.", 413)
        if deployment.free and not deployment.free.acquire(blocking=False):
            raise Refusal("ThrottlingException", "Rate exceeded", 429)
        try:
            return self._ask(deployment, body, given)
        finally:
            if deployment.free:
                deployment.free.release()

    def _ask(self, deployment: Deployment, body: bytes, given: dict[str, str]) -> Answer:
        serving = deployment.next()
        if serving is None:
            raise Refusal("ServiceUnavailable", f"Endpoint {self.name} starts its container anew", 503)
        headers = {"X-Amzn-SageMaker-Inference-Id": given["InferenceId"]} if "InferenceId" in given else {}
        try:
            got = serving.invoke(
                body, given.get("ContentType", ""), given.get("Accept", ""), given.get("CustomAttributes", ""),
                headers=headers, seconds=INVOKE_SECONDS * self.pace(),
            )  # fmt: skip
        except ServingTimeout:
            raise self._model_error(
                0,
                "Your invocation timed out while waiting for a response from container primary. Review the latency metrics "
                "for each container in Amazon CloudWatch, resolve the issue, and try again.",
            ) from None
        except UsageError as error:
            raise Refusal("ValidationError", error.message) from None
        except ServingError as error:
            raise self._model_error(0, error.message.replace(f" of {serving.image}", "")) from None
        if not 200 <= got.status < 300:
            raise self._model_error(got.status, got.body.decode(errors="replace")[:_MESSAGE])
        return got

    def _model_error(self, status: int, said: str) -> Refusal:
        """The error for an answer of the container's that is none. status: 0 if it gave no answer."""
        which, group = "client" if 300 <= status < 500 else "server", f"{GROUP}/{self.name}"
        console = f"https://{self.region}.console.aws.amazon.com/cloudwatch/home?region={self.region}"
        text = (
            f'Received {which} error ({status}) from primary with message "{said}". See {console}#logEventViewer:group='
            f"{group} in account {ACCOUNT} for more information."
        )
        members = {"OriginalStatusCode": status, "OriginalMessage": said}
        members["LogStreamArn"] = f"arn:aws:logs:{self.region}:{ACCOUNT}:log-group:{group}"
        return Refusal("ModelError", text, 424, members)

    # ---- threads ----

    def _do(self, what: Callable[..., None], *given: Any) -> None:
        self._thread = threading.Thread(target=what, args=given, name=self.name, daemon=True)
        self._thread.start()

    def _set(self, status: str, failure: str = "") -> None:
        with self._changing:
            self.status, self.failure, self.modified = status, failure, time.time()
        self.on_event(f"{self.name}  {status}{f': {failure}' if failure else ''}")

    def _create(self, after_seconds: float, has_capacity: bool) -> None:
        if self._gone.wait(after_seconds):
            return
        why = self._bring(*self._first) if has_capacity else NO_CAPACITY
        if not self._gone.is_set():
            self._set("Failed" if why else "InService", why)

    def _update(self, config: Config, model: Model) -> None:
        before, old = self.deployment, self.config
        why = self._bring(config, model)
        if self._gone.is_set():
            return
        if why:
            self._set("RollingBack", why)
            self.config = old
        elif before:
            before.end()
        self._set("InService", why)

    def _bring(self, config: Config, model: Model) -> str:
        """Start a configuration, and let it answer. Returns why that failed; empty if it went well."""
        self._next = new = Deployment(self, config, model)
        try:
            new.start()
        except HostingFailed as error:
            return str(error)
        except Exception as error:
            return f"InternalServerError: simferry emulator: {type(error).__name__}: {error}"
        if self._gone.is_set():
            new.end(0)
            return ""
        self.config, self.deployment = config, new
        return ""

    def _delete(self, before: threading.Thread, seconds: float) -> None:
        if before.is_alive() and self._next:  # it is being started: the emulator stops
            self._next.end(0)
        if before.ident is not None:
            before.join()
        if self.deployment:
            self.deployment.end(seconds)
        self.on_event(f"{self.name}  deleted")
        self.on_end(self)


def kind_of(variant: dict[str, Any]) -> Instance:
    """The cores and the memory of a variant's container."""
    if not (serverless := variant.get("ServerlessConfig")):
        return instance(variant["InstanceType"], hosting=True)
    megabytes = serverless["MemorySizeInMB"]
    return Instance("serverless", max(1, round(megabytes / _MB_PER_CORE)), megabytes / 1024)
