"""SageMaker's operations on models, endpoint configurations and endpoints, and InvokeEndpoint, with the service's checks and words."""

import threading
import time
from collections.abc import Callable
from typing import Any

from ...aws.instances import hosting_instances
from ...containers.http_lines import ATTRIBUTES
from ...images.framework import own_image
from ..calls import ACCOUNT, Answer, Call, Refusal, headers
from ..endpoints import Endpoint
from ..faults import Faults
from ..hosted import Config, Model, check_model, has_image, has_model_data
from ..machine import Machine
from .jobs import check_region, check_role, checked, over_quota, refused
from .listing import page

# what a word in an error stands for: the type in ARNs
WORDS = {"model": "model", "endpoint-config": "endpoint configuration", "endpoint": "endpoint"}
BUSY = ("Creating", "Updating", "RollingBack", "Deleting")
_HEADERS = 1024  # characters of a header
MOST_INSTANCES = 4
NOT_HERE = {  # of a production variant
    "AcceleratorType", "CapacityReservationConfig", "CoreDumpConfig", "InferenceAmiVersion", "InstancePools",
    "AcceleratorPartitionLayouts",
}  # fmt: skip


class Hosting:
    """The models, endpoint configurations and endpoints of an emulator.

    quotas: by instance type, the instances that endpoints may use at once; other types have no limit. has_role: whether SageMaker may
    assume a role. clients_of: gives a function that makes clients with the credentials of a role.
    """

    def __init__(
        self,
        quotas: dict[str, int],
        faults: Faults,
        machine: Machine,
        has_role: Callable[[str], bool],
        clients_of: Callable[[str], Callable[..., Any]],
        on_event: Callable[[str], None],
    ) -> None:
        self.quotas, self.faults, self.machine = quotas, faults, machine
        self.has_role, self.clients_of, self.on_event = has_role, clients_of, on_event
        self.models: dict[str, Model] = {}  # by ARN, as all of them
        self.configs: dict[str, Config] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self._lock = threading.RLock()
        self._operations: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
            "CreateModel": self._create_model,
            "DescribeModel": lambda given, region: self.model(given["ModelName"], region).describe(),
            "ListModels": self._list_models,
            "DeleteModel": self._delete_model,
            "CreateEndpointConfig": self._create_config,
            "DescribeEndpointConfig": self._describe_config,
            "ListEndpointConfigs": self._list_configs,
            "DeleteEndpointConfig": self._delete_config,
            "CreateEndpoint": self._create_endpoint,
            "DescribeEndpoint": lambda given, region: self._endpoint(given, region).describe(),
            "ListEndpoints": self._list_endpoints,
            "UpdateEndpoint": self._update_endpoint,
            "DeleteEndpoint": self._delete_endpoint,
        }

    def answers(self, call: Call) -> bool:
        return call.service == "sagemaker" and call.operation in (*self._operations, "InvokeEndpoint")

    def answer(self, call: Call) -> dict[str, Any] | Answer:
        if call.operation == "InvokeEndpoint":
            return self._invoke(call)
        return self._operations[call.operation](checked(call), call.region)

    def stop(self, seconds: float) -> None:
        """End every endpoint at once, and wait at most `seconds` for each."""
        with self._lock:
            running = list(self.endpoints.values())
        for endpoint in running:
            endpoint.delete(at_once=True)
        for endpoint in running:
            endpoint.join(seconds)

    def tagged(self, region: str) -> list[tuple[str, dict[str, str]]]:
        """ARN and tags of what is in a region."""
        with self._lock:
            arns = [*self.models, *self.configs, *self.endpoints]
        return [(arn, dict(self.tags_of(arn) or {})) for arn in arns if arn.split(":")[3] == region]

    def tags_of(self, arn: str) -> dict[str, str] | None:
        """The tags of a resource, which may be changed; None if it is none of these."""
        found = self.models.get(arn) or self.configs.get(arn)
        return (found or self.endpoints[arn]).tags if found or arn in self.endpoints else None

    # ---- models ----

    def _create_model(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        model = Model(request, arn_of("model", request["ModelName"], region), time.time(), _tags(request))
        check_model(request)
        self._check_new(model.arn, self.models)
        check_region(own_image(model.image), region)
        check_role(model.role, self.has_role, "ExecutionRoleArn")
        clients = self.clients_of(model.role)
        has_image(model, clients, self.machine)
        has_model_data(model, clients)
        with self._lock:
            self._check_new(model.arn, self.models)
            self.models[model.arn] = model
        return {"ModelArn": model.arn}

    def model(self, name: str, region: str) -> Model:
        """Raises Refusal if there is none of this name."""
        arn = arn_of("model", name, region)
        if arn not in self.models:
            raise missing(arn)
        return self.models[arn]

    def _list_models(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        rows = [one.row() for one in list(self.models.values()) if one.arn.split(":")[3] == region]
        found, token = page(request, rows, "ModelName")
        return {"Models": found, **token}

    def _delete_model(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        with self._lock:
            del self.models[self.model(request["ModelName"], region).arn]
        return {}

    # ---- endpoint configurations ----

    def _create_config(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        config = Config(
            request, arn_of("endpoint-config", request["EndpointConfigName"], region), time.time(), _tags(request)
        )
        self._check_new(config.arn, self.configs)
        check_config(request)
        self.model(config.variant["ModelName"], region)
        with self._lock:
            self._check_new(config.arn, self.configs)
            self.configs[config.arn] = config
        return {"EndpointConfigArn": config.arn}

    def _config(self, request: dict[str, Any], region: str) -> Config:
        arn = arn_of("endpoint-config", request["EndpointConfigName"], region)
        if arn not in self.configs:
            raise missing(arn)
        return self.configs[arn]

    def _describe_config(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        config = self._config(request, region)
        told = {key: value for key, value in config.request.items() if key != "Tags"}
        variant = {"InitialVariantWeight": 1.0, **config.variant}
        return {**told, **config.row(), "ProductionVariants": [variant]}

    def _list_configs(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        rows = [one.row() for one in list(self.configs.values()) if one.arn.split(":")[3] == region]
        found, token = page(request, rows, "EndpointConfigName")
        return {"EndpointConfigs": found, **token}

    def _delete_config(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        with self._lock:
            del self.configs[self._config(request, region).arn]
        return {}

    # ---- endpoints ----

    def _create_endpoint(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        arn = arn_of("endpoint", request["EndpointName"], region)
        with self._lock:
            self._check_new(arn, self.endpoints)
            config = self._config(request, region)
            model = self._for(config, region)
            endpoint = Endpoint(
                arn, config, model, _tags(request), self.machine, self.clients_of, lambda: self.faults.pace,
                self.on_event, self._forget,
            )  # fmt: skip
            self.endpoints[arn] = endpoint
        endpoint.start(self.faults.start_seconds, self.faults.has_capacity())
        return {"EndpointArn": arn}

    def _for(self, config: Config, region: str) -> Model:
        """The model of a configuration that an endpoint is to have. Raises Refusal."""
        model = self.model(config.variant["ModelName"], region)
        if kind := config.variant.get("InstanceType"):
            used = sum(one.instances_of(kind) for one in self.endpoints.values())
            if refusal := over_quota(self.quotas, kind, "endpoint", used, config.variant["InitialInstanceCount"]):
                raise refusal
        return model

    def _endpoint(self, request: dict[str, Any], region: str) -> Endpoint:
        arn = arn_of("endpoint", request["EndpointName"], region)
        with self._lock:
            if arn not in self.endpoints:
                raise missing(arn)
            return self.endpoints[arn]

    def _forget(self, endpoint: Endpoint) -> None:
        """After its deletion."""
        with self._lock:
            if self.endpoints.get(endpoint.arn) is endpoint:
                del self.endpoints[endpoint.arn]

    def _list_endpoints(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        with self._lock:
            rows = [one.row() for one in self.endpoints.values() if one.arn.split(":")[3] == region]
        found, token = page(request, rows, "EndpointName", "EndpointStatus")
        return {"Endpoints": found, **token}

    def _update_endpoint(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        with self._lock:
            endpoint = self._idle(request, region)
            if endpoint.status == "Failed":
                raise refused(
                    f'Cannot update endpoint "{endpoint.arn}" in status Failed: delete it, and create it again.'
                )
            config = self._config(request, region)
            endpoint.update(config, self._for(config, region))
        return {"EndpointArn": endpoint.arn}

    def _delete_endpoint(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        with self._lock:
            self._idle(request, region).delete()
        return {}

    def _idle(self, request: dict[str, Any], region: str) -> Endpoint:
        endpoint = self._endpoint(request, region)
        if endpoint.status in BUSY:
            raise refused(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        return endpoint

    # ---- InvokeEndpoint ----

    def _invoke(self, call: Call) -> Answer:
        given, name = call.parameters, str(call.parameters["EndpointName"])
        if long := [one for one, value in given.items() if len(value) > _HEADERS]:
            text = (
                f"Value at '{long[0]}' failed to satisfy constraint: Member must have length less than or equal to 1024"
            )
            raise Refusal("ValidationError", f"1 validation error detected: {text}")
        endpoint = self.endpoints.get(arn_of("endpoint", name, call.region))
        if endpoint is None:
            raise Refusal("ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
        variant = endpoint.config.variant
        if (wanted := given.get("TargetVariant", variant["VariantName"])) != variant["VariantName"]:
            raise Refusal("ValidationError", f"Variant {wanted} of endpoint {name} of account {ACCOUNT} not found.")
        for member in (
            "TargetModel",
            "TargetContainerHostname",
            "InferenceComponentName",
            "SessionId",
            "EnableExplanations",
        ):
            if member in given:
                raise Refusal(
                    "ValidationError", f"{member}: endpoint {name} has one model in one container, and no sessions"
                )
        got = endpoint.invoke(call.body, given)
        told = {"x-Amzn-Invoked-Production-Variant": variant["VariantName"]}
        if got.attributes:
            told[ATTRIBUTES] = _in_one_line(got.attributes)
        return 200, [*headers(_in_one_line(got.content_type)), *told.items()], got.body

    @staticmethod
    def _check_new(arn: str, known: dict[str, Any]) -> None:
        if arn in known:
            raise refused(f'Cannot create already existing {WORDS[kind_of(arn)]} "{arn}".')


def arn_of(kind: str, name: str, region: str) -> str:
    """kind: as ARNs have it, such as endpoint-config."""
    return f"arn:aws:sagemaker:{region}:{ACCOUNT}:{kind}/{name}"


def kind_of(arn: str) -> str:
    """The type of a resource, such as endpoint-config."""
    return arn.rpartition(":")[2].partition("/")[0]


def _in_one_line(header: str) -> str:
    """A header of a container's, which may go over several lines."""
    return " ".join(header.split())


def missing(arn: str) -> Refusal:
    return refused(f'Could not find {WORDS[kind_of(arn)]} "{arn}".')


def _tags(request: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}


def check_config(request: dict[str, Any]) -> None:
    """Refuse what the model of the service does not exclude, and what the emulator does not have."""
    variants = request["ProductionVariants"]
    if len(variants) > 1:
        raise refused(
            f"simferry emulator has endpoints with one production variant; this configuration has {len(variants)}"
        )
    for member in ("AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants", "CrossRegionTrafficConfig"):
        if member in request:
            raise refused(f"simferry emulator does not have {member} of endpoint configurations")
    if request.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise refused("simferry emulator does not capture data: DataCaptureConfig")
    variant = variants[0]
    if other := sorted(NOT_HERE & {*variant}):
        raise refused(f"simferry emulator does not have {other[0]} of production variants")
    if variant.get("ManagedInstanceScaling", {}).get("Status") == "ENABLED":
        raise refused("simferry emulator does not scale endpoints: ManagedInstanceScaling")
    if "ModelName" not in variant:
        raise refused(
            "ModelName must be given in ProductionVariants: simferry emulator does not have inference components"
        )
    if ("ServerlessConfig" in variant) == ("InstanceType" in variant):
        raise refused("Exactly one of InstanceType and ServerlessConfig must be given in ProductionVariants.")
    if "ServerlessConfig" in variant:
        memory = variant["ServerlessConfig"]["MemorySizeInMB"]
        if memory % 1024:
            raise refused(f"MemorySizeInMB must be one of 1024, 2048, 3072, 4096, 5120, 6144, and is {memory}")
        if "InitialInstanceCount" in variant:
            raise refused("InitialInstanceCount can't be given with ServerlessConfig.")
        return
    if "InitialInstanceCount" not in variant:
        raise refused("InitialInstanceCount must be given with InstanceType.")
    if (count := variant["InitialInstanceCount"]) > MOST_INSTANCES:
        raise refused(
            f"simferry emulator runs endpoints on at most {MOST_INSTANCES} instances; InitialInstanceCount is {count}"
        )
    if variant["InstanceType"] not in hosting_instances():
        raise refused(f"{variant['InstanceType']}: simferry emulator does not know this instance type")
