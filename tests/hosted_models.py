"""Models and endpoints of an emulator, as tests make and ask them with boto3."""

import io
import tarfile

import boto3
from botocore.config import Config
from emulator_fixtures import Jobs
from emulator_requests import answered_by


def archive(slope="2.5") -> bytes:
    """A model.tar.gz of image_serve."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        info = tarfile.TarInfo("slope")
        info.size = len(slope)
        packed.addfile(info, io.BytesIO(slope.encode()))
    return out.getvalue()


class Host:
    """Makes models and endpoints, and asks them. What the emulator says of them is compared with its shape in botocore's model."""

    def __init__(self, emulator, image: str) -> None:
        self.emulator, self.image = emulator, image
        answered_by("sagemaker")
        self.s3, self.sagemaker, self.logs = (boto3.client(name) for name in ("s3", "sagemaker", "logs"))
        self.runtime = boto3.client("sagemaker-runtime", config=Config(retries={"total_max_attempts": 1}))

    def model(self, name, content=None, **more) -> str:
        """Returns the model's ARN. content: of its archive."""
        where = {}
        if content is not None:
            self.s3.put_object(Bucket=self.emulator.bucket, Key=f"{name}/model.tar.gz", Body=content)
            where = {"ModelDataUrl": f"s3://{self.emulator.bucket}/{name}/model.tar.gz"}
        container = {"Image": self.image, **where, **more}
        made = self.sagemaker.create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=self.emulator.role
        )
        return made["ModelArn"]

    def config(self, name, model, **variant) -> None:
        kind = {} if "ServerlessConfig" in variant else {"InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
        one = {"VariantName": "AllTraffic", "ModelName": model, **kind, **variant}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[one])

    def deploy(self, name, config) -> dict:
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return self.wait(name)

    def describe(self, name) -> dict:
        return self.sagemaker.describe_endpoint(EndpointName=name)

    def wait(self, name) -> dict:
        """The endpoint's description when nothing is in progress."""
        Jobs.until(lambda: self.describe(name)["EndpointStatus"] in ("InService", "Failed"))
        return self.describe(name)

    def delete(self, name) -> None:
        self.sagemaker.delete_endpoint(EndpointName=name)
        Jobs.until(lambda: name not in self.names())

    def names(self) -> list[str]:
        return [one["EndpointName"] for one in self.sagemaker.list_endpoints()["Endpoints"]]

    def ask(self, name, body, **headers) -> dict:
        return self.runtime.invoke_endpoint(EndpointName=name, Body=body, **headers)

    def predict(self, name, body, **headers) -> str:
        return self.ask(name, body, **{"ContentType": "text/csv", **headers})["Body"].read().decode()

    def answers(self, name, body) -> bool:
        try:
            return bool(self.predict(name, body))
        except self.runtime.exceptions.ClientError:
            return False

    def log(self, group) -> list[str]:
        """All lines of a group, by stream."""
        streams = self.logs.describe_log_streams(logGroupName=group)["logStreams"]
        out = []
        for one in streams:
            where = {"logGroupName": group, "logStreamName": one["logStreamName"], "startFromHead": True}
            out += [event["message"] for event in self.logs.get_log_events(**where)["events"]]
        return out
