"""Commands as a user types them, and a folder to type them in."""

import json
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from simferry.cli import main

SIMULATION = """
import time, warnings

def simulate(n, method="mean", rng=None):
    if n == 13 and method == "median" and rng.random() < 0.5:
        raise ValueError("no luck\\nthis time")
    if n == 0:
        warnings.warn("nothing to draw")
        return float("nan")
    if n < 0:
        time.sleep(-n / 1000)
    return rng.normal(size=abs(n)).mean()
"""


SWEEP = """
[simulation]
script = "simulate.py"
[design.grid]
n = [0, 13]
method = ["mean", "median"]
[run]
replications = 20
seed = 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "simulate.py").write_text(SIMULATION)
    (tmp_path / "sweep.toml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIMFERRY_STORE", str(tmp_path / "store"))
    return tmp_path


def said(*words, code=0):
    """What a command prints on stdout."""
    result = CliRunner().invoke(main, words)
    assert result.exit_code == code, result.output
    return result.stdout


def started(*words, **options):
    """A command in a process of its own."""
    command = [sys.executable, "-m", "simferry", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def ended(process, within=60):
    out, err = process.communicate(timeout=within)
    return process.returncode, out, err


def until(true, seconds=30):
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.05)


def status():
    result = CliRunner().invoke(main, ["status", "latest", "--json"])
    return json.loads(result.stdout) if result.exit_code == 0 else {"state": "none", "done": 0}
