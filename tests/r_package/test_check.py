"""The R package: R's own check of it, which runs its tests, its examples and a look at its documentation."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from common import require, rscript
from r_fixtures import missing_packages

ROOT = Path(__file__).parents[2]


def test_the_package_passes_rs_own_check(tmp_path):
    require("r", not (missing := missing_packages()), f"R packages are missing: {missing}")
    require("r", shutil.which("pandoc") is not None, "pandoc, which the vignettes need, is not on the PATH")
    environment = {
        **os.environ,
        "SIMFERRY_PYTHON": sys.executable,
        "_R_CHECK_CRAN_INCOMING_": "false",  # asks CRAN
        "_R_CHECK_FORCE_SUGGESTS_": "false",
        "_R_CHECK_SYSTEM_CLOCK_": "false",  # asks a time server
    }

    def r_cmd(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["R", "CMD", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    built = r_cmd("build", str(ROOT / "r_package"))
    assert built.returncode == 0, built.stdout + built.stderr
    (tarball,) = tmp_path.glob("simferry_*.tar.gz")
    with tarfile.open(tarball) as tar:
        # from what the last chunk of each shows: all of them were run
        for vignette, shown in {
            "first-study": "#&gt; Error: too long a wait",
            "foreach": "#&gt;    n effect mean",
            "methods": "#&gt;        method  measure estimate",
            "power": "#&gt;    n effect     test estimate",
        }.items():
            page = tar.extractfile(f"simferry/inst/doc/{vignette}.html")
            assert page is not None and shown in page.read().decode()
    vignettes_are_found_once_installed(r_cmd, tarball, tmp_path / "installed")
    # the build has run the vignettes, and an error in one would have stopped it
    done = r_cmd("check", "--no-manual", "--no-vignettes", "--as-cran", tarball.name)
    output = tmp_path / "simferry.Rcheck" / "tests" / "testthat.Rout.fail"
    said = output.read_text()[-4000:] if output.exists() else done.stdout[-4000:]
    assert done.returncode == 0, said
    assert re.search(r"^Status: (OK|\d+ NOTEs?)$", done.stdout, re.MULTILINE), done.stdout


def vignettes_are_found_once_installed(r_cmd, tarball, library):
    library.mkdir()
    installed = r_cmd("INSTALL", f"--library={library}", tarball.name)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    look = f'cat(unclass(browseVignettes("simferry", lib.loc = "{library}"))$simferry[, "PDF"], sep = "\\n")'
    assert sorted(rscript(look, library).split()) == [
        "first-study.html", "foreach.html", "methods.html", "power.html", "sagemaker.html",
    ]  # fmt: skip


def test_no_built_vignette_is_committed():
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "ls-files", "r_package"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [p for p in listed.stdout.split() if "/doc/" in p or p.endswith((".html", ".tar.gz"))] == []


def test_the_packages_are_of_one_version():
    import simferry

    for description in (ROOT / "DESCRIPTION", ROOT / "r_package" / "DESCRIPTION"):
        assert f"\nVersion: {simferry.__version__}\n" in description.read_text()
