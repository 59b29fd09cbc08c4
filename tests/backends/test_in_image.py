"""Checks in containers, after which the container goes on as the first job's."""

import shutil
import signal
import time
from contextlib import contextmanager

import pytest
import simferry as sf
from docker_fixtures import left_behind
from simferry import errors
from simferry.containers.removal import DRIVER, OWNER, remove_orphans
from simferry.verbs import create
from simferry.verbs import run as run_module
from sweeps import DRAWS, digest, simferry, wait_until, write


@contextmanager
def containers_made(engine, store):
    """The names of containers that are made for runs in a store."""
    names, began = [], time.time()
    yield names
    found = engine.events(since=began, until=time.time() + 0.1, filters={"event": "create"}, decode=True)
    runs = [run.id for run in sf.runs(store)]
    made = [one["Actor"]["Attributes"] for one in found]
    names += [one["name"] for one in made if one.get(OWNER) in runs]


def ours(engine, store):
    """Containers that have a folder of a store, or of a run in it."""
    found = engine.containers.list(all=True, filters={"label": DRIVER}, ignore_removed=True)
    return [c for c in found if any(mount.get("Source", "").startswith(f"{store}/") for mount in c.attrs["Mounts"])]


def folders(store):
    """What waits for its run in a store."""
    return [path.name for path in store.iterdir() if path.name.startswith(".")]


LOADED = {
    "R": 'cat("loaded\\n")\nwas <- exists("mark")\nmark <- 1\nsimulate <- function() c(x = rnorm(1), was = was)\n',
    "py": "import builtins, tempfile\nprint('loaded', tempfile.gettempdir(), flush=True)\nwas = hasattr(builtins, 'mark')\n"
    "builtins.mark = 1\ndef simulate(rng):\n    return {'x': rng.normal(), 'was': was}\n",
}


@pytest.mark.parametrize("language", ["R", "py"])
def test_one_container_checks_and_runs_the_first_of_three_jobs(tmp_path, engine, language, request):
    image = request.getfixturevalue("image_r" if language == "R" else "image_python")
    script = write(tmp_path, f"simulate.{language}", LOADED[language])
    given = {"replications": 30, "seed": 1, "store": tmp_path / "store"}
    with containers_made(engine, tmp_path / "store") as names:
        run = sf.run(script, backend="docker", image=image, jobs=3, workers=1, **given)
    assert sorted(name.split("-algo-1-")[0][-9:] for name in names) == ["0001-0001", "0001-0002", "0001-0003"]
    # the log has what the job printed, not what the check did, and the job loads the script as if nothing had been checked
    assert [log.count("loaded") for log in run.logs().values()] == [1, 1, 1]
    assert not run.results()["was"].any()
    assert digest(run) == digest(sf.run(script, workers=2, fresh=True, **given))
    assert left_behind(engine, run.id) == [] == folders(tmp_path / "store") and not list(run.folder.glob("jobs/*/ml"))


IN_R = """
file <- FILE
if (!file.exists(file)) saveRDS(runif(1), file)
draw <- readRDS(file)
system("sleep 61 >/dev/null 2>&1 &")
Sys.sleep(0.3)   # until it has its name
servers <- length(grep("sleep", lapply(Sys.glob("/proc/[0-9]*/cmdline"), readLines, warn = FALSE, skipNul = TRUE)))
simulate <- function() c(draw = draw, servers = servers)
"""
IN_PYTHON = """
import glob, os, subprocess, time, numpy as np
if not os.path.exists(FILE):
    np.save(FILE, np.random.random())
draw = float(np.load(FILE))
subprocess.Popen(["sleep", "61"])
time.sleep(0.3)  # until it has its name
servers = sum(b"sleep" in open(name, "rb").read() for name in glob.glob("/proc/[0-9]*/cmdline"))
def simulate():
    return {"draw": draw, "servers": servers}
"""


