"""A model that the emulator hosts: what was asked for, how it is to run, and its container, with its data from S3."""

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..aws.instances import Instance
from ..containers.engine import EngineError, ImageError
from ..containers.model_archive import ModelArchiveError
from ..containers.serving import MOST_BYTES, Serving, ServingError
from ..containers.storage import split
from ..errors import UsageError
from .calls import Refusal
from .host_log import HostLog, make_group
from .images import ImageNotFound, local_image
from .machine import Machine

LOG_SECONDS = 1.0
_MEMBERS = {  # of a container that a model may have
    "ContainerHostname", "Environment", "Image", "ImageConfig", "Mode", "ModelDataSource", "ModelDataUrl"
}  # fmt: skip


class HostingFailed(Exception):
    """A model's container does not serve. The message becomes the FailureReason, without the word that says whose fault it is."""


@dataclass
class Model:
    """A model, as it was asked for."""

    request: dict[str, Any]
    arn: str
    created: float
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.request["ModelName"])

    @property
    def container(self) -> dict[str, Any]:
        return dict(self.request.get("PrimaryContainer") or self.request["Containers"][0])

    @property
    def image(self) -> str:
        return str(self.container["Image"])

    @property
    def role(self) -> str:
        return str(self.request["ExecutionRoleArn"])

    @property
    def data(self) -> str:
        """The address of its archive; empty if it has none."""
        source = self.container.get("ModelDataSource", {}).get("S3DataSource", {})
        return str(self.container.get("ModelDataUrl") or source.get("S3Uri", ""))

    def row(self) -> dict[str, Any]:
        """The model's entry in the answer of ListModels."""
        return {"ModelName": self.name, "ModelArn": self.arn, "CreationTime": self.created}

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeModel."""
        told = {key: value for key, value in self.request.items() if key != "Tags"}
        container = {"Mode": "SingleModel", **self.container}
        if self.data and "ModelDataSource" not in container:
            source = {"S3Uri": self.data, "S3DataType": "S3Object", "CompressionType": "Gzip"}
            container["ModelDataSource"] = {"S3DataSource": source}
        which = {"PrimaryContainer": container} if "PrimaryContainer" in told else {"Containers": [container]}
        return {"EnableNetworkIsolation": False, **told, **which, **self.row()}


@dataclass
class Config:
    """An endpoint configuration, as it was asked for."""

    request: dict[str, Any]
    arn: str
    created: float
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.request["EndpointConfigName"])

    @property
    def variant(self) -> dict[str, Any]:
        """Its only variant."""
        return dict(self.request["ProductionVariants"][0])

    def row(self) -> dict[str, Any]:
        return {"EndpointConfigName": self.name, "EndpointConfigArn": self.arn, "CreationTime": self.created}


def check_model(request: dict[str, Any]) -> None:
    """Refuse what the service's model does not exclude, and what the emulator does not have. Raises Refusal."""

    def refused(text: str) -> Refusal:
        return Refusal("ValidationException", text)

    several = request.get("Containers", [])
    if ("PrimaryContainer" in request) == bool(several):
        raise refused("Exactly one of PrimaryContainer and Containers must be given.")
    if len(several) > 1:
        raise refused(f"simferry emulator has models of one container; this one has {len(several)}")
    container = request.get("PrimaryContainer") or several[0]
    if "Image" not in container:
        raise refused("Image must be given: simferry emulator does not have model packages")
    if other := sorted({*container} - _MEMBERS):
        raise refused(f"simferry emulator does not have {other[0]} of a model's container")
    if container.get("Mode") == "MultiModel":
        raise refused("simferry emulator does not have multi-model endpoints: Mode MultiModel")
    if "ExecutionRoleArn" not in request:
        raise refused("ExecutionRoleArn must be given: the model's data and logs are reached with this role")
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source and "ModelDataUrl" in container:
        raise refused("Only one of ModelDataUrl and ModelDataSource can be given.")
    if source and (source["CompressionType"], source["S3DataType"]) != ("Gzip", "S3Object"):
        raise refused("simferry emulator has models that are one tar.gz: S3DataType S3Object, CompressionType Gzip")
    where = container.get("ModelDataUrl") or (source or {}).get("S3Uri", "s3://")
    if not where.startswith("s3://"):
        raise refused(f"simferry emulator knows addresses that begin with s3:// only, not '{where}'")


def has_image(model: Model, clients: Callable[..., Any], machine: Machine) -> None:
    """Raises Refusal if a model's image is not there."""
    try:
        local_image(model.image, lambda region: clients("ecr", region), machine)
    except ImageNotFound as error:
        why = str(error).removeprefix("ClientError: ")
        raise Refusal("ValidationException", f"Requested image {model.image} not found. {why}") from None
    except EngineError as error:
        raise Refusal("InternalFailure", f"simferry emulator: {error}", 500) from None


