"""Processing jobs in the shape of version 2: processors start them."""

import copy
import re
import sys
import time
from pathlib import PurePosixPath
from typing import Any

from ..aws import session as aws
from ..aws.instances import instance
from ..aws.limits import check_request
from ..aws.script_processor import sdk_session, start_script
from ..containers.job import ROLE
from ..containers.storage import local_uri
from ..errors import UsageError
from ..images.framework import explained, is_framework, not_here, own_image
from . import local
from .inputs import ProcessingInput, ProcessingOutput
from .job import ProcessingJob
from .s3 import S3Uploader, s3_path_join
from .session import Session
from .values import is_s3, listed, local_path, named_texts, texts, whole

CODE = "/opt/ml/processing/input/code"
LOCAL = ("local", "local_gpu")
NAME_LENGTH = 63
MOST_INPUTS = 10


class Processor:
    """Starts jobs that run an image.

    entrypoint: replaces the entry point of the image. instance_type: "local" runs the job in Docker on this machine; a list of
    types is tried in order.
    """

    def __init__(
        self,
        role: str | None = None,
        image_uri: str | None = None,
        instance_count: Any = None,
        instance_type: Any = None,
        entrypoint: Any = None,
        volume_size_in_gb: Any = 30,
        volume_kms_key: str | None = None,
        output_kms_key: str | None = None,
        max_runtime_in_seconds: Any = None,
        base_job_name: str | None = None,
        sagemaker_session: Session | None = None,
        env: Any = None,
        tags: Any = None,
        network_config: Any = None,
    ) -> None:
        types = texts(instance_type, "instance_type")
        missing = [name for name, given in {"image_uri": image_uri, "instance_type": types}.items() if not given]
        self._local = types[:1] in ([name] for name in LOCAL) or getattr(sagemaker_session, "local_mode", False)
        if not role and not self._local:
            missing.insert(0, "role")
        if missing:
            raise UsageError(f"{type(self).__name__} needs {' and '.join(missing)}")
        for name in [] if self._local else types:
            instance(name)
        self.role, self.image_uri = role, own_image(str(image_uri))
        self.instance_count = whole(instance_count, "instance_count") or 1
        self.instance_type = types[0] if len(types) == 1 else types
        self.entrypoint = texts(entrypoint, "entrypoint") or None
        self.volume_size_in_gb = whole(volume_size_in_gb, "volume_size_in_gb")
        self.volume_kms_key, self.output_kms_key = volume_kms_key, output_kms_key
        self.max_runtime_in_seconds = whole(max_runtime_in_seconds, "max_runtime_in_seconds")
        self.base_job_name, self.env, self.tags = base_job_name, named_texts(env, "env"), tags_of(tags)
        self.network_config = network_config
        self.sagemaker_session = sagemaker_session or Session()
        self.jobs: list[ProcessingJob] = []
        self.latest_job: ProcessingJob | None = None

    def run(
        self,
        inputs: Any = None,
        outputs: Any = None,
        arguments: Any = None,
        wait: bool = True,
        logs: bool = True,
        job_name: str | None = None,
        experiment_config: Any = None,
        kms_key: str | None = None,
    ) -> None:
        """Start a job. Afterwards it is `latest_job`.

        wait: wait until the job has ended. logs: print its output while waiting.

        Raises UsageError or aws.limits.RequestRefused before anything is sent, AwsError if AWS refuses, and
        exceptions.UnexpectedStatusException if the job has failed (only with wait).
        """
        self._start(Preparation(self, job_name), inputs, outputs, arguments, experiment_config, kms_key, wait, logs)

    def _start(
        self,
        preparation: "Preparation",
        inputs: Any,
        outputs: Any,
        arguments: Any,
        experiment_config: Any,
        kms_key: str | None,
        wait: bool,
        logs: bool,
    ) -> None:
        for number, one in enumerate(listed(inputs), 1):
            preparation.add_input(one, f"input-{number}")
        for number, one in enumerate(listed(outputs), 1):
            preparation.add_output(one, f"output-{number}")
        request = preparation.request(
            texts(arguments, "arguments"), named_texts(experiment_config, "experiment_config")
        )
        check_request("sagemaker", "CreateProcessingJob", request)
        client = None if self._local else self.sagemaker_session.sagemaker_client
        if client is not None and is_framework(self.image_uri) and aws.is_loopback(client.meta.endpoint_url):
            raise not_here(self.image_uri, "the emulator's jobs run images of this machine")
        preparation.upload(kms_key)
        description = None
        if self._local:
            with explained(self.image_uri):
                description = local.run_here(request, self.sagemaker_session, logs)
        else:
            with aws.asking(f"processing job {preparation.job_name}"):
                self._send(request)
        self.latest_job = ProcessingJob(
            self.sagemaker_session,
            preparation.job_name,
            preparation.inputs + preparation.code,
            preparation.outputs,
            self.output_kms_key,
            description,
        )
        self.jobs.append(self.latest_job)
        if wait or self._local:
            self.latest_job.wait(logs=logs)

    def _send(self, request: dict[str, Any]) -> None:
        self.sagemaker_session.sagemaker_client.create_processing_job(**request)