@pytest.mark.parametrize(
    ("language", "file", "containers"),
    [
        ("R", "'/tmp/draw.rds'", 4),
        ("R", "'/dev/shm/draw.rds'", 4),
        ("R", "file.path(tempdir(), 'draw.rds')", 2),
        ("py", "'/tmp/draw.npy'", 4),
        ("py", "os.path.expanduser('~/draw.npy')", 4),
    ],
)
def test_what_a_check_leaves_is_not_there_for_the_job(tmp_path, engine, request, language, file, containers):
    image = request.getfixturevalue("image_r" if language == "R" else "image_python")
    code = (IN_R if language == "R" else IN_PYTHON).replace("FILE", file)
    script = write(tmp_path, f"simulate.{language}", code)
    given = {"backend": "docker", "image": image, "replications": 2, "workers": 1, "store": tmp_path / "store"}
    with containers_made(engine, tmp_path / "store") as names:
        first, second = (sf.run(script, seed=seed, **given).results() for seed in (1, 2))
    assert len(names) == containers
    assert first["servers"].tolist() == second["servers"].tolist() == [1, 1]
    assert first["draw"].tolist() != second["draw"].tolist()  # it follows from the run's seed


@pytest.mark.parametrize("code", ["quit(status = 3)", "stop('no')", "other <- function() 1"])
def test_a_simulation_that_is_refused_leaves_nothing(tmp_path, engine, image_r, code):
    script = write(tmp_path, "simulate.R", code)
    with pytest.raises(errors.SimulationError, match=r"exit code 3|when it is loaded: no|defines no function"):
        sf.run(script, replications=4, seed=1, backend="docker", image=image_r, store=tmp_path / "runs")
    assert not (tmp_path / "runs").exists() and ours(engine, tmp_path / "runs") == []


def test_a_container_that_is_killed_while_it_checks_or_waits(tmp_path, engine, image_r, monkeypatch):
    script = write(tmp_path, *DRAWS["r"])
    given = {"replications": 10, "seed": 1, "store": tmp_path / "store"}
    here = digest(sf.run(script, sf.grid(n=[5]), workers=1, **given))

    def kill(*_):
        for container in wait_until(lambda: [c for c in ours(engine, tmp_path / "store") if c.status == "running"]):
            container.kill()

    for module, name in ((run_module, "_load_the_rest"), (create, "write_conditions")):
        with monkeypatch.context() as one:
            real = getattr(module, name)
            one.setattr(module, name, lambda *given, real=real: (kill(), real(*given)))
            run = sf.run(script, sf.grid(n=[5]), backend="docker", image=image_r, fresh=True, **given)
        assert digest(run) == here and len(run.logs()) == 1
        assert left_behind(engine, run.id) == [] == folders(tmp_path / "store")


def test_a_driver_that_is_killed_leaves_a_container_that_ends_and_is_removed(tmp_path, engine, image_r):
    store = tmp_path / "store"
    write(tmp_path, "simulate.R", "Sys.sleep(2)\nsimulate <- function() 1")
    arguments = ["-n", 10, "--backend", "docker", "--image", image_r, "--store", store]
    driver = simferry("run", "simulate.R", *arguments, cwd=tmp_path, start=True)
    (container,) = wait_until(lambda: [c for c in ours(engine, tmp_path / "store") if c.status == "running"])
    remove_orphans(engine)
    assert ours(engine, tmp_path / "store") and folders(store)  # its driver lives
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    assert container.wait(timeout=20)["StatusCode"] == 0
    remove_orphans(engine)
    assert ours(engine, tmp_path / "store") == [] == folders(store)


def test_a_check_that_hangs_is_ended_by_the_next_command(tmp_path, engine, image_r):
    store = tmp_path / "store"
    write(tmp_path, "simulate.R", "Sys.sleep(600)\nsimulate <- function() 1")
    arguments = ["-n", 10, "--backend", "docker", "--image", image_r, "--store", store]
    driver = simferry("run", "simulate.R", *arguments, cwd=tmp_path, start=True)
    wait_until(lambda: [c for c in ours(engine, tmp_path / "store") if c.status == "running"])
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    other = write(tmp_path, "other.R", "simulate <- function() 1")
    sf.run(other, replications=1, seed=1, backend="docker", image=image_r, store=tmp_path / "other")
    wait_until(lambda: ours(engine, tmp_path / "store") == [] and folders(store) == [])
    shutil.rmtree(store)
