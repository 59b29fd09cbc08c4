"""Workers that start before it is known what they have to do, check the simulation, and go on as the first job's."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys

import psutil
import pytest
import simferry as sf
from common import require
from simferry.__main__ import option, simulation_of
from simferry.errors import SimulationError
from simferry.jobs import waiting
from sweeps import simferry, wait_until, write


def marks(run):
    return [json.loads(path.read_bytes()).get("mark") for path in run.folder.glob("jobs/*/job.json")]


def waiting_below(parent):
    """The processes that wait for a job, or run one."""
    found = []
    for child in parent.children(recursive=True):
        try:
            words = child.cmdline()
            found += [child] if "wait" in words and any("worker." in word for word in words) else []
        except psutil.Error:
            continue
    return found


def any_runs(command):
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return command in listed.splitlines()


@pytest.fixture(autouse=True)
def no_process_waits():
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    yield
    wait_until(lambda: not waiting_below(psutil.Process()))


def test_one_process_checks_and_runs_the_first_job(tmp_path):
    code = (
        'cat("loaded by", Sys.getpid(), "for", Sys.getenv("SIMFERRY_INPUT"), "\\n")\n'
        "loaded <- exists('mark')\nmark <- 1\n"
        "simulate <- function() c(x = rnorm(1), loaded = loaded)\n"
    )
    script = write(tmp_path, "simulate.R", code)
    run = sf.run(script, replications=4, seed=1, workers=1, store=tmp_path / "runs")
    again = run.extend(6)
    assert [bool(mark) for mark in marks(again)] == [True, False]
    logs = run.logs()
    # the job's log has what the job printed, not what the check did, and the job loads the script as if nothing had been checked
    assert logs["0001-0001"].count("loaded by") == logs["0002-0001"].count("loaded by") == 1
    assert f"for {run.folder}/jobs/0001-0001/input" in logs["0001-0001"]
    assert not run.results()["loaded"].any()
    alone = sf.run(script, replications=6, seed=1, store=tmp_path / "alone")
    assert alone.results()["x"].tolist() == run.results()["x"].tolist()


def test_python_checks_and_runs_in_one_process_too(tmp_path):
    code = """import multiprocessing, os, sys
print("loaded by", os.getpid(), sys.argv[1])
loaded = "mark" in globals()
mark = 1
here = [sys.argv[2], sys.modules["__main__"].__file__, os.environ["SIMFERRY_INPUT"], sys.path[0], os.getcwd()]
def simulate(rng):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        other = pool.apply(os.getpid)
    return {"x": rng.random(), "loaded": loaded, "other": other != os.getpid(), "here": " ".join(here)}
