"""python3 -m simferry_toolkit.script ARCHIVE ENTRY-POINT: script mode, in any image that has Python.

Unpacks the user's code, installs what its requirements.txt names, and runs the entry point as `train` does: a script (.py, .sh), another
executable, or the name of a package that the code's setup.py or pyproject.toml installs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile

from .environment import ContractError, Environment
from .program import train, write_failure

MPI = "SIMFERRY_MPI_RUN"  # JSON: processes per host, and options of mpirun, where the script runs with MPI
SECRET = "mpi_secret"  # the file beside the toolkit's folder that all hosts of the job have
PROJECT = ("setup.py", "pyproject.toml")  # of a package


def main() -> None:
    """Do what the command line says, and end with the exit code that is right."""
    archive, entry = sys.argv[1:]
    folder = _folder()
    try:
        unpack(archive, folder)
        install(folder, entry)
    except (OSError, tarfile.TarError, ValueError) as error:
        write_failure(_environment(), f"{entry} was not started: {error}")
        sys.exit(1)
    program = os.path.join(folder, entry)
    os.environ.update(SM_USER_ENTRY_POINT=entry, SM_MODULE_DIR=archive, SM_MODULE_NAME=os.path.splitext(entry)[0])
    if is_package(folder, entry):
        program = os.path.join(folder, "simferry_start.py")
        with open(program, "w", encoding="utf-8") as file:
            file.write(f"import runpy\nrunpy.run_module({entry!r}, run_name='__main__', alter_sys=True)\n")
    elif os.path.dirname(entry):  # imports what is at the top of the code, as the service's toolkit has it
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    train(program, folder=folder, before=launcher())


def _folder() -> str:
    """Where the code is unpacked: /opt/ml/code, whatever the image has there; elsewhere if this user may not write there."""
    folder = os.path.join(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"), "code")
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:  # the same on all hosts
        folder = os.path.join(tempfile.gettempdir(), "simferry-code")
        os.makedirs(folder, exist_ok=True)
        return folder


def launcher() -> list[str]:
    """What runs the script with MPI on the hosts of the job; empty where it runs without."""
    given = json.loads(os.environ.get(MPI) or "{}")
    if not given:
        return []
    here, environment = os.path.dirname(os.path.abspath(__file__)), Environment()
    itself = [sys.executable, os.path.join(here, "mpi.py")]
    secret = os.path.join(os.path.dirname(here), SECRET)
    ranks = str(given["processes"] * len(environment.hosts))
    options = [f"--option={option}" for option in given["options"]]
    return [*itself, "hosts", "--secret", secret, "--message", environment.failure_file, "--",
            *itself, "run", "--ranks", ranks, *options, "--"]  # fmt: skip


def _environment() -> Environment | None:
    try:
        return Environment()
    except ContractError:
        return None


def unpack(archive: str, folder: str) -> None:
    """Unpack the user's code. archive: a tar.gz. folder: where to. Raises OSError, TarError, ValueError."""
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            name = os.path.normpath(member.name)
            if os.path.isabs(name) or name.startswith(".."):
                raise ValueError(f"{member.name} leads out of the archive")
        if hasattr(tarfile, "data_filter"):
            tar.extractall(folder, filter="data")
        else:
            tar.extractall(folder)


def is_package(folder: str, entry: str) -> bool:
    """Whether the entry point is a package that the code installs. folder: of the code. entry: as the user has named it."""
    there = any(os.path.isfile(os.path.join(folder, name)) for name in PROJECT)
    return there and not os.path.isfile(os.path.join(folder, entry))


def install(folder: str, entry: str) -> None:
    """Install requirements and package. Arguments as of `is_package`. Raises ValueError where pip fails."""
    wanted = ["-r", "requirements.txt"] if os.path.isfile(os.path.join(folder, "requirements.txt")) else []
    wanted += ["."] if is_package(folder, entry) else []
    if not wanted:
        return
    variables = {**os.environ, "PIP_BREAK_SYSTEM_PACKAGES": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *wanted]
    code = subprocess.call(command, cwd=folder, env=variables)
    if code:
        raise ValueError(f"pip install {' '.join(wanted)} ended with exit code {code}; the log says why")


if __name__ == "__main__":
    main()
