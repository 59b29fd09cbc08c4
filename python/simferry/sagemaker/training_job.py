"""A training job, with the interface of version 2, and the inputs that it is given."""

from collections.abc import Mapping
from typing import Any

from ..containers.storage import HERE, local_uri
from ..errors import UsageError
from .exceptions import check_status
from .inputs import TrainingInput
from .session import Session
from .values import is_s3, local_path

CHANNEL = "training"  # of an input without a name


class TrainingJob:
    """A job that was started. description: of a job that ran in Docker on this machine."""

    def __init__(
        self, sagemaker_session: Session | None, job_name: str, description: dict[str, Any] | None = None
    ) -> None:
        self.sagemaker_session, self.job_name = sagemaker_session or Session(), job_name
        self._description = description

    @property
    def name(self) -> str:
        return self.job_name

    def describe(self) -> dict[str, Any]:
        """The answer of DescribeTrainingJob. Raises AwsError."""
        return self._description or self.sagemaker_session.describe_training_job(self.job_name)

    def wait(self, logs: Any = True) -> None:
        """Wait for the end of the job. logs: print its output, and the seconds to pay for; not with False, "None" or None.

        Raises AwsError, and exceptions.UnexpectedStatusException if the job has failed.
        """
        if self._description:
            check_status(self._description, kind="training")
        elif logs_wanted(logs):
            self.sagemaker_session.logs_for_job(self.job_name, wait=True)
            self._print_seconds()
        else:
            self.sagemaker_session.wait_for_job(self.job_name)

    def _print_seconds(self) -> None:
        description = self.describe()
        hosts = description.get("ResourceConfig", {}).get("InstanceCount", 1)
        trained, billed = (description.get(f"{name}TimeInSeconds") for name in ("Training", "Billable"))
        if trained is None or billed is None:
            return
        print(f"Training seconds: {trained * hosts}\nBillable seconds: {billed * hosts}")
        if description.get("EnableManagedSpotTraining") and trained:
            print(f"Managed Spot Training savings: {(1 - billed / trained) * 100:.1f}%")

    def stop(self) -> None:
        """Ask the service to stop the job. Raises AwsError."""
        if not self._description:
            self.sagemaker_session.stop_training_job(self.job_name)

    def model(self) -> str:
        """The address of the job's model.tar.gz, in S3 or file://. Raises UsageError where it has none."""
        description = self.describe()
        address = description.get("ModelArtifacts", {}).get("S3ModelArtifacts")
        if not address:
            status = description["TrainingJobStatus"]
            raise UsageError(
                f"training job {self.job_name} has no model: it is {status}", "A job that has completed has one."
            )
        return as_given(str(address))


def logs_wanted(logs: Any) -> bool:
    """Whether the lines of a job are printed. logs: as version 2 has it: True, "All", ["Training"], or False, "None", None."""
    return bool(logs) and logs != "None"


def as_given(address: str) -> str:
    """An address as users write it: file://, where the request of a job here has a folder of this machine."""
    return f"file://{address.removeprefix(HERE)}" if address.startswith(HERE) else address


def channels_of(inputs: Any, here: bool) -> list[dict[str, Any]]:
    """The channels of a request, of what `fit` gets: an address, a TrainingInput, or a dict of them by name.

    here: whether the job runs in Docker on this machine, and file:// is an address too. Raises UsageError.
    """
    if inputs is None:
        return []
    named = inputs if isinstance(inputs, Mapping) else {CHANNEL: inputs}
    return [{"ChannelName": str(name), **_channel(str(name), one, here)} for name, one in named.items()]


def _channel(name: str, given: Any, here: bool) -> dict[str, Any]:
    one = TrainingInput(given) if isinstance(given, str) else given
    config = getattr(one, "config", None)
    if not isinstance(config, dict):
        raise UsageError(f"input {name} is {given!r}", "It is an address in S3, or a TrainingInput.")
    source = dict(config["DataSource"]["S3DataSource"])
    if not is_s3(address := source["S3Uri"]):
        if not (here and address.startswith("file://")):
            how = "file:// is for instance_type 'local'. " if address.startswith("file://") else ""
            raise UsageError(
                f"input {name}: {address!r} is not an address in S3",
                f'{how}Session().upload_data("data") uploads a file or a folder, and returns its address.',
            )
        path = local_path(address)
        if not path.exists():
            raise UsageError(f"input {name}: there is no file or folder {path}")
        source["S3Uri"] = local_uri(path)
    return {**config, "DataSource": {"S3DataSource": source}}