"""
    script = write(tmp_path, "simulate.py", code)
    run = sf.run(script, replications=2, seed=1, workers=1, store=tmp_path / "runs")
    again = run.extend(4)
    assert [bool(mark) for mark in marks(again)] == [True, False]
    logs, results = run.logs(), run.results()
    # both began alike: the script is loaded as in a process that was started for the job
    assert [logs[job].split("loaded by ")[1].split()[1] for job in ("0001-0001", "0002-0001")] == ["run", "run"]
    assert logs["0001-0001"].count("loaded by") == 1 and not results["loaded"].any() and results["other"].all()
    places = [
        text.replace(f"jobs/{job}", "JOB")
        for text, job in zip(results["here"][1:3], ("0001-0001", "0002-0001"), strict=True)
    ]
    assert places[0] == places[1]
    alone = sf.run(script, replications=4, seed=1, store=tmp_path / "alone")
    assert alone.results()["x"].tolist() == results["x"].tolist()


def test_it_starts_where_python_looks_into_no_folder_of_a_script(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    script = write(tmp_path, "simulate.py", "def simulate(): return 1")
    run = sf.run(script, replications=1, seed=1, workers=1, store=tmp_path / "runs")
    assert all(marks(run))


def test_the_working_folder_is_that_of_the_job_in_the_variable_too(tmp_path):
    script = write(tmp_path, "simulate.R", "simulate <- function() Sys.getenv('PWD')")
    run = sf.run(script, replications=1, seed=1, workers=1, store=tmp_path / "runs")
    assert run.results()["value"].tolist() == [f"{run.folder}/jobs/0001-0001/input/code"]


def test_a_function_of_this_session_needs_no_check(tmp_path):
    run = sf.run(lambda rng: rng.random(), replications=2, seed=1, workers=1, store=tmp_path / "runs")
    assert all(marks(run)) and len(run.results()) == 2


@pytest.mark.parametrize("script", ["simulate.R", "simulate.py"])
@pytest.mark.parametrize(
    "arguments", [[], ["-n", "none"], ["-n", "2", "--backend", "nowhere"], ["-n", "2", "-p", "k=1"]]
)
def test_a_worker_that_started_in_vain_leaves_nothing(tmp_path, script, arguments):
    write(tmp_path, "simulate.R", "simulate <- function() 1")
    write(tmp_path, "simulate.py", "def simulate(): return 1")
    write(tmp_path, "tmp/.keep", "")
    done = simferry("run", script, *arguments, "--store", "runs", cwd=tmp_path, TMPDIR=str(tmp_path / "tmp"))
    assert done.returncode and "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
    wait_until(lambda: [path.name for path in (tmp_path / "tmp").iterdir()] == [".keep"])


def test_what_can_be_seen_of_a_simulation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "simulate.R", "simulate <- function() 1")
    function = {"language": "r", "kind": "function", "objects": ""}
    assert simulation_of(["simulate.R", "-n", "2", "--backend=local"]) == function
    assert simulation_of(["simulate.R", "--args", "1"]) == {**function, "kind": "script"}
    for other in (
        [],
        ["no.R"],
        ["simulate.R", "--backend", "docker"],
        ["simulate.R", "--detach"],
        ["simulate.R", "--help"],
    ):
        assert simulation_of(other) == {}
    assert option("--store", ["--store=a b"]) == option("--store", ["x", "--store", "a b"]) == "a b"


@pytest.mark.parametrize("language", ["r", "python"])
def test_only_a_simulation_with_its_environment_gets_a_worker(tmp_path, monkeypatch, language):
    spec = {"language": language, "kind": "function", "objects": ""}
    for other in ({"kind": "script"}, {"env": {"TZ": "UTC"}}, {"language": "command"}):
        waiting.start(spec, tmp_path / "runs")
        assert waiting.take({**spec, **other}, tmp_path / "runs") is None
    waiting.start(spec, tmp_path / "runs")
    monkeypatch.setenv("LC_TIME", "C.UTF-8")
    assert waiting.take(spec, tmp_path / "runs") is None and not (tmp_path / "runs").exists()
    (tmp_path / "runs").write_text("")  # no folder
    waiting.start(spec, tmp_path / "runs")
    assert waiting.take(spec, tmp_path / "runs") is None


@pytest.mark.parametrize(
    "code", ["simulate <- function( 1", "system('sleep 60 &'); quit(status = 3)", "stop('no')", "other <- function() 1"]
)
def test_a_simulation_that_is_refused_leaves_nothing(tmp_path, code):
    script = write(tmp_path, "simulate.R", code)
    with pytest.raises(SimulationError):
        sf.run(script, replications=4, seed=1, store=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_what_the_check_made_is_not_there_when_the_job_loads(tmp_path):
    code = f"""
