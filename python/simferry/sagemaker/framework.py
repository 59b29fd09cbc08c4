"""Version 2's processors with a framework's image: for a script alone, and for one with the folder around it."""

import shlex
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..system.untrusted import scrap_folder
from .frameworks import SKLearn, image_of
from .inputs import ProcessingInput
from .processor import CODE, Preparation, Processor, ScriptProcessor
from .script_mode import ARCHIVE, pack
from .values import is_s3, text, texts

ENTRYPOINT = "/opt/ml/processing/input/entrypoint"
START = "runproc.sh"


class SKLearnProcessor(ScriptProcessor):
    """Starts jobs that run a script in the image that the table of images (SIMFERRY_IMAGES) names for scikit-learn's."""

    def __init__(
        self,
        framework_version: Any = None,
        role: str | None = None,
        instance_count: Any = None,
        instance_type: Any = None,
        command: Any = None,
        volume_size_in_gb: Any = 30,
        image_uri: str | None = None,
        **options: Any,
    ) -> None:
        version = None if framework_version is None else text(framework_version)
        super().__init__(
            role, image_uri or image_of(SKLearn, version, "py3"), texts(command, "command") or ["python3"], instance_count,
            instance_type, volume_size_in_gb, **{**options, "base_job_name": options.get("base_job_name") or SKLearn._image},
        )  # fmt: skip


class FrameworkProcessor(ScriptProcessor):
    """Starts jobs that run a script of a folder, which they unpack in /opt/ml/processing/input/code, the working directory.

    Packages in the folder's requirements.txt are installed first. image_uri: without it, the table of images (SIMFERRY_IMAGES)
    names the user's image for the framework's. code_location: the address in S3 below which the folder is uploaded.
    """

    def __init__(
        self,
        estimator_cls: Any = None,
        framework_version: Any = None,
        role: str | None = None,
        instance_count: Any = None,
        instance_type: Any = None,
        py_version: str = "py3",
        image_uri: str | None = None,
        command: Any = None,
        volume_size_in_gb: Any = 30,
        volume_kms_key: str | None = None,
        output_kms_key: str | None = None,
        code_location: str | None = None,
        **options: Any,
    ) -> None:
        version = None if framework_version is None else text(framework_version)
        self.estimator_cls, self.framework_version, self.py_version = estimator_cls, version, py_version
        if code_location is not None and not is_s3(code_location):
            raise UsageError(
                f"code_location is {code_location!r}", "It is an address in S3, such as s3://bucket/folder."
            )
        self.code_location = code_location
        super().__init__(
            role, image_uri or image_of(estimator_cls, version, py_version), texts(command) or ["python"],
            instance_count, instance_type, volume_size_in_gb, volume_kms_key=volume_kms_key, output_kms_key=output_kms_key,
            **{**options, "base_job_name": options.get("base_job_name") or getattr(estimator_cls, "_framework_name", None)},
        )  # fmt: skip

    def run(  # type: ignore[override]  # version 2's order
        self,
        code: str,
        source_dir: str | None = None,
        dependencies: Any = None,
        git_config: Any = None,
        inputs: Any = None,
        outputs: Any = None,
        arguments: Any = None,
        wait: bool = True,
        logs: bool = True,
        job_name: str | None = None,
        experiment_config: Any = None,
        kms_key: str | None = None,
        codeartifact_repo_arn: str | None = None,
    ) -> None:
        """Start a job that runs a script. Else as Processor.run.

        code: the script, in source_dir if there is one. source_dir: a folder of this machine, or an archive
        s3://.../sourcedir.tar.gz. dependencies: files and folders that are put beside the script.
        """
        given = {"git_config": git_config, "codeartifact_repo_arn": codeartifact_repo_arn}
        if refused := [name for name, value in given.items() if value]:
            raise UsageError(
                f"{refused[0]} is not supported",
                "Clone or install it on this machine, and name its folder as source_dir.",
            )
        preparation = Preparation(self, job_name)
        with scrap_folder("simferry-code-") as folder:
            archive = (
                source_dir
                if source_dir and is_s3(source_dir)
                else pack(folder / ARCHIVE, code, source_dir, dependencies)
            )
            script = code if source_dir else Path(code).name
            start = folder / START
            start.write_text(start_script(self.command, script, Path(archive).name))
            preparation.add_code_files(
                ["/bin/bash", f"{ENTRYPOINT}/{START}"],
                [ProcessingInput(archive, CODE, "code"), ProcessingInput(str(start), ENTRYPOINT, "entrypoint")],
                self.code_location,
            )
            self._start(preparation, inputs, outputs, arguments, experiment_config, kms_key, wait, logs)

    _send = Processor._send  # its entry point is no script that the job's description could name


def start_script(command: list[str], script: str, archive: str) -> str:
    """The shell script that unpacks the archive and runs the command with the script."""
    return f"""#!/bin/bash
set -e
cd {CODE}
tar -xzf {shlex.quote(archive)}
if [[ -f requirements.txt ]]; then
  python -m pip install -r requirements.txt
fi
exec {shlex.join([*command, script])} "$@"
"""
