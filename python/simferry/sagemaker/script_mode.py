"""The user's script in a training job: packed, and run by the image's own toolkit, or in any image by simferry's.

AWS's framework images have SageMaker's training toolkit, which is told by hyperparameters where the code is. All other images get
simferry's toolkit as a channel, with an entry point that runs it: what is unpacked there does not depend on what the image has.
"""

import json
import logging
import secrets
import shlex
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..aws.contracts import training as contract
from ..containers.storage import local_uri
from ..errors import UsageError
from ..images.framework import is_framework
from ..toolkit.mpi import problem_of
from ..toolkit.script import MPI, PROJECT, SECRET
from .s3 import S3Uploader, s3_path_join
from .session import Session
from .values import is_s3, listed, local_path, text, whole

ARCHIVE = "sourcedir.tar.gz"
CHANNEL, SOURCE = "simferry_driver", "simferry_source"  # of simferry's toolkit, of an archive that is in S3 already
_TOOLKIT = Path(__file__).parents[1] / "toolkit"


@dataclass(frozen=True)
class Mpi:
    """That a script runs with MPI. processes: per host. options: of mpirun."""

    processes: int
    options: str = ""


@dataclass(frozen=True)
class Script:
    """A script as an estimator names it. log_level: what the service's toolkit prints."""

    entry_point: str
    source_dir: str | None
    dependencies: Any
    code_location: str | None
    log_level: Any = logging.INFO
    mpi: Mpi | None = None


@dataclass(frozen=True)
class Code:
    """What a job's request has for its code. Those that are empty are the image's own."""

    hyperparameters: Mapping[str, str]
    channels: list[dict[str, Any]]
    entrypoint: list[str]
    arguments: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    upload: tuple[str, str] | None = None  # a folder of this machine, and the address that it goes to


def code_of(script: Script, image: str, job_name: str, session: Session, here: bool, scrap: Path) -> Code:
    """Pack a script, and say what the job's request has for it.

    image: the job's. here: whether the job runs in Docker on this machine. scrap: an empty folder for what is to be uploaded.

    Raises UsageError where the code is not there.
    """
    location = script.code_location
    base = s3_path_join(location, job_name, "source") if location else ""
    if not (base or here):
        base = s3_path_join("s3://", session.default_bucket(), session.default_bucket_prefix, job_name, "source")
    given = script.source_dir if script.source_dir and is_s3(script.source_dir) else ""
    entry = script.entry_point if script.source_dir else Path(script.entry_point).name
    if not given:
        pack(scrap / ARCHIVE, script.entry_point, script.source_dir, script.dependencies, packages=True)
    elif script.dependencies:
        raise UsageError(
            f"dependencies go with code of this machine, and source_dir is {given}", "Put them into the archive."
        )
    upload = None if here else (str(scrap), base)
    if is_framework(image):
        told = _of_toolkit(given or f"{base}/{ARCHIVE}", entry, script, job_name, session)
        return Code(told, [], [], [], upload=None if given else upload)
    shutil.copytree(_TOOLKIT, scrap / "simferry_toolkit", ignore=shutil.ignore_patterns("__pycache__", "start.sh"))
    shutil.copy(_TOOLKIT / "start.sh", scrap)
    folder = f"{contract.ROOT}/input/data"
    channels = [contract.channel(CHANNEL, local_uri(scrap) if here else f"{base}/")]
    archive = f"{folder}/{CHANNEL}/{ARCHIVE}"
    if given:
        channels.append(contract.channel(SOURCE, given))
        archive = f"{folder}/{SOURCE}/{given.rpartition('/')[2]}"
    environment = {}
    if script.mpi:
        (scrap / SECRET).write_text(secrets.token_hex(32))
        given_mpi = {"processes": script.mpi.processes, "options": shlex.split(script.mpi.options)}
        environment = {MPI: json.dumps(given_mpi)}
    return Code({}, channels, ["sh", f"{folder}/{CHANNEL}/start.sh"], [archive, entry], environment, upload)


def mpi_of(distribution: Any) -> Mpi | None:
    """What an estimator's `distribution` says of MPI: {"mpi": {"enabled", "processes_per_host", "custom_mpi_options"}}.

    Raises UsageError for another kind of distribution, and for options of mpirun that simferry says itself.
    """
    given = {name: value for name, value in dict(distribution or {}).items() if _enabled(value)}
    if not given:
        return None
    if set(given) != {"mpi"} or not isinstance(given["mpi"], Mapping):
        raise UsageError(
            f"distribution is {distribution!r}", 'It is {"mpi": {"enabled": True, "processes_per_host": 4}}.'
        )
    mpi = given["mpi"]
    options = text(mpi.get("custom_mpi_options") or "")
    try:
        if problem := problem_of(shlex.split(options)):
            raise UsageError(f"custom_mpi_options of distribution: {problem}")
    except ValueError as error:
        raise UsageError(f"custom_mpi_options of distribution can't be split into options: {error}") from None
    return Mpi(whole(mpi.get("processes_per_host"), "processes_per_host") or 1, options)