class ScriptProcessor(Processor):
    """Starts jobs that run a script with a command, such as "/usr/bin/Rscript"."""

    def __init__(
        self,
        role: str | None = None,
        image_uri: str | None = None,
        command: Any = None,
        instance_count: Any = None,
        instance_type: Any = None,
        volume_size_in_gb: Any = 30,
        **options: Any,
    ) -> None:
        super().__init__(role, image_uri, instance_count, instance_type, volume_size_in_gb=volume_size_in_gb, **options)
        self.command = texts(command, "command")
        if not self.command:
            raise UsageError("ScriptProcessor needs a command", 'For instance: command = ["/usr/bin/Rscript"]')

    def run(  # type: ignore[override]  # in version 2, too, the script is the first argument
        self,
        code: str,
        inputs: Any = None,
        outputs: Any = None,
        arguments: Any = None,
        wait: bool = True,
        logs: bool = True,
        job_name: str | None = None,
        experiment_config: Any = None,
        kms_key: str | None = None,
    ) -> None:
        """Start a job that runs a script. code: its path on this machine, or its address in S3. Else as Processor.run."""
        preparation = Preparation(self, job_name)
        preparation.add_code(code, self.command)
        self._start(preparation, inputs, outputs, arguments, experiment_config, kms_key, wait, logs)

    def _send(self, request: dict[str, Any]) -> None:
        application, cluster = request["AppSpecification"], request["ProcessingResources"]["ClusterConfig"]
        code = next(one for one in request["ProcessingInputs"] if one["InputName"] == "code")
        session = self.sagemaker_session
        start_script(
            job_name=request["ProcessingJobName"],
            role=request["RoleArn"],
            image_uri=application["ImageUri"],
            command=self.command,
            code=code["S3Input"]["S3Uri"],
            inputs=[one for one in request["ProcessingInputs"] if one is not code],
            outputs=request.get("ProcessingOutputConfig", {}).get("Outputs", []),
            arguments=application.get("ContainerArguments"),
            environment=request.get("Environment"),
            instance_type=self.instance_type,
            instance_count=cluster["InstanceCount"],
            volume_gb=cluster["VolumeSizeInGB"],
            max_runtime_seconds=self.max_runtime_in_seconds,
            volume_kms_key=self.volume_kms_key,
            output_kms_key=self.output_kms_key,
            network=request.get("NetworkConfig"),
            tags=request.get("Tags"),
            experiment=request.get("ExperimentConfig"),
            session=sdk_session(session.boto_session, session.sagemaker_client),
        )


