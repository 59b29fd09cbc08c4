"""Searches: evaluations at once, what is told, and drivers that are killed."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import simferry as sf
from searches import PYTHON, begin, check, log_of, spread  # noqa: F401
from simferry.errors import Interrupted, SimulationError
from simferry.verbs import searching
from simferry.worker import blocks
from sweeps import left_behind

pytestmark = pytest.mark.usefixtures("spread")


def test_a_search(tmp_path):
    seen = []
    run = begin(tmp_path, on_progress=seen.append)
    check(run)
    trace, now = searching.trace(run._folder), run.status()
    assert len(trace) == 7 and trace["told"].notna().all() and not trace["failed"].any()
    assert trace["replications"].tolist()[:3] == [4, 4, 8] and trace["condition"].tolist()[:3] == [1, 2, 1]
    first = run.results().query("condition == 2")["y"]
    assert trace["mean"][1] == pytest.approx(first.mean(), rel=1e-14)
    assert trace["mcse"][1] == pytest.approx(first.std() / 2, rel=1e-12)
    assert now.state == "complete" and now.finished and now.done == now.total == 28
    assert now.precision == "7 of 7 evaluations; it has ended: 7 evaluations"
    assert seen[0].total == 28 and max(len([j for j in one.jobs.values() if j == "running"]) for one in seen) <= 2
    before = log_of(run)
    assert log_of(run.resume()) == before and left_behind(tmp_path) == []
    assert len(run.extend(add=2).results()) == 28 + 2 * len(run.design())
    assert run.status().finished and searching.trace(run._folder)["mean"].tolist() == trace["mean"].tolist()
    assert run.replay(3, 1)["y"] == run.results().query("condition == 3 and replication == 1")["y"].item()


def test_rounds_do_not_depend_on_timing(tmp_path):
    slow = PYTHON.replace("    return", "    time.sleep(0.3 if x > 0.5 else 0)\n    return", 1)
    run, other = (begin(tmp_path / str(i), code, rounds=True) for i, code in enumerate((PYTHON, slow)))
    assert log_of(run) == log_of(other)
    kinds = [kind for kind, *_ in log_of(run)]
    assert kinds == ["asked"] * 2 + (["told"] * 2 + ["asked"] * 2) * 2 + ["told"] * 2 + ["asked", "told"]


def test_failures_are_told(tmp_path):
    fails = PYTHON.replace("    return", "    if x > 0.5:\n        raise ValueError('too large')\n    return", 1)
    run = begin(tmp_path / "1", fails, evaluations=9)
    trace, points = searching.trace(run._folder), run.design().set_index("condition")["x"]
    assert trace["failed"].tolist() == [points[c] > 0.5 for c in trace["condition"]] and trace["failed"].nunique() == 2
    assert trace["mean"].isna().tolist() == trace["failed"].tolist() and run.status().finished
    with pytest.raises(SimulationError, match=r"all 5 evaluations of run .* failed: ValueError: too large"):
        begin(tmp_path / "2", fails.replace("x > 0.5", "True"), evaluations=None, at_once=1)


def test_an_evaluation_whose_jobs_are_lost_again_and_again_is_told_as_failed(tmp_path):
    lost = "import os\n" + PYTHON.replace(
        "    return", "    if x > 0.5:\n        os.kill(os.getppid(), 9)\n        time.sleep(9)\n    return", 1
    )
    run = begin(tmp_path, lost, evaluations=4, options={"retries": 1, "workers": 1})
    trace, points = searching.trace(run._folder), run.design().set_index("condition")["x"]
    assert trace["failed"].tolist() == [points[c] > 0.5 for c in trace["condition"]] and trace["failed"].nunique() == 2
    assert run.status().finished and left_behind(tmp_path) == []
    assert run.resume().status().finished


def test_ctrl_c_and_resume(tmp_path):
    def stop(progress):
        if len(progress.jobs) > 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="resume"):
        begin(tmp_path, on_progress=stop)
    run = sf.open("latest", tmp_path / "runs")
    now, before = run.status(), log_of(run)
    assert now.state == "incomplete" and "evaluations, " in now.precision and left_behind(tmp_path) == []
    assert log_of(run.resume())[: len(before)] == before
    check(run)


DRIVER = """
import sys
sys.path[:0] = {paths!r}
import pathlib, searches
from simferry.verbs import objective
objective.BUILDERS["spread"] = searches.Spread
folder = pathlib.Path(sys.argv[1])
if sys.argv[2] == "begin":
    searches.begin(folder, pathlib.Path(sys.argv[3]).read_text(), name=sys.argv[4], at_once=8, evaluations=40)
else:
    import simferry as sf
    sf.open("latest", folder / "runs").resume()
"""


def _driver(tmp_path, *args):
    script = tmp_path / "driver.py"
    tests = Path(__file__).parent
    script.write_text(DRIVER.format(paths=[str(tests.parent)]))
    return subprocess.Popen([sys.executable, str(script), str(tmp_path), *args], stderr=subprocess.PIPE, text=True)


def test_a_driver_that_is_killed_at_any_moment(tmp_path):
    """With 8 at once; the benchmark of searches does it more often."""
    code = tmp_path / "code.py"
    code.write_text(PYTHON.replace("    return", "    time.sleep(0.02 * rng.random())\n    return", 1))
    log, blocks = [], {}
    process = _driver(tmp_path, "begin", str(code), "simulate.py")
    for kill_after in [3, 9, 20]:
        _wait_for_plans(tmp_path, (len(log) and kill_after + 10) or kill_after, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        run = sf.open("latest", tmp_path / "runs")
        assert log_of(run)[: len(log)] == log
        log = log_of(run)
        now = {block.name: (run.folder / "blocks" / block.name).read_bytes() for block in run._folder.block_names()}
        assert now.items() >= blocks.items()
        blocks = now
        process = _driver(tmp_path, "resume")
    assert process.wait() == 0, process.stderr.read()
    assert log_of(run)[: len(log)] == log
    check(run)
    assert run.status().finished and run.status().done == 160 and left_behind(tmp_path) == []
    done = [pair for block in run._folder.block_names() for pair in _pairs(run, block.name)]
    assert len(done) == len(set(done)) == 160


def _pairs(run, name):
    columns = blocks.decode((run.folder / "blocks" / name).read_bytes()).table("replications").columns
    return list(zip(columns["condition"].values.tolist(), columns["replication"].values.tolist(), strict=True))


def _wait_for_plans(folder, many, process):
    until = time.monotonic() + 120
    while len(list(folder.glob("runs/*/plan/[0-9]*"))) < many:
        assert process.poll() is None and time.monotonic() < until, process.stderr.read()
        time.sleep(0.01)
