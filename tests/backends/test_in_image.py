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


# what it installs is there only after it; a server that it starts goes on
INSTALLS = {
    "R": """
R CMD INSTALL --no-docs package
echo "a file" >~/left
sleep 301 >/dev/null 2>&1 &
""",
    "py": """#!/bin/sh
set -e
cp -r package /tmp  # setup.py builds there
pip install --no-index --no-build-isolation /tmp/package
ferry || test $? = 7
echo "a file" >~/left
sleep 301 >/dev/null 2>&1 &
""",
}
NEEDS_IT = {
    "R": """library(ferrypack)
servers <- function() sum(grepl("301", lapply(Sys.glob("/proc/[0-9]*/cmdline"), readLines, warn = FALSE, skipNul = TRUE)))
simulate <- function() c(x = rnorm(1), version = ferry(), left = file.exists("~/left"), servers = servers())
""",
    "py": """import glob, os
import ferrypack
def simulate(rng):
    servers = sum(b"301" in open(name, "rb").read() for name in glob.glob("/proc/[0-9]*/cmdline"))
    return {"x": rng.normal(), "version": ferrypack.ferry(), "left": os.path.exists(os.path.expanduser("~/left")), "servers": servers}
""",
}


def own_package(folder, language):
    if language == "R":
        write(
            folder,
            "package/DESCRIPTION",
            "Package: ferrypack\nVersion: 7.0\nTitle: T\nDescription: D.\nLicense: MIT\n",
        )
        write(folder, "package/NAMESPACE", "export(ferry)\n")
        write(folder, "package/R/ferry.R", "ferry <- function() 7\n")
    else:
        entry = "entry_points={'console_scripts': ['ferry=ferrypack:ferry']}"
        write(
            folder,
            "package/setup.py",
            f"from setuptools import setup\nsetup(name='ferrypack', packages=['ferrypack'], {entry})\n",
        )
        write(folder, "package/ferrypack/__init__.py", "def ferry():\n    return 7\n")


@pytest.mark.parametrize("language", ["R", "py"])
def test_a_setup_script_runs_once_in_each_container_before_check_and_worker(tmp_path, engine, language, request):
    image = request.getfixturevalue("image_r" if language == "R" else "image_python")
    script = write(tmp_path, f"simulate.{language}", NEEDS_IT[language])
    own_package(tmp_path, language)
    setup = write(tmp_path, "setup.sh", INSTALLS[language])
    given = {
        "backend": "docker",
        "image": image,
        "replications": 4,
        "seed": 1,
        "workers": 1,
        "store": tmp_path / "store",
    }
    with pytest.raises(errors.SimulationError, match=r"not installed in image .*: ferrypack"):
        sf.run(script, include="package", **given)
    with containers_made(engine, tmp_path / "store") as names:
        run = sf.run(script, include="package", before=setup, jobs=2, **given)
    assert sorted(name.split("-algo-1-")[0][-9:] for name in names) == ["0001-0001", "0001-0002"]
    table = run.results()
    assert table["version"].tolist() == [7] * 4 and table["left"].all() and table["servers"].tolist() == [1] * 4
    for log in run.logs().values():
        assert (
            log.startswith("simferry: the setup script begins\n")
            and log.count("nstalled ferrypack") + log.count("DONE (ferrypack") == 1
        )
    assert run.replay(1, 3) == table.iloc[2].drop(["condition", "replication"]).to_dict() | {"left": True}
    assert left_behind(engine, run.id) == [] == folders(tmp_path / "store")


WRITES = "echo 1 >number.txt\nmkdir -p clone/.git\n"


