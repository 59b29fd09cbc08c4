"""The worker as a program."""

import os
import subprocess
import sys

from simferry.jobs import job_file
from simferry.sweep.simulation import Simulation
from sweeps import write


def test_sets_of_strings_have_one_order(tmp_path, good, monkeypatch):
    words = [f"word{i}" for i in range(20)]
    expression = f"','.join({{*{words}}})"
    function = write(tmp_path, "simulate.py", f"def simulate():\n    return {expression}")
    script = write(tmp_path, "s.py", f"print({expression}, file=open('r.txt', 'w'))")
    orders = set()
    for given in ("3", "random"):
        monkeypatch.setenv("PYTHONHASHSEED", given)
        run = good(function, None, 4, workers=2)
        orders |= {*run.results()["value"], run.replay(1, 1)}
        orders |= {path.read_text().strip() for path in good(script, args="", replications=1).artifacts(1, 1)}
    assert len(orders) == 1


def test_the_worker_sets_the_hash_seed_itself_where_its_environment_has_another(tmp_path):
    script = write(tmp_path, "simulate.py", "print(hash('a'))\ndef simulate():\n    pass")
    Simulation(script).write_code(tmp_path / "root/input/code")
    (tmp_path / "root/input/plan").mkdir()
    job = {"kind": "function", "language": "python", "function": "simulate", "script": "simulate.py"}
    (tmp_path / "root/input/plan/job").write_bytes(job_file.encode(job))
    said = set()
    for given in ("1", "random"):
        done = subprocess.run(
            [sys.executable, "worker.py", "check", tmp_path / "root"], cwd=tmp_path / "root/input/code",
            env={**os.environ, "PYTHONHASHSEED": given}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        said.add(done.stdout)
    assert len(said) == 1