def has_model_data(model: Model, clients: Callable[..., Any]) -> None:
    """Raises Refusal if a model's archive is not there, or its role may not read it."""
    from botocore.exceptions import ClientError

    if not model.data:
        return
    bucket, key = split(model.data)
    region = model.arn.split(":")[3]
    try:
        clients("s3", region).head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            raise Refusal("ValidationException", f"Could not find model data at {model.data}.") from None
        raise Refusal(
            "ValidationException",
            f'Could not access model data at {model.data}. Please ensure that the role "{model.role}" exists and that its '
            'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object is '
            f"located in {region}.",
        ) from None


class Hosted:
    """A container that serves a model, with its folder and its log.

    folder: its own. name: begins the container's name. kind: its cores and memory. environment: comes after that of the model. group,
    stream: of its log.
    """

    def __init__(
        self,
        model: Model,
        machine: Machine,
        clients: Callable[..., Any],
        name: str,
        kind: Instance,
        environment: dict[str, str],
        group: str,
        stream: str,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.model, self.machine, self.clients, self.name = model, machine, clients, name
        self.kind, self.environment, self.most_bytes = kind, environment, most_bytes
        self.group, self.stream = group, stream
        self.region = model.arn.split(":")[3]
        self.folder = machine.folder / f"{self.region}-{name}-{stream.rpartition('/')[2]}"
        self.serving: Serving | None = None
        self._log: HostLog | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the container. Raises HostingFailed, after which nothing is left but a log."""
        try:
            self.folder.mkdir()
            image = self._image()
            (self.folder / "image").write_text(image)  # for clean_up_killed_emulators
            archive = self._archive()
            self.serving = Serving(
                self.machine.client, image, self.folder / "ml", self.machine.owner, self.name, model=archive,
                environment={**self.model.container.get("Environment", {}), **self.environment}, kind=self.kind,
                isolated=bool(self.model.request.get("EnableNetworkIsolation")), most_bytes=self.most_bytes,
            )  # fmt: skip
            self._start()
            if self._ended.is_set():  # meanwhile
                raise HostingFailed("it was ended while it started")
            self._begin_log()
        except BaseException:
            self.end(0)
            raise

    def _image(self) -> str:
        try:
            return local_image(self.model.image, lambda region: self.clients("ecr", region), self.machine)
        except ImageNotFound as error:
            raise HostingFailed(str(error).removeprefix("ClientError: ")) from None
        except EngineError as error:
            raise HostingFailed(f"simferry emulator: {error}") from None

    def _archive(self) -> Path | None:
        """The model's archive, fetched with its role."""
        from botocore.exceptions import ClientError

        if not self.model.data:
            return None
        bucket, key = split(self.model.data)
        try:
            body = self.clients("s3", self.region).get_object(Bucket=bucket, Key=key)["Body"]
        except ClientError as error:
            why = error.response["Error"]
            raise HostingFailed(
                f'Failed to download model data for container "primary" from URL: "{self.model.data}". Please ensure that '
                "there is an object located at the URL and that the role passed to CreateModel has permissions to download "
                f"the object. ({why.get('Message') or why['Code']})"
            ) from None
        path = self.folder / "model.tar.gz"
        with path.open("wb") as file:
            for piece in body.iter_chunks(1 << 20):
                file.write(piece)
        return path

    def _start(self) -> None:
        assert self.serving
        try:
            self.serving.start()
        except ModelArchiveError as error:
            why = str(error).replace(f"{self.folder}/", "")
            raise HostingFailed(
                f'Failed to extract model data archive for container "primary" from URL "{self.model.data}". Please ensure '
                f"that the object located at the URL is a valid tar.gz archive. ({why})"
            ) from None
        except (ImageError, UsageError) as error:
            raise HostingFailed(
                "CannotStartContainerError. Please ensure the model container starts correctly when invoked with "
                f"'docker run <image> serve'. ({error})"
            ) from None
        except EngineError as error:
            raise HostingFailed(f"simferry emulator: {error}") from None

    def wait_ready(self, seconds: float) -> bool:
        """Whether /ping answers 200 within so many seconds."""
        assert self.serving
        try:
            self.serving.wait_ready(seconds)
        except ServingError:
            return False
        return True

    def _begin_log(self) -> None:
        """Send what the container prints; nothing if the role may not write logs, as on the service."""
        from botocore.exceptions import ClientError

        assert self.serving
        try:
            client = self.clients("logs", self.region)
            make_group(client, self.group)
            self._log = HostLog(client, self.stream, self.serving.container, self.group)
        except ClientError:
            return
        self._log.follow()
        threading.Thread(target=self._keep_log, daemon=True).start()

    def _keep_log(self) -> None:
        assert self._log
        while not self._ended.wait(LOG_SECONDS):
            self._log.flush()

    def end(self, seconds: float) -> None:
        """End the container: SIGTERM, then SIGKILL after so many seconds. Its folder goes as well."""
        self._ended.set()
        log, serving = self._log, self.serving
        if log and serving and serving.ended.is_set():  # while its last lines are there
            log.finish()
        if serving and serving.container is not None:
            serving.stop(seconds)
        if log:
            log.finish()
        shutil.rmtree(self.folder, ignore_errors=True)
