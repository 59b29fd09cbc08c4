"""The R package: R's own check of it, which runs its tests, its examples and a look at its documentation."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import require

ROOT = Path(__file__).parents[1]
NEEDED = ["cli", "foreach", "globals", "iterators", "reticulate", "rstudioapi", "testthat", "tibble"]


def test_the_package_passes_rs_own_check(tmp_path):
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    look = f"cat(setdiff(c({', '.join(map(repr, NEEDED))}), rownames(installed.packages())))"
    missing = subprocess.run(["Rscript", "-e", look], capture_output=True, text=True, check=True).stdout
    require("r", not missing, f"R packages are missing: {missing}")
    build = ["R", "CMD", "build", "--no-build-vignettes", str(ROOT / "r_package")]
    subprocess.run(build, cwd=tmp_path, capture_output=True, check=True)
    (tarball,) = tmp_path.glob("simferry_*.tar.gz")
    environment = {
        **os.environ,
        "SIMFERRY_PYTHON": sys.executable,
        "_R_CHECK_CRAN_INCOMING_": "false",  # asks CRAN
        "_R_CHECK_FORCE_SUGGESTS_": "false",
        "_R_CHECK_SYSTEM_CLOCK_": "false",  # asks a time server
    }
    check = ["R", "CMD", "check", "--no-manual", "--as-cran", "--ignore-vignettes", tarball.name]
    done = subprocess.run(check, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    output = tmp_path / "simferry.Rcheck" / "tests" / "testthat.Rout.fail"
    said = output.read_text()[-4000:] if output.exists() else done.stdout[-4000:]
    assert done.returncode == 0, said
    assert re.search(r"^Status: (OK|\d+ NOTEs?)$", done.stdout, re.MULTILINE), done.stdout


def test_the_packages_are_of_one_version():
    import simferry

    for description in (ROOT / "DESCRIPTION", ROOT / "r_package" / "DESCRIPTION"):
        assert f"\nVersion: {simferry.__version__}\n" in description.read_text()
