"""A model that is deployed, with the interface of version 2: its image, its model.tar.gz, its endpoints and batch transforms."""

import tempfile
import time
from pathlib import Path
from typing import Any

from ..aws import session as aws
from ..aws.instances import instance
from ..aws.limits import check_request
from ..errors import UsageError, nearest
from ..images.framework import own_image
from . import endpoints_here
from .exceptions import UnexpectedStatusException
from .predictor import Predictor
from .processor import LOCAL, given_only, image_name, tags_of, timed_name
from .s3 import parse_s3_url
from .session import Session
from .transform_here import transform_here
from .transformer import Transformer
from .values import is_s3, local_path, named_texts, texts, whole

POLL_SECONDS = 5.0
VARIANT = "AllTraffic"
# arguments that change nothing here, or are refused where they switch something on
_REFUSED = (
    "entry_point", "source_dir", "dependencies", "git_config", "accelerator_type", "data_capture_config", "async_inference_config",
    "image_config", "explainer_config",
)  # fmt: skip
_IGNORED = (
    "model_kms_key",
    "code_location",
    "container_log_level",
    "update_endpoint",
    "py_version",
    "framework_version",
)


class Model:
    """A model. image_uri: what serves it, as `IMAGE serve`. model_data: the address of its model.tar.gz, if it has one.

    env: environment variables of the container. predictor_cls: what `deploy` returns, called with the endpoint's name and the session.
    The other arguments are version 2's. Raises UsageError.
    """

    def __init__(
        self,
        image_uri: str | None = None,
        model_data: str | None = None,
        role: str | None = None,
        predictor_cls: Any = None,
        env: Any = None,
        name: str | None = None,
        vpc_config: Any = None,
        sagemaker_session: Session | None = None,
        enable_network_isolation: bool = False,
        image: str | None = None,
        **options: Any,
    ) -> None:
        check_options("Model", options)
        if not (image_uri := image_uri or image):
            raise UsageError("Model needs image_uri")
        self.image_uri, self.model_data, self.role = own_image(image_uri), model_data, role
        self.predictor_cls = predictor_cls or Predictor
        self.env, self.name = named_texts(env, "env"), name
        self.vpc_config, self.enable_network_isolation = vpc_config, enable_network_isolation
        self.sagemaker_session = sagemaker_session or Session()
        self.endpoint_name: str | None = None
        self._is_made = False  # in the service

    def create(self, tags: Any = None) -> None:
        """Make the model in the service, once. Its name is `name` then. tags: of it. Raises UsageError, RequestRefused, AwsError."""
        if self._is_made:
            return
        if not self.role:
            raise UsageError("Model needs role")
        if self.model_data and not is_s3(self.model_data):
            raise UsageError(
                f"model_data is {self.model_data!r}, and has to be an address in S3",
                "file:// is for instance_type 'local'.",
            )
        self.name = self.name or timed_name(image_name(self.image_uri))
        container = {"Image": self.image_uri} | given_only(ModelDataUrl=self.model_data, Environment=self.env)
        request = {
            "ModelName": self.name,
            "PrimaryContainer": container,
            "ExecutionRoleArn": self.sagemaker_session.expand_role(self.role),
        } | given_only(
            VpcConfig=dict(self.vpc_config or {}),
            EnableNetworkIsolation=bool(self.enable_network_isolation),
            Tags=tags_of(tags),
        )
        self._ask("CreateModel", request, f"model {self.name}")
        self._is_made = True

    def _ask(self, operation: str, request: dict[str, Any], what: str) -> None:
        check_request("sagemaker", operation, request)
        client = self.sagemaker_session.sagemaker_client
        from botocore import xform_name

        with aws.asking(what):
            getattr(client, xform_name(operation))(**request)

    def deploy(
        self,
        initial_instance_count: Any = None,
        instance_type: Any = None,
        serializer: Any = None,
        deserializer: Any = None,
        accelerator_type: Any = None,
        endpoint_name: str | None = None,
        tags: Any = None,
        kms_key: str | None = None,
        wait: bool = True,
        data_capture_config: Any = None,
        async_inference_config: Any = None,
        serverless_inference_config: Any = None,
        container_startup_health_check_timeout: Any = None,
        **options: Any,
    ) -> Any:
        """Make an endpoint, and return what predicts with it (`predictor_cls`). It costs money until it is deleted.

        initial_instance_count, instance_type: its machines; "local" runs it on this machine, until this process ends. serializer,
        deserializer: of the predictor. endpoint_name: of it. tags: of all that is made. kms_key: encrypts its disks. wait: until it
        answers. serverless_inference_config: in place of machines. container_startup_health_check_timeout: seconds. The others are
        version 2's.

        Raises UsageError, RequestRefused, AwsError; exceptions.UnexpectedStatusException with the reason if the endpoint fails (only
        with wait), and what endpoints_here.start raises.
        """
        given = {"accelerator_type": accelerator_type, "data_capture_config": data_capture_config,
                 "async_inference_config": async_inference_config}  # fmt: skip
        check_options("deploy", {**given, **options})
        types = texts(instance_type, "instance_type")
        if not types and not serverless_inference_config:
            raise UsageError("deploy needs instance_type, or serverless_inference_config")
        here = self._runs_here(types)
        name = self.endpoint_name = endpoint_name or timed_name(image_name(self.name or self.image_uri))
        if here:
            with tempfile.TemporaryDirectory() as folder:
                endpoints_here.start(name, self.image_uri, self._archive(Path(folder)), self.env)
        else:
            count = whole(initial_instance_count, "initial_instance_count") or 1
            self._deploy(
                name, types, count, serverless_inference_config, tags, kms_key, container_startup_health_check_timeout
            )
            if wait:
                self._await(name)
        made = self.predictor_cls(name, self.sagemaker_session)
        if serializer:
            made.serializer = serializer
        if deserializer:
            made.deserializer = deserializer
        return made

    def _archive(self, folder: Path) -> Path | None:
        """The model's archive on this machine. folder: where it is put if it is in S3."""
        if not self.model_data:
            return None
        if not is_s3(self.model_data):
            return local_path(self.model_data)
        bucket, key = parse_s3_url(self.model_data)
        target = folder / "model.tar.gz"
        with aws.asking(self.model_data):
            self.sagemaker_session.s3_client.download_file(bucket, key, str(target))
        return target

    def _deploy(
        self,
        name: str,
        types: list[str],
        count: int,
        serverless: Any,
        tags: Any,
        kms_key: str | None,
        start_seconds: Any,
    ) -> None:
        place: dict[str, Any] = (
            {"InitialInstanceCount": count, "InstanceType": types[0], "InitialVariantWeight": 1.0} if types else {}
        )
        for one in types[:1]:
            instance(one, hosting=True)
        if serverless:
            place = {"ServerlessConfig": serverless._to_request_dict()}
        place |= given_only(
            ContainerStartupHealthCheckTimeoutInSeconds=whole(start_seconds, "container_startup_health_check_timeout")
        )
        self.create(tags)
        variant = {"VariantName": VARIANT, "ModelName": self.name, **place}
        tagged = given_only(Tags=tags_of(tags))
        config = {"EndpointConfigName": name, "ProductionVariants": [variant], **tagged} | given_only(KmsKeyId=kms_key)
        self._ask("CreateEndpointConfig", config, f"endpoint configuration {name}")
        self._ask("CreateEndpoint", {"EndpointName": name, "EndpointConfigName": name, **tagged}, f"endpoint {name}")

    def _await(self, name: str) -> None:
        client = self.sagemaker_session.sagemaker_client
        while True:
            with aws.asking(f"endpoint {name}"):
                found = client.describe_endpoint(EndpointName=name)
            if (status := found["EndpointStatus"]) not in ("Creating", "Updating", "SystemUpdating"):
                break
            time.sleep(self.sagemaker_session._pause(POLL_SECONDS))
        if status != "InService":
            reason = found.get("FailureReason") or "the service gives no reason"
            raise UnexpectedStatusException(
                f"endpoint {name} is {status}: {reason}", f'Session().delete_endpoint("{name}")  removes it.', status
            )

    def transformer(
        self, instance_count: Any, instance_type: Any, strategy: str | None = None, **options: Any
    ) -> Transformer:
        """Make the model in the service, and return what transforms files with it. Arguments as of Transformer; errors as of `create`."""
        if not self._runs_here(texts(instance_type)):
            self.create(options.get("tags"))
        self.name = self.name or timed_name(image_name(self.image_uri))
        return Transformer(
            self.name, instance_count, instance_type, strategy, sagemaker_session=self.sagemaker_session, model=self,
            **options,
        )  # fmt: skip

    def _transform_here(self, request: dict[str, Any]) -> dict[str, Any]:
        environment = {**self.env, **request.get("Environment", {})}
        with tempfile.TemporaryDirectory() as folder:
            archive = self._archive(Path(folder))
            return transform_here(request, self.image_uri, archive, environment, self.sagemaker_session)

    def _runs_here(self, types: list[str]) -> bool:
        return types[:1] in ([name] for name in LOCAL) or getattr(self.sagemaker_session, "local_mode", False)

    def delete_model(self) -> None:
        """Delete the model in the service. Raises UsageError where it was not made, and AwsError."""
        if not self.name:
            raise UsageError("the model was not made in the service yet", "deploy() and create() make it.")
        self.sagemaker_session.delete_model(self.name)
        self._is_made = False


def check_options(owner: str, options: dict[str, Any]) -> None:
    """Raise UsageError for arguments that are not supported, or not known. owner: whose they are. options: by name."""
    for name, value in options.items():
        if name in _REFUSED:
            if value:
                code = name in ("entry_point", "source_dir", "dependencies")
                brings = "The image has to bring its program along: simferry's toolkit has `serve` for it."
                raise UsageError(f"{name} of {owner} is not supported", brings if code else "Leave it out.")
        elif name not in _IGNORED:
            raise UsageError(
                f"{owner} has no argument {name}", nearest(name, [*_REFUSED, "image_uri", "model_data", "env"])
            )
