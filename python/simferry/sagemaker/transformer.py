"""Batch transform, with the interface of version 2: predictions for all files below an address."""

from typing import Any

from ..aws import session as aws
from ..aws.instances import instance
from ..aws.limits import check_request
from ..containers.storage import local_uri
from ..errors import UsageError
from .exceptions import check_status
from .local import LARGEST
from .processor import LOCAL, given_only, tags_of, timed_name
from .s3 import s3_path_join
from .session import Session
from .training_job import logs_wanted
from .values import is_s3, local_path, named_texts, texts, whole


class Transformer:
    """Transforms files with a model. model_name: of a model in the service. model: a Model, which instance_type "local" needs.

    The other arguments are version 2's. Raises UsageError.
    """

    def __init__(
        self,
        model_name: str,
        instance_count: Any = 1,
        instance_type: Any = None,
        strategy: str | None = None,
        assemble_with: str | None = None,
        output_path: str | None = None,
        output_kms_key: str | None = None,
        accept: str | None = None,
        max_concurrent_transforms: Any = None,
        max_payload: Any = None,
        tags: Any = None,
        env: Any = None,
        base_transform_job_name: str | None = None,
        sagemaker_session: Session | None = None,
        volume_kms_key: str | None = None,
        model: Any = None,
    ) -> None:
        types = texts(instance_type, "instance_type")
        if not types:
            raise UsageError("Transformer needs instance_type")
        self._here = types[0] in LOCAL or getattr(sagemaker_session, "local_mode", False)
        if self._here and model is None:
            raise UsageError(
                "a Transformer of instance_type 'local' needs the model itself",
                'model.transformer(1, "local"), or that of an estimator, makes one.',
            )
        self._model = model
        if not self._here:
            instance(types[0])
        self.model_name, self.instance_type, self.strategy = model_name, types[0], strategy
        self.instance_count = whole(instance_count, "instance_count") or 1
        self.assemble_with, self.output_path, self.output_kms_key = assemble_with, output_path, output_kms_key
        self.accept, self.volume_kms_key = accept, volume_kms_key
        self.max_concurrent_transforms = whole(max_concurrent_transforms, "max_concurrent_transforms")
        self.max_payload, self.env, self.tags = (
            whole(max_payload, "max_payload"),
            named_texts(env, "env"),
            tags_of(tags),
        )
        self.base_transform_job_name = base_transform_job_name
        self.sagemaker_session = sagemaker_session or Session()
        self.latest_transform_job: str | None = None
        self._description: dict[str, Any] = {}  # of a job that ran here

    def transform(
        self,
        data: str,
        data_type: str = "S3Prefix",
        content_type: str | None = None,
        compression_type: str | None = None,
        split_type: str | None = None,
        job_name: str | None = None,
        input_filter: str | None = None,
        output_filter: str | None = None,
        join_source: str | None = None,
        experiment_config: Any = None,
        model_client_config: Any = None,
        wait: bool = True,
        logs: Any = True,
    ) -> None:
        """Start a job. Its name is `latest_transform_job` then, and its files are in `output_path`.

        data: an address in S3; with "local" also file:///folder, as output_path. wait: wait until the job has ended.
        logs: print its output while waiting. The other arguments are
        those of CreateTransformJob, by version 2's names.

        Raises UsageError, RequestRefused, AwsError, and exceptions.UnexpectedStatusException if the job has failed (only with wait).
        """
        address = self._address("data", data)
        session, name = self.sagemaker_session, job_name or timed_name(self.base_transform_job_name or self.model_name)
        if not self.output_path:
            self.output_path = s3_path_join("s3://", session.default_bucket(), session.default_bucket_prefix, name)
        output = self._address("output_path", self.output_path)
        client_config = dict(model_client_config or {})
        request = {
            "TransformJobName": name,
            "ModelName": self.model_name,
            "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": data_type, "S3Uri": address}}}
            | given_only(ContentType=content_type, CompressionType=compression_type, SplitType=split_type),
            "TransformOutput": {"S3OutputPath": output}
            | given_only(AssembleWith=self.assemble_with, KmsKeyId=self.output_kms_key, Accept=self.accept),
            "TransformResources": {
                "InstanceType": LARGEST if self._here else self.instance_type,
                "InstanceCount": self.instance_count,
            }
            | given_only(VolumeKmsKeyId=self.volume_kms_key),
        } | given_only(
            BatchStrategy=self.strategy,
            MaxConcurrentTransforms=self.max_concurrent_transforms,
            MaxPayloadInMB=self.max_payload,
            Environment=self.env,
            DataProcessing=given_only(InputFilter=input_filter, OutputFilter=output_filter, JoinSource=join_source),
            ModelClientConfig={key: whole(value, key) for key, value in client_config.items()},
            ExperimentConfig=named_texts(experiment_config, "experiment_config"),
            Tags=self.tags,
        )
        if self._here and "DataProcessing" in request:
            raise UsageError(
                "input_filter, output_filter and join_source are not supported on this machine", "Leave them out."
            )
        check_request("sagemaker", "CreateTransformJob", request)
        self.latest_transform_job = name
        if self._here:
            self._description = self._model._transform_here(request)
            check_status(self._description, kind="transform")
            return
        with aws.asking(f"transform job {name}"):
            session.sagemaker_client.create_transform_job(**request)
        if wait:
            self.wait(logs)

    def wait(self, logs: Any = True) -> None:
        """Wait for the end of the latest job. logs: print its output.

        Raises UsageError before `transform`, AwsError, and exceptions.UnexpectedStatusException if the job has failed.
        """
        name = self._job()
        if self._here:
            return
        if logs_wanted(logs):
            self.sagemaker_session.logs_of("transform", name, wait=True)
        else:
            self.sagemaker_session.wait_for("transform", name)

    def stop_transform_job(self, wait: bool = True) -> None:
        """Ask the service to stop the latest job. wait: until it has ended. Raises UsageError, AwsError."""
        name = self._job()
        if not self._here:
            self.sagemaker_session.stop_transform_job(name, wait)

    def _address(self, what: str, given: Any) -> str:
        """An address as a request has it."""
        if is_s3(given):
            return str(given)
        if self._here and str(given).startswith("file://"):
            return local_uri(local_path(given))
        raise UsageError(
            f"{what} is {given!r}, and has to be an address in S3", 'Session().upload_data("data") uploads files.'
        )

    def _job(self) -> str:
        if self.latest_transform_job is None:
            raise UsageError("there is no transform job yet", "Call transform() first.")
        return self.latest_transform_job
