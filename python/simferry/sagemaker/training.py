"""Version 2's estimators: they start training jobs."""

import copy
from typing import Any

from ..aws import session as aws
from ..aws.instances import instance
from ..aws.limits import check_request
from ..containers.job import ROLE
from ..containers.storage import local_uri
from ..errors import UsageError, nearest
from ..hints import Text
from ..images.framework import explained, is_framework, not_here, own_image
from ..system.untrusted import scrap_folder
from . import local
from .model import Model
from .processor import LOCAL, given_only, image_name, tags_of, timed_name
from .s3 import s3_path_join
from .script_mode import Code, Script, code_of, mpi_of, plain, script_of, send
from .session import Session
from .training_job import TrainingJob, channels_of, logs_wanted
from .transformer import Transformer
from .values import is_s3, listed, local_path, named_texts, text, texts, whole

# version 1's names
_RENAMED = {
    "image_name": "image_uri", "distributions": "distribution",
    **{f"train_{name}": name for name in ("instance_count", "instance_type", "volume_size", "volume_kms_key", "max_run",
                                          "use_spot_instances", "max_wait")},
}  # fmt: skip
# what a job does not need here: these may be given if they switch something off, or change nothing
_SWITCHED_OFF = (
    "rules", "debugger_hook_config", "profiler_config", "tensorboard_output_config", "enable_sagemaker_metrics", "git_config",
    "instance_groups", "model_uri", "model_channel_name", "compiler_config", "training_repository_access_mode",
    "training_repository_credentials_provider_arn", "enable_infra_check", "enable_remote_debug", "enable_session_tag_chaining",
    "training_plan",
)  # fmt: skip
_IGNORED = ("disable_profiler", "py_version", "script_mode", "image_uri_region", "model_channel_name")
_OPTIONS = {
    "keep_alive_period_in_seconds": None, "volume_size": 30, "volume_kms_key": None, "max_run": 86400, "input_mode": "File",
    "output_path": None, "output_kms_key": None, "base_job_name": None, "tags": None, "subnets": None, "security_group_ids": None,
    "metric_definitions": None, "encrypt_inter_container_traffic": False, "use_spot_instances": False, "max_wait": None,
    "checkpoint_s3_uri": None, "checkpoint_local_path": None, "enable_network_isolation": False, "environment": None,
    "max_retry_attempts": None, "source_dir": None, "entry_point": None, "dependencies": None, "code_location": None,
    "container_log_level": 20, "container_entry_point": None, "container_arguments": None, "disable_output_compression": False,
    "distribution": None,
}  # fmt: skip
_OF_MODEL = ("role", "image_uri", "image", "predictor_cls", "env", "enable_network_isolation", "vpc_config_override", "entry_point",
             "source_dir", "dependencies")  # fmt: skip
_WHOLE = (
    "keep_alive_period_in_seconds",
    "volume_size",
    "max_run",
    "max_wait",
    "max_retry_attempts",
    "container_log_level",
)


