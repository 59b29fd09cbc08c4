"""What any test may need: `require`, R's answers, the bits of doubles."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest


def require(part: str, present: bool, reason: str) -> None:
    """Skip where a part is missing; fail instead where the environment variable SIMFERRY_REQUIRE names it."""
    if not present:
        needed = part in os.environ.get("SIMFERRY_REQUIRE", "").replace(",", " ").split()
        (pytest.fail if needed else pytest.skip)(reason)


def rscript(code: str, folder: Path) -> str:
    """What R prints when it runs some code in a folder."""
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = folder / "code.R"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        ["Rscript", "--vanilla", script], cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bits(values) -> list[int]:
    """Doubles as the 64 bits that they are: NA, NaN, 0 and -0 are four different values."""
    return np.asarray(values, dtype="<f8").view("<u8").tolist()
