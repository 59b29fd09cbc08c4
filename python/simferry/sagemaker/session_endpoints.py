"""What version 2's session does with endpoints."""

from typing import Any

from ..aws import session as aws
from . import endpoints_here


class EndpointsOfSession:
    """Endpoints, of the service and of this machine."""

    def client(self, service: str) -> Any:
        """A boto3 client of the session. service: as boto3 calls it."""
        raise NotImplementedError

    def invoke_endpoint(self, name: str, body: bytes, request: dict[str, Any]) -> dict[str, Any]:
        """The answer of InvokeEndpoint. name: of the endpoint. body, request: its data, and the other arguments.

        Raises AwsError if AWS refuses or the model fails; of one on this machine UsageError, ServingError.
        """
        if endpoints_here.is_here(name):
            attributes = str(request.get("CustomAttributes", ""))
            return endpoints_here.invoke(name, body, request["ContentType"], request["Accept"], attributes)
        with aws.asking(f"endpoint {name}"):
            return dict(self.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body, **request))

    def delete_endpoint(self, endpoint_name: str, with_config: bool = False) -> None:
        """Delete an endpoint. endpoint_name: of it. with_config: its configuration too. Raises AwsError."""
        if endpoints_here.is_here(endpoint_name):
            endpoints_here.stop(endpoint_name)
            return
        with aws.asking(f"endpoint {endpoint_name}"):
            config = self.client("sagemaker").describe_endpoint(EndpointName=endpoint_name)["EndpointConfigName"]
            self.client("sagemaker").delete_endpoint(EndpointName=endpoint_name)
        if with_config:
            self.delete_endpoint_config(config)

    def delete_endpoint_config(self, endpoint_config_name: str) -> None:
        """Delete an endpoint's configuration. endpoint_config_name: of it. Raises AwsError."""
        with aws.asking(f"endpoint configuration {endpoint_config_name}"):
            self.client("sagemaker").delete_endpoint_config(EndpointConfigName=endpoint_config_name)

    def delete_model(self, model_name: str) -> None:
        """Delete a model. model_name: of it. Raises AwsError."""
        with aws.asking(f"model {model_name}"):
            self.client("sagemaker").delete_model(ModelName=model_name)

    def models_of(self, endpoint_name: str) -> list[str]:
        """The names of the models of an endpoint; none of one on this machine. endpoint_name: of it. Raises AwsError."""
        if endpoints_here.is_here(endpoint_name):
            return []
        with aws.asking(f"endpoint {endpoint_name}"):
            config = self.client("sagemaker").describe_endpoint(EndpointName=endpoint_name)["EndpointConfigName"]
            found = self.client("sagemaker").describe_endpoint_config(EndpointConfigName=config)
        return [str(one["ModelName"]) for one in found["ProductionVariants"]]