class Preparation:
    """A job before it is submitted: copies of its inputs and outputs, its request, and the files to upload."""

    def __init__(self, processor: Processor, job_name: str | None) -> None:
        self.processor, self.session = processor, processor.sagemaker_session
        self.here = processor._local
        self.job_name = job_name or timed_name(processor.base_job_name or image_name(processor.image_uri))
        self.inputs: list[ProcessingInput] = []
        self.outputs: list[ProcessingOutput] = []
        self.entrypoint = processor.entrypoint
        self._input_requests: list[dict[str, Any]] = []
        self.code: list[ProcessingInput] = []  # the last input
        self._code_requests: list[dict[str, Any]] = []
        self._output_requests: list[dict[str, Any]] = []
        self._uploads: list[tuple[str, str]] = []

    def _default_address(self, *parts: str) -> str:
        session = self.session
        return s3_path_join("s3://", session.default_bucket(), session.default_bucket_prefix, self.job_name, *parts)

    def add_input(self, given: Any, default_name: str) -> None:
        if not isinstance(given, ProcessingInput):
            raise UsageError(f"{default_name} is {given!r}", "Inputs are ProcessingInput(source, destination).")
        one = copy.copy(given)
        self._input_requests.append(self._input_request(one, default_name))
        self.inputs.append(one)

    def add_code(self, code: str, command: list[str]) -> None:
        if not is_s3(code) and not local_path(code).is_file():
            raise UsageError(f"there is no script {code}", "code is a file on this machine, or an address s3://...")
        name = PurePosixPath(code).name if is_s3(code) else local_path(code).name
        self.entrypoint = [*command, f"{CODE}/{name}"]
        self.code = [ProcessingInput(code, CODE, "code")]
        self._code_requests = [self._input_request(self.code[0], "code")]

    def add_code_files(self, entrypoint: list[str], files: list[ProcessingInput], location: str | None) -> None:
        """The files of the code as inputs. location: the address below which they are uploaded; None: the default bucket."""
        self.entrypoint, self.code = entrypoint, files
        folder = s3_path_join(location, self.job_name, "source") if location else None
        self._code_requests = [self._input_request(one, str(one.input_name), folder) for one in files]

    def _input_request(self, one: ProcessingInput, default_name: str, folder: str | None = None) -> dict[str, Any]:
        """Give an input its name and address, and return its part of the request. folder: where it is uploaded."""
        one.input_name = one.input_name or default_name
        if not one.source or not one.destination:
            raise UsageError(
                f"input {one.input_name} has no {'destination' if one.source else 'source'}",
                'For instance: ProcessingInput(source="s3://bucket/data", destination="/opt/ml/processing/input")',
            )
        if is_s3(one.source):
            return one._request(one.source)
        path = local_path(one.source)
        if not path.exists():
            raise UsageError(f"input {one.input_name}: there is no file or folder {one.source}")
        if path.is_dir() and not any(file.is_file() for file in path.rglob("*")):
            raise UsageError(
                f"input {one.input_name}: there is no file in the folder {one.source}",
                "The job would start, cost money and fail: SageMaker refuses inputs without files.",
            )
        if self.here:
            return one._request(local_uri(path))
        folder = folder or self._default_address("input", one.input_name)
        self._uploads.append((str(path), folder))
        one.source = folder if path.is_dir() else f"{folder}/{path.name}"
        return one._request(one.source)

    def add_output(self, given: Any, default_name: str) -> None:
        if not isinstance(given, ProcessingOutput):
            raise UsageError(f"{default_name} is {given!r}", "Outputs are ProcessingOutput(source, destination).")
        one = copy.copy(given)
        one.output_name = one.output_name or default_name
        if not one.source:
            raise UsageError(
                f"output {one.output_name} has no source",
                'For instance: ProcessingOutput(source="/opt/ml/processing/output"), the folder where the job writes it.',
            )
        self.outputs.append(one)
        if self.here and one.destination and not is_s3(one.destination):
            self._output_requests.append(one._request(local_uri(local_path(one.destination))))
            return
        if not is_s3(one.destination):
            address = self._default_address("output", one.output_name)
            if one.destination:  # version 2 printed nothing here
                print(
                    f"output {one.output_name}: {one.destination!r} is not in S3; it goes to {address}", file=sys.stderr
                )
            one.destination = address
        self._output_requests.append(one._request(str(one.destination)))

    def request(self, arguments: list[str], experiment: dict[str, str]) -> dict[str, Any]:
        """The request of CreateProcessingJob."""
        of = self.processor
        if (count := len(self._input_requests) + len(self._code_requests)) > MOST_INPUTS:
            raise UsageError(
                f"the job has {count} inputs, the script among them, and SageMaker allows {MOST_INPUTS}",
                "Bring files into one folder, or below one address in S3, and give that as an input.",
            )
        types = of.instance_type
        kinds: dict[str, Any] = {"InstanceType": local.LARGEST if self.here else types}
        if not isinstance(types, str):
            kinds = {"InstancePreferences": [{"InstanceType": name} for name in types]}
        role = of.role if not self.here else of.role if "/" in str(of.role) else ROLE
        network = of.network_config
        outputs = {"Outputs": self._output_requests} | given_only(KmsKeyId=of.output_kms_key)
        return {
            "ProcessingJobName": self.job_name,
            "AppSpecification": {"ImageUri": of.image_uri}
            | given_only(ContainerEntrypoint=self.entrypoint, ContainerArguments=arguments),
            "ProcessingResources": {
                "ClusterConfig": {**kinds, "InstanceCount": of.instance_count, "VolumeSizeInGB": of.volume_size_in_gb}
                | given_only(VolumeKmsKeyId=of.volume_kms_key)
            },
            "RoleArn": self.session.expand_role(str(role)),
        } | given_only(
            ProcessingInputs=self._input_requests + self._code_requests,
            ProcessingOutputConfig=outputs if self._output_requests else None,
            Environment=of.env,
            NetworkConfig=network._to_request_dict()
            if hasattr(network, "_to_request_dict")
            else copy.deepcopy(network),
            StoppingCondition=given_only(MaxRuntimeInSeconds=of.max_runtime_in_seconds),
            Tags=of.tags,
            ExperimentConfig=experiment,
        )

    def upload(self, kms_key: str | None) -> None:
        for path, folder in self._uploads:
            S3Uploader.upload(path, folder, kms_key, self.session)


def given_only(**members: Any) -> dict[str, Any]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value}


def timed_name(base: str) -> str:
    """base-YYYY-MM-DD-HH-MM-SS-mmm, in UTC. The base is shortened to the service's limit."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%d-%H-%M-%S", time.gmtime(now)) + f"-{int(now % 1 * 1000):03d}"
    base = re.sub("[^a-zA-Z0-9-]", "-", base).strip("-")
    return f"{base[: NAME_LENGTH - len(stamp) - 1]}-{stamp}"


def image_name(image_uri: str) -> str:
    """The name of an image without registry and tag, such as simferry-r."""
    return image_uri.partition("@")[0].rpartition("/")[2].partition(":")[0]


def tags_of(tags: Any) -> list[dict[str, str]]:
    """Tags in the form of the service, from a list of Key and Value or from a named list."""
    if isinstance(tags, dict) and set(tags) != {"Key", "Value"}:
        return [{"Key": name, "Value": value} for name, value in named_texts(tags, "tags").items()]
    return [named_texts(tag, "tags") for tag in listed(tags)]