def script_of(description: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an estimator that say what a job runs, from what the service says of the job: of its own image, or of a script."""
    program, given = description["AlgorithmSpecification"], dict(description.get("HyperParameters", {}))
    environment = dict(description.get("Environment", {}))
    told = {name: decoded(given.pop(name)) for name in list(given) if name.startswith("sagemaker_")}
    entry, source, mpi = told.get("sagemaker_program"), told.get("sagemaker_submit_directory"), environment.pop(MPI, "")
    channels = {one["ChannelName"]: one for one in description.get("InputDataConfig", [])}
    out: dict[str, Any] = {"hyperparameters": given, "environment": environment}
    if CHANNEL in channels:
        entry, at = program["ContainerArguments"][1], channels.get(SOURCE) or channels[CHANNEL]
        source = at["DataSource"]["S3DataSource"]["S3Uri"] + ("" if SOURCE in channels else ARCHIVE)
    elif not entry:
        return {
            **out,
            "container_entry_point": program.get("ContainerEntrypoint"),
            "container_arguments": program.get("ContainerArguments"),
        }
    processes, options = (
        told.get("sagemaker_mpi_num_of_processes_per_host"),
        told.get("sagemaker_mpi_custom_mpi_options", ""),
    )
    if mpi:
        found = json.loads(mpi)
        processes, options = found["processes"], shlex.join(found["options"])
    if processes:
        out["distribution"] = {"mpi": {"enabled": True, "processes_per_host": processes, "custom_mpi_options": options}}
    return {**out, "entry_point": entry, "source_dir": source}


def decoded(text: str) -> Any:
    """The value of a hyperparameter that is JSON; another one as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _enabled(value: Any) -> bool:
    if isinstance(value, Mapping) and "enabled" not in value:
        return any(_enabled(one) for one in value.values())
    return bool(value["enabled"] if isinstance(value, Mapping) else value)


def pack(archive: Path, code: str, source_dir: str | None, dependencies: Any, packages: bool = False) -> str:
    """Make the archive of a script and of what belongs to it. Returns its path.

    archive: its path. code: the script, in source_dir if there is one. dependencies: files and folders beside it. packages: whether code
    may be the name of a package that source_dir installs. Raises UsageError.
    """
    base = local_path(source_dir) if source_dir else None
    if base is not None and not base.is_dir():
        raise UsageError(f"there is no folder {source_dir} (source_dir)")
    script = base / code if base is not None else local_path(code)
    package = packages and base is not None and any((base / name).is_file() for name in PROJECT)
    if not script.is_file() and not package:
        where = f" in source_dir {source_dir}" if source_dir else ""
        raise UsageError(f"there is no script {code}{where}", "code is a file on this machine.")
    members = sorted(base.iterdir()) if base is not None else [script]
    members += [local_path(one) for one in listed(dependencies)]
    with tarfile.open(archive, "w:gz", dereference=True) as tar:
        for path in members:
            if not path.exists():
                raise UsageError(f"there is no file or folder {path} (dependencies)")
            tar.add(path, arcname=path.resolve().name if path.name in ("", "..") else path.name)
    return str(archive)


def send(code: Code, kms_key: str | None, session: Session) -> None:
    """Upload the code of a job, if it has any to upload. kms_key: encrypts it. Raises AwsError."""
    if code.upload:
        S3Uploader.upload(*code.upload, kms_key, session)


def _of_toolkit(archive: str, entry: str, script: Script, job_name: str, session: Session) -> dict[str, str]:
    """The hyperparameters that tell SageMaker's training toolkit where the code is: each is JSON."""
    given = {
        "sagemaker_submit_directory": archive,
        "sagemaker_program": entry,
        "sagemaker_container_log_level": script.log_level,
        "sagemaker_job_name": job_name,
        "sagemaker_region": session.boto_region_name,
    }
    if script.mpi:
        given |= {
            "sagemaker_mpi_enabled": True,
            "sagemaker_mpi_num_of_processes_per_host": script.mpi.processes,
            "sagemaker_mpi_custom_mpi_options": script.mpi.options,
        }
    return {name: json.dumps(value) for name, value in given.items()}


def encoded(given: Mapping[str, Any]) -> dict[str, str]:
    """Hyperparameters of a framework's estimator: JSON, with R's whole numbers (10.0) as whole numbers."""
    return {str(name): json.dumps(_whole(value)) for name, value in given.items()}


def plain(given: Mapping[str, Any]) -> dict[str, str]:
    """Hyperparameters of an estimator of an image: texts. Raises UsageError for one without a value."""
    if (empty := next((name for name, value in given.items() if value is None), None)) is not None:
        raise UsageError(f"hyperparameter {empty} is None (NULL in R)", "Leave it out, or give it a value.")
    return {str(name): _plain(value) for name, value in given.items()}


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return contract.hyperparameter(value)
    return str(_whole(value)) if isinstance(value, (bool, list, dict)) else text(value)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, (list, tuple)):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    return value
