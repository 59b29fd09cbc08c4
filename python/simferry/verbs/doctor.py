"""Finds what is installed and what is missing, for each part of simferry."""

import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .._version import __version__
from ..errors import SimferryError
from ..hints import Extra, InR, Option
from ..store.folder_store import DEFAULT_STORE, Store
from ..system.cores import cores_here
from ..system.files import is_address


@dataclass
class Finding:
    """ok: True, False, or None for something that only some users need."""

    what: str
    ok: bool | None
    found: str
    hint: str = ""


def examine(store: str | Path | None = None) -> list[Finding]:
    """Examine this machine. Starts R if it is installed; changes nothing, and contacts no service."""
    found = [
        Finding("simferry", True, __version__),
        Finding("Python", True, f"{platform.python_version()} ({platform.system()} {platform.machine()})"),
        Finding("cores", True, f"{cores_here()} to be used, of {os.cpu_count()}"),
        _store(store or os.environ.get("SIMFERRY_STORE") or DEFAULT_STORE),
        *_r(),
        _docker(),
        _aws(),
    ]
    for module, name, why in (
        ("sagemaker", "sagemaker-core", f"SageMaker: {Extra('sagemaker')}"),
        ("obstore", "obstore", f"AWS Batch, and runs in S3: {Extra('sagemaker')}"),
        ("scipy", "scipy", f"latin_hypercube and sobol designs: {Extra('design')}"),
        ("matplotlib", "matplotlib", f"run.plot(): {Extra('plot')}"),
        ("rpy2", "rpy2", f"R functions in Python's process: {Extra('r')}"),
    ):
        there = importlib.util.find_spec(module) is not None
        found.append(
            Finding(name, True if there else None, "installed" if there else "not installed", "" if there else why)
        )
    return found


def _docker() -> Finding:
    from ..containers.engine import EngineError, connect

    try:
        return Finding("Docker", True, str(connect(timeout_seconds=5).version()["Version"]))
    except EngineError as error:
        return Finding("Docker", None, error.message, error.hint)


def _aws() -> Finding:
    """Whether credentials and a region are set. The credentials are not tried."""
    try:
        from ..aws import session

        with session.asking("the AWS configuration"):
            credentials = session.session().get_credentials()
        if credentials is None:
            return Finding("AWS", None, "no credentials", f"For SageMaker, AWS Batch and S3: {session.LOGIN}")
        endpoint = f" at {url}" if (url := os.environ.get("AWS_ENDPOINT_URL")) else ""
        return Finding("AWS", True, f"credentials ({credentials.method}), region {session.region()}{endpoint}")
    except ImportError as error:
        return Finding("AWS", None, f"the package {error.name} is not installed", str(Extra("sagemaker")))
    except SimferryError as error:
        return Finding("AWS", False, error.message, error.hint)


def _store(given: str | Path) -> Finding:
    if is_address(given):
        return Finding("store", None, f"{given} (not checked)")
    path = Store(given).path
    existing = next(p for p in (path, *path.parents) if p.exists())
    free = shutil.disk_usage(existing).free / 1e9
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Finding(
            "store",
            False,
            f"{path} can't be written: {error.strerror}",
            f"Name another with {Option('store')} or SIMFERRY_STORE.",
        )
    return Finding("store", free > 1, f"{path} ({free:.0f} GB free)", "" if free > 1 else "The disk is almost full.")


def _r() -> list[Finding]:
    rscript = shutil.which("Rscript")
    if not rscript:
        hint = "For R simulations: apt-get install r-base-core, or https://cran.r-project.org"
        return [Finding("R", None, "there is no Rscript on the PATH", hint)]
    code = """
    cat(as.character(getRversion()), "")
    for (p in c("foreach", "doParallel")) cat(p, length(find.package(p, quiet = TRUE)), "")
    """
    try:
        output = subprocess.run(
            [rscript, "-e", code], capture_output=True, text=True, timeout=60, check=True
        ).stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        return [Finding("R", False, f"{rscript} does not work: {error}")]
    out = [Finding("R", True, f"{output[0]} ({rscript})")]
    for name, there in zip(output[1::2], output[2::2], strict=True):
        install = InR(f'install.packages("{name}")')
        hint = f"For parallel scripts: {install}, or apt-get install r-cran-{name.lower()}"
        out.append(
            Finding(
                f"R package {name}",
                True if there == "1" else None,
                "installed" if there == "1" else "not installed",
                "" if there == "1" else hint,
            )
        )
    return out