class EstimatorBase:
    """Starts training jobs that run an image, or a script in it.

    image_uri: the image, which runs as `IMAGE train`. instance_type: "local" runs the job in Docker on this machine. hyperparameters: of
    the program, by name. entry_point, source_dir, dependencies: a script that runs in place of the image's program, in any image that has
    Python: it gets the hyperparameters as --name value, and the SM_ variables. The other options are version 2's; version 1's names
    (image_name, train_instance_count ...) are taken too.

    Raises UsageError for options that are missing, not known, or not supported.
    """

    def __init__(
        self,
        image_uri: str | None = None,
        role: str | None = None,
        instance_count: Any = None,
        instance_type: Any = None,
        hyperparameters: Any = None,
        sagemaker_session: Session | None = None,
        **options: Any,
    ) -> None:
        named = {"image_uri": image_uri, "role": role, "instance_count": instance_count, "instance_type": instance_type}
        given = _options(type(self).__name__, {**named, **options})
        types = texts(given["instance_type"], "instance_type")
        self._local = types[:1] in ([name] for name in LOCAL) or getattr(sagemaker_session, "local_mode", False)
        needed = ("image_uri", "instance_type") if self._local else ("image_uri", "role", "instance_type")
        if missing := [name for name in needed if not given[name]]:
            raise UsageError(f"{type(self).__name__} needs {' and '.join(missing)}")
        for name in [] if self._local else types:
            instance(name)
        self.role, self.image_uri = given["role"], own_image(str(given["image_uri"]))
        self.instance_count = whole(given["instance_count"], "instance_count") or 1
        self.instance_type = types[0] if len(types) == 1 else types
        self.sagemaker_session = sagemaker_session or (local.LocalSession() if self._local else Session())
        for name in _OPTIONS:
            value = whole(given[name], name) if name in _WHOLE and given[name] is not None else given[name]
            setattr(self, name, value)
        self.options = {name: getattr(self, name) for name in _OPTIONS}
        self._mpi = mpi_of(self.options["distribution"])
        self._check_places()
        self._hyperparameters: dict[str, Any] = dict(hyperparameters or {})
        self.jobs: list[TrainingJob] = []
        self.latest_training_job: TrainingJob | None = None
        self._current_job_name: str | None = None

    def _check_places(self) -> None:
        for name in ("output_path", "checkpoint_s3_uri", "code_location"):
            address = self.options[name]
            if address and not is_s3(address) and not (self._local and str(address).startswith("file://")):
                hint = "s3://bucket/folder" + (
                    ", or file:///folder" if self._local else "; file:// is for instance_type 'local'"
                )
                raise UsageError(f"{name} is {address!r}, and has to be an address in S3", hint)

    # ---- the program ----

    def hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters, as they were given."""
        return dict(self._hyperparameters)

    def set_hyperparameters(self, **hyperparameters: Any) -> None:
        """Set hyperparameters, beside those that there are. hyperparameters: values by their names."""
        self._hyperparameters |= hyperparameters

    def training_image_uri(self) -> str:
        """The image of the jobs."""
        return self.image_uri

    train_image = training_image_uri  # version 1's name

    def _texts(self) -> dict[str, str]:
        """The hyperparameters as the service takes them."""
        return plain(self.hyperparameters())

    def _own(self, job_name: str, output: str) -> dict[str, Any]:
        """More hyperparameters, of a framework. output: where the job's outputs go."""
        return {}

    # ---- start ----

    def fit(
        self,
        inputs: Any = None,
        wait: bool = True,
        logs: Any = "All",
        job_name: str | None = None,
        experiment_config: Any = None,
    ) -> None:
        """Start a training job. Afterwards it is `latest_training_job`.

        inputs: an address in S3, a TrainingInput, or a dict (in R a named list) of them by the name of their channel; without a name
            it is "training". In local mode also file:///folder. wait: wait until the job has ended. logs: print its output while
            waiting. job_name: of the job. experiment_config: as version 2 has it.

        Raises UsageError or aws.limits.RequestRefused before anything is sent, AwsError if AWS refuses, and
        exceptions.UnexpectedStatusException if the job has failed (only with wait).
        """
        name = job_name or timed_name(self.options["base_job_name"] or image_name(self.image_uri))
        with scrap_folder("simferry-code-") as scrap:
            code = self._code(name, scrap)
            request = self._request(name, channels_of(inputs, self._local), code, experiment_config)
            check_request("sagemaker", "CreateTrainingJob", request)
            description = None
            if self._local:
                with explained(self.image_uri):
                    description = local.train_here(request, self.sagemaker_session, logs_wanted(logs))
            else:
                client = self.sagemaker_session.sagemaker_client
                if is_framework(self.image_uri) and aws.is_loopback(client.meta.endpoint_url):
                    raise not_here(self.image_uri, "the emulator's jobs run images of this machine")
                send(code, self.options["output_kms_key"], self.sagemaker_session)
                with aws.asking(f"training job {name}"):
                    client.create_training_job(**request)
        self.latest_training_job = TrainingJob(self.sagemaker_session, name, description)
        self.jobs.append(self.latest_training_job)
        self._current_job_name = name  # published scripts read it
        if wait or self._local:
            self.latest_training_job.wait(logs=logs)

    def _code(self, job_name: str, scrap: Any) -> Code:
        given = self.options
        if not given["entry_point"]:
            if self._mpi:
                raise UsageError(
                    "distribution goes with entry_point, the script that runs with MPI", 'entry_point="train.py"'
                )
            if given["source_dir"] or given["dependencies"]:
                raise UsageError(
                    "source_dir and dependencies go with entry_point, the script in them", 'entry_point="train.py"'
                )
            return Code({}, [], texts(given["container_entry_point"], "container_entry_point"),
                        texts(given["container_arguments"], "container_arguments"))  # fmt: skip
        if given["container_entry_point"] or given["container_arguments"]:
            raise UsageError(
                "entry_point and container_entry_point exclude each other", "entry_point is a script of yours."
            )
        script = Script(str(given["entry_point"]), given["source_dir"], given["dependencies"], given["code_location"],
                        given["container_log_level"], self._mpi)  # fmt: skip
        return code_of(script, self.image_uri, job_name, self.sagemaker_session, self._local, scrap)

    def _output(self) -> str:
        """Where outputs go, as a request has it."""
        if output := self.options["output_path"]:
            return str(output) if is_s3(output) else local_uri(local_path(output))
        session = self.sagemaker_session
        try:
            bucket = session.default_bucket()
        except aws.AwsError as error:
            if not self._local:
                raise
            why = f"outputs go to the default bucket in S3: {error.message}"
            raise UsageError(why, Text('Or to a folder: output_path="file:///folder". ', error.hint)) from None
        return s3_path_join("s3://", bucket, session.default_bucket_prefix, with_end_slash=True)

    def _request(self, name: str, channels: list[dict[str, Any]], code: Code, experiment: Any) -> dict[str, Any]:
        given, output = self.options, self._output()
        program = {"TrainingImage": self.image_uri, "TrainingInputMode": given["input_mode"]} | given_only(
            MetricDefinitions=[named_texts(one, "metric_definitions") for one in listed(given["metric_definitions"])],
            ContainerEntrypoint=code.entrypoint,
            ContainerArguments=code.arguments,
        )
        own = {key: text(value) for key, value in self._own(name, output).items()}
        compression = "NONE" if given["disable_output_compression"] else None
        checkpoints = given_only(S3Uri=given["checkpoint_s3_uri"], LocalPath=given["checkpoint_local_path"])
        if checkpoints.get("S3Uri", "s3:").startswith("file:"):
            checkpoints["S3Uri"] = local_uri(local_path(checkpoints["S3Uri"]))
        vpc = given_only(SecurityGroupIds=texts(given["security_group_ids"]), Subnets=texts(given["subnets"]))
        role = self.role if not self._local else self.role if "/" in str(self.role) else ROLE
        return {
            "TrainingJobName": name,
            "AlgorithmSpecification": program,
            "OutputDataConfig": {"S3OutputPath": output}
            | given_only(KmsKeyId=given["output_kms_key"], CompressionType=compression),
            "ResourceConfig": self._resources(),
            "StoppingCondition": {"MaxRuntimeInSeconds": given["max_run"] or 86400}
            | given_only(MaxWaitTimeInSeconds=given["max_wait"]),
            "RoleArn": self.sagemaker_session.expand_role(str(role)),
        } | given_only(
            HyperParameters={**self._texts(), **own, **code.hyperparameters},
            InputDataConfig=channels + code.channels,
            VpcConfig=vpc,
            EnableNetworkIsolation=bool(given["enable_network_isolation"]),
            EnableInterContainerTrafficEncryption=bool(given["encrypt_inter_container_traffic"]),
            EnableManagedSpotTraining=bool(given["use_spot_instances"]),
            CheckpointConfig=checkpoints,
            Environment={**named_texts(given["environment"], "environment"), **code.environment},
            RetryStrategy=given_only(MaximumRetryAttempts=given["max_retry_attempts"]),
            Tags=tags_of(given["tags"]),
            ExperimentConfig=named_texts(experiment, "experiment_config"),
        )

    def _resources(self) -> dict[str, Any]:
        given, types = self.options, self.instance_type
        kinds: dict[str, Any] = {"InstanceType": local.LARGEST if self._local else types}
        if not isinstance(types, str):
            kinds = {"InstancePreferences": [{"InstanceType": name} for name in types]}
        return {**kinds, "InstanceCount": self.instance_count, "VolumeSizeInGB": given["volume_size"]} | given_only(
            VolumeKmsKeyId=given["volume_kms_key"], KeepAlivePeriodInSeconds=given["keep_alive_period_in_seconds"]
        )

    # ---- afterwards ----

    @classmethod
    def attach(
        cls, training_job_name: str, sagemaker_session: Session | None = None, model_channel_name: str = "model"
    ) -> Any:
        """An estimator with a job that was started before, after it has ended.

        training_job_name: of the job. sagemaker_session: where it is known. model_channel_name: ignored.

        Raises AwsError, and exceptions.UnexpectedStatusException if the job has failed.
        """
        session = sagemaker_session or Session()
        found = session.describe_training_job(training_job_name)
        resources, output, program = found["ResourceConfig"], found["OutputDataConfig"], found["AlgorithmSpecification"]
        made = EstimatorBase(
            program["TrainingImage"], found["RoleArn"], resources.get("InstanceCount", 1),
            resources.get("InstanceType") or [one["InstanceType"] for one in resources.get("InstancePreferences", [])],
            sagemaker_session=session, volume_size=resources["VolumeSizeInGB"],
            max_run=found["StoppingCondition"].get("MaxRuntimeInSeconds"), output_path=output["S3OutputPath"],
            output_kms_key=output.get("KmsKeyId") or None, base_job_name=training_job_name,
            use_spot_instances=found.get("EnableManagedSpotTraining", False),
            max_wait=found["StoppingCondition"].get("MaxWaitTimeInSeconds"), input_mode=program.get("TrainingInputMode"),
            metric_definitions=program.get("MetricDefinitions"), **script_of(found),
        )  # fmt: skip
        made.__class__ = cls
        made._after_attach()
        made.latest_training_job = TrainingJob(session, training_job_name)
        made.jobs = [made.latest_training_job]
        made.latest_training_job.wait(logs=False)
        return made

    def _after_attach(self) -> None:
        """What a kind of estimator makes of the hyperparameters of a job that was attached."""

    def _job(self) -> TrainingJob:
        if self.latest_training_job is None:
            raise UsageError("the estimator has no training job yet", "Call fit() first.")
        return self.latest_training_job

    @property
    def model_data(self) -> str:
        """The address of the latest job's model.tar.gz. Raises UsageError before `fit`, and where the job has none."""
        return self._job().model()

    # ---- the model ----

    def create_model(
        self,
        role: str | None = None,
        image_uri: str | None = None,
        predictor_cls: Any = None,
        env: Any = None,
        **options: Any,
    ) -> Model:
        """The latest job's model, of the same image unless image_uri names another.

        role, predictor_cls, env and options: as Model takes them. Raises UsageError before `fit`, and as Model does.
        """
        image = image_uri or options.pop("image", None) or self.image_uri
        if isinstance(vpc := options.pop("vpc_config_override", None), dict):
            options["vpc_config"] = vpc
        return Model(
            image, self.model_data, role or self.role, predictor_cls, env, options.pop("name", None),
            sagemaker_session=self.sagemaker_session, **options,
        )  # fmt: skip

    def deploy(
        self,
        initial_instance_count: Any = None,
        instance_type: Any = None,
        serializer: Any = None,
        deserializer: Any = None,
        endpoint_name: str | None = None,
        model_name: str | None = None,
        use_compiled_model: bool = False,
        **options: Any,
    ) -> Any:
        """Make an endpoint of the latest job's model. Returns its predictor. It costs money until it is deleted.

        model_name: of the model that is made. The other arguments are those of `create_model` and of Model.deploy. Raises what they raise.
        """
        made = {name: options.pop(name) for name in _OF_MODEL if name in options}
        model = self.create_model(name=model_name, **made)
        return model.deploy(
            initial_instance_count, instance_type, serializer, deserializer, endpoint_name=endpoint_name, **options
        )

    def transformer(
        self,
        instance_count: Any,
        instance_type: Any,
        strategy: str | None = None,
        model_name: str | None = None,
        **options: Any,
    ) -> Transformer:
        """What transforms files with the latest job's model, which is made in the service.

        model_name: of it. instance_count, instance_type, strategy, options: as Transformer takes them; role, image_uri and env as
        `create_model` does. Raises what these raise.
        """
        made = {name: options.pop(name) for name in _OF_MODEL if name in options and name != "env"}
        model = self.create_model(name=model_name, **made)
        return model.transformer(instance_count, instance_type, strategy, **options)