cache <- file.path(tempdir(), "draw[1].rds")
file.create(file.path(tempdir(), "draw1.rds"))   # the other's name, taken as a pattern, is this one
if (!file.exists(cache)) saveRDS(runif(1), cache)
draw <- readRDS(cache)
system("sleep 61.{tmp_path.stat().st_ino} >/dev/null 2>&1 &")   # in the background, as a server
servers <- length(system("ps -eo args | grep '^sleep 61.{tmp_path.stat().st_ino}'", intern = TRUE))
simulate <- function() c(draw = draw, servers = servers)
"""
    script = write(tmp_path, "simulate.R", code)
    first, second = (sf.run(script, seed=s, replications=1, store=tmp_path / "runs").results() for s in (1, 2))
    assert first["servers"].tolist() == second["servers"].tolist() == [1]
    assert first["draw"].tolist() != second["draw"].tolist()  # it follows from the run's seed


def test_a_profile_beside_the_script_finds_the_folder_of_the_job(tmp_path):
    write(tmp_path, ".Rprofile", "options(started_in = getwd())\n")
    script = write(tmp_path, "simulate.R", "simulate <- function() dir.exists(getOption('started_in'))")
    run = sf.run(script, replications=1, seed=1, include=[".Rprofile"], store=tmp_path / "runs")
    assert run.results()["value"].tolist() == [True]


def test_a_folder_that_was_there_stays(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(SimulationError):
        sf.run(write(tmp_path, "simulate.R", "stop('no')"), replications=1, store=tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_what_is_taken_over_needs_no_job(tmp_path):
    script = write(tmp_path, "simulate.R", "simulate <- function() rnorm(1)")
    first, second = (sf.run(script, replications=4, seed=1, store=tmp_path / "runs") for _ in range(2))
    assert marks(second) == [] and first.results()["value"].tolist() == second.results()["value"].tolist()
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.name.startswith(".")] == []


def test_it_ends_with_its_driver(tmp_path):
    slow = "Sys.sleep(if (file.exists('/proc')) 0.3 else 0)\nsimulate <- function() { Sys.sleep(0.2); 1 }"
    write(tmp_path, "simulate.R", slow)
    driver = simferry("run", "simulate.R", "-n", "100", "--store", "runs", cwd=tmp_path, start=True)
    found = wait_until(lambda: waiting_below(psutil.Process(driver.pid)))
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    wait_until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in found))


def test_a_check_ends_with_its_driver_and_leaves_nothing(tmp_path, monkeypatch):
    program = f"sleep 62.{tmp_path.stat().st_ino}"
    write(tmp_path, "simulate.R", f"system('{program} >/dev/null 2>&1 &')\nwhile (TRUE) Sys.sleep(0.1)")
    write(tmp_path, "tmp/.keep", "")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    driver = simferry("run", "simulate.R", "-n", "1", "--store", "runs", cwd=tmp_path, start=True)
    found = wait_until(lambda: len(found := waiting_below(psutil.Process(driver.pid))) == 2 and found)
    wait_until(lambda: any_runs(program))
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    wait_until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in found))
    wait_until(lambda: not any_runs(program))
    wait_until(lambda: not (tmp_path / "runs").exists())
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == [".keep"]


@pytest.mark.parametrize("code", ["stop('no')", "simulate <- function() rnorm(1)"])
def test_r_removes_its_temporary_folder_where_nothing_is_to_be_run(tmp_path, monkeypatch, code):
    script = write(tmp_path, "simulate.R", "simulate <- function() rnorm(1)")
    sf.run(script, replications=1, seed=1, store=tmp_path / "runs")
    write(tmp_path, "tmp/.keep", "")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    write(tmp_path, "simulate.R", code)
    with contextlib.suppress(SimulationError):
        sf.run(script, replications=1, seed=1, store=tmp_path / "runs")
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == [".keep"]


def test_a_short_run_loads_little(tmp_path):
    code = (
        "import sys; from simferry.cli import main\n"
        "try: main(['run', 'simulate.R', '-p', 'n=1,2', '-p', 'm=\"a\"', '-n', '5', '--store', 'runs'])\n"
        "finally: print([name for name in ('pandas', 'joblib', 'rich', 'asyncio') if name in sys.modules])"
    )
    write(tmp_path, "simulate.R", "simulate <- function(n, m) rnorm(1, n)")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "10 of 10 replications done" in done.stdout and done.stdout.endswith("[]\n"), done.stderr
