"""What tests of R share: which packages are missing, and a library with simferry's R package in it."""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from common import require, rscript

ROOT = Path(__file__).parents[1]
NEEDED = [
    "cli", "foreach", "ggplot2", "globals", "iterators", "knitr", "randomForest", "reticulate", "rmarkdown", "RSQLite", "rstudioapi",
    "survival", "testthat", "tibble",
]  # fmt: skip


def missing_packages() -> str:
    """The R packages that are needed and not here."""
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    look = f"cat(setdiff(c({', '.join(map(repr, NEEDED))}), rownames(installed.packages())))"
    return subprocess.run(["Rscript", "-e", look], capture_output=True, text=True, check=True).stdout


@cache
def lacking_packages(packages: tuple[str, ...]) -> str:
    """What to say where one of some R packages is missing; empty where none is."""
    if shutil.which("Rscript") is None:
        return "Rscript is not on the PATH"
    wanted = ", ".join(f"'{package}'" for package in packages)
    code = f"for (p in c({wanted})) if (!requireNamespace(p, quietly = TRUE)) cat('R package', p, 'is not installed. ')"
    return subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """A library with the R package in it."""
    require("r", not (missing := missing_packages()), f"R packages are missing: {missing}")
    folder = tmp_path_factory.mktemp("library")
    install = ["R", "CMD", "INSTALL", "--no-docs", "--no-test-load", f"--library={folder}", str(ROOT / "r_package")]
    subprocess.run(install, capture_output=True, check=True)
    return folder


@pytest.fixture
def in_r(library, tmp_path):
    """Runs R code with the package attached; what it prints."""
    start = (
        f'.libPaths(c("{library}", .libPaths())); Sys.setenv(SIMFERRY_PYTHON = "{sys.executable}"); library(simferry)\n'
    )
    return lambda code: rscript(start + code, tmp_path)