def test_a_run_goes_on_with_its_own_setup_script_and_a_new_one_with_another(tmp_path, engine, image_python):
    """Files that it leaves beside the script are not those of a check: the first job gets a container of its own."""
    script = write(tmp_path, "simulate.py", "def simulate(rng):\n    return int(open('number.txt').read())\n")
    setup = write(tmp_path, "setup.sh", WRITES)
    given = {"backend": "docker", "image": image_python, "before": "setup.sh", "seed": 1, "store": tmp_path / "store"}
    with containers_made(engine, tmp_path / "store") as names:
        run = sf.run(script, replications=2, **given)
    assert len(names) == 2 and run.results()["value"].tolist() == [1, 1]
    setup.write_text(WRITES.replace("1", "2"))
    assert run.extend(3).results()["value"].tolist() == [1, 1, 1]
    other = sf.run(script, replications=2, **given)
    assert other.results()["value"].tolist() == [2, 2]
    assert "-echo 1 >number.txt\n+echo 2 >number.txt" in sf.diff(run, other).code
    with pytest.raises(errors.UsageError, match="before is part of the code of run"):
        run.resume(before="setup.sh")


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("echo Łódź; no-such-program\n", {}, r"sh failed with exit code 127, before the simulation:\n  Łódź\n  setup.sh: line 1: no-"),
        ("#!/usr/bin/env Rscript\nstop('no mirror')\n", {}, r"exit code 1, .*:\n  Error: no mirror"),
        ("mkdir /opt/new\n", {}, r"Permission denied\nIt ran as simulation, the image's user"),
        ("sleep 300\n", {"max_runtime": 2}, "setup.sh and the check of the simulation did not end within 2 s"),
    ],
)  # fmt: skip
def test_a_setup_script_that_fails_is_one_error_and_leaves_nothing(tmp_path, engine, image_r, content, options, says):
    script = write(tmp_path, "simulate.R", "simulate <- function() 1")
    setup = write(tmp_path, "setup.sh", content)
    with pytest.raises(errors.SimulationError, match=says):
        sf.run(
            script,
            replications=4,
            seed=1,
            backend="docker",
            image=image_r,
            before=setup,
            store=tmp_path / "runs",
            **options,
        )
    assert not (tmp_path / "runs").exists() and ours(engine, tmp_path / "runs") == []


def test_a_setup_script_that_fails_or_hangs_in_one_of_two_jobs(tmp_path, engine, image_r):
    """What it does there counts as a lost job, which is tried again."""
    script = write(tmp_path, "simulate.R", "simulate <- function() 1")
    of_job = "name=$(cat /opt/ml/config/processingjobconfig.json 2>/dev/null || true)\n"
    for then in ("echo the mirror is away; exit 3", "echo it hangs; sleep 300"):
        setup = write(tmp_path, "setup.sh", f"{of_job}case $name in *0001-0002*) {then} ;; esac\n")
        given = {"seed": 1, "backend": "docker", "image": image_r, "before": setup, "jobs": 2, "max_runtime": 5}
        with pytest.warns(errors.Note, match="attempt 2 of run"):
            run = sf.run(script, replications=4, store=tmp_path / "runs", **given)
        assert run.status().done == 4 and run.status().jobs["0001-0002"] == "failed"
        assert then.split(";")[0].removeprefix("echo ") in run.logs()["0001-0002"]
        assert left_behind(engine, run.id) == []


def test_ctrl_c_while_a_setup_script_runs(tmp_path, engine, image_r):
    store = tmp_path / "store"
    write(tmp_path, "simulate.R", "simulate <- function() 1")
    for condition in ("true", "test -d /opt/ml/config"):  # in the check, and in the second job
        write(tmp_path, "setup.sh", f"if {condition}; then sleep 300; fi\n")
        arguments = [
            "--backend",
            "docker",
            "--image",
            image_r,
            "--before",
            "setup.sh",
            "--jobs",
            2,
            "--workers",
            1,
            "--store",
            store,
        ]
        driver = simferry("run", "simulate.R", "-n", 4, *arguments, cwd=tmp_path, start=True)
        job = "0001-0001" if condition == "true" else "0001-0002"
        wait_until(lambda name=job: [c for c in ours(engine, store) if c.status == "running" and name in c.name])
        time.sleep(1)
        driver.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = driver.communicate(timeout=60)
        assert "Traceback" not in err and time.monotonic() - began < 30
        assert wait_until(lambda: ours(engine, store) == [])