class Estimator(EstimatorBase):
    """Starts training jobs that run an image. Its arguments are those of EstimatorBase, in version 2's order."""

    def __init__(
        self,
        image_uri: str | None = None,
        role: str | None = None,
        instance_count: Any = None,
        instance_type: Any = None,
        keep_alive_period_in_seconds: Any = None,
        volume_size: Any = 30,
        volume_kms_key: str | None = None,
        max_run: Any = 86400,
        input_mode: str = "File",
        output_path: str | None = None,
        output_kms_key: str | None = None,
        base_job_name: str | None = None,
        sagemaker_session: Session | None = None,
        hyperparameters: Any = None,
        **options: Any,
    ) -> None:
        named = {
            "volume_size": volume_size, "max_run": max_run, "input_mode": input_mode, "output_path": output_path,
            "output_kms_key": output_kms_key, "base_job_name": base_job_name, "volume_kms_key": volume_kms_key,
            "keep_alive_period_in_seconds": keep_alive_period_in_seconds,
        }  # fmt: skip
        super().__init__(
            image_uri, role, instance_count, instance_type, hyperparameters, sagemaker_session, **{**named, **options}
        )


def _options(owner: str, given: dict[str, Any]) -> dict[str, Any]:
    """All options of an estimator by version 2's names, those that were not given with their defaults. Raises UsageError."""
    ordered = sorted((one for one in given.items() if one[1] is not None), key=lambda one: one[0] in _RENAMED)
    for new, old in (("instance_count", "train_instance_count"), ("instance_type", "train_instance_type")):
        if {new, old} <= dict(ordered).keys():  # the other options have defaults
            raise UsageError(f"{owner} has both {new} and {old}, which are one", "Leave one of them out.")
    given = {_RENAMED.get(name, name): copy.copy(value) for name, value in ordered}
    for name in [name for name in given if name in _SWITCHED_OFF + _IGNORED]:
        if given.pop(name) and name not in _IGNORED:
            raise UsageError(f"{name} of {owner} is not supported", "Leave it out.")
    known = {"image_uri": None, "role": None, "instance_count": None, "instance_type": None, **_OPTIONS}
    if unknown := next((name for name in given if name not in known), None):
        raise UsageError(f"{owner} has no argument {unknown}", nearest(unknown, [*known, *_RENAMED]))
    return {**known, **given}
