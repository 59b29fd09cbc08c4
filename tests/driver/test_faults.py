"""What goes wrong around a run: killed processes, full disks, folders that can't be written, damaged blocks."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import simferry as sf
from common import require
from simferry.errors import StoreError
from simferry.jobs.launch import WORKER
from sweeps import DRAWS, Hold, block_hashes, digest, done_pairs, left_behind, simferry, wait_until, write

SWEEP = ("-p", "n=5,10,20", "-p", "effect=0,0.5", "-n", "20", "--seed", "7", "--workers", "2")
LANGUAGES = ("r", "python")


def needs(language):
    if language == "r":
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The digest of the sweep's table when nothing happens, for each language."""
    digests = {}
    for language in LANGUAGES:
        if language != "r" or shutil.which("Rscript"):
            folder = tmp_path_factory.mktemp(language)
            script = write(folder, *DRAWS[language])
            design = sf.grid(n=[5, 10, 20], effect=[0, 0.5])
            digests[language] = digest(sf.run(script, design, replications=20, seed=7, store=folder / "runs"))
    return digests


# ---- kill -9 at random moments ----


def the_run(folder):
    runs = sf.runs(folder / "runs")
    return runs[0] if runs else None


def supervisor_of(driver):
    """The job's supervisor: a child of the driver that does not only check."""
    children = [c for c in driver.children() if {"run", "wait"} & {*c.cmdline()}]
    return children[0] if children else None


def strike(target, driver):
    """Kill one of the run's processes, or all of them; whether there was one."""
    with contextlib.suppress(psutil.Error, IndexError):
        supervisor = supervisor_of(psutil.Process(driver.pid))
        victims = {
            "driver": [psutil.Process(driver.pid)],
            "supervisor": [supervisor] if supervisor else [],  # the job may have ended
            "process": [supervisor.children()[0]] if supervisor else [],
            "everything": [psutil.Process(driver.pid), *psutil.Process(driver.pid).children(recursive=True)],
        }[target]
        for victim in victims:
            victim.kill()
        return bool(victims)
    return False


def disturbed(folder, language, target, seconds):
    script = write(folder, *DRAWS[language])
    # 120 replications of 0.04 s on two cores: about 2.5 seconds, of which every one may be the last
    arguments = ("run", script.name, *SWEEP, "--store", "runs", "--json")
    driver = simferry(*arguments, cwd=folder, start=True, PAUSE="0.04")
    try:
        run = wait_until(lambda: the_run(folder))
        with contextlib.suppress(AssertionError):
            wait_until(lambda: list(run.folder.glob("jobs/*/job.json")) or driver.poll() is not None)
        time.sleep(seconds)
        strike(target, driver)
        if target in ("driver", "everything"):
            driver.wait(20)
        else:
            driver.communicate(timeout=60)  # it goes on without its process
    finally:
        driver.kill()
        driver.communicate()
    before = block_hashes(run)
    resumed = simferry("resume", run.id, "--store", "runs", "--json", cwd=folder)
    assert resumed.returncode == 0, resumed.stderr
    after = block_hashes(run)
    assert before.items() <= after.items(), "a finished block was lost or changed"
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 120, "a replication was computed twice"
    assert left_behind(folder) == []
    return digest(run)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("target", ["driver", "supervisor", "process", "everything"])
def test_killed_at_random_moments_and_resumed(tmp_path, undisturbed, language, target):
    needs(language)
    moments = random.Random(f"{language} {target}")
    seconds = [moments.uniform(0, 3) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:  # they sleep most of the time
        digests = list(pool.map(lambda i: disturbed(tmp_path / str(i), language, target, seconds[i]), range(3)))
    assert digests == [undisturbed[language]] * 3


# ---- disks and folders ----


@pytest.fixture
def small_disk(tmp_path):
    """A tmpfs of 1 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True).returncode == 0
    )
    require("root", mounted, "mounting a small disk takes root")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_full_disk_is_named_and_the_run_resumes_when_there_is_room(tmp_path, small_disk, language, undisturbed):
    needs(language)
    script = write(tmp_path, *DRAWS[language])
    filling = simferry("run", script, *SWEEP, "--store", small_disk, cwd=tmp_path, start=True, PAUSE="0.04")
    run = wait_until(lambda: sf.runs(small_disk))[0]
    wait_until(lambda: list(run.folder.glob("jobs/*/scratch/claims/*")))
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(512))
    _, said = filling.communicate(timeout=60)
    assert filling.returncode == 1, said
    assert "there is no room left on its disk" in said or "no space left" in said.lower() or "room on the disk" in said
    assert str(small_disk) in said and "Traceback" not in said
    full = simferry("resume", run.id, "--store", small_disk, cwd=tmp_path)
    assert full.returncode == 1 and "there is no room left" in full.stderr
    filler.unlink()
    assert simferry("resume", run.id, "--store", small_disk, cwd=tmp_path).returncode == 0
    assert digest(sf.open(run.id, small_disk)) == undisturbed[language]
    assert left_behind(small_disk) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("killed", [False, True])
def test_why_a_job_can_not_go_on_is_there_whole_or_not_at_all(tmp_path, language, killed):
    """An empty message would tell of a full disk."""
    needs(language)
    if language == "r":
        early = 'file.rename <- function(...) quit("no")\n' if killed else ""
        code = f'source("{WORKER / "job.R"}")\n{early}give_up(list(root = ".", supervisor = Sys.getpid()), "load: ", "no such file")'
        command = ["Rscript", "--vanilla", "-e", code]
    else:
        early = "os.replace = lambda *_: os._exit(1)\n" if killed else ""
        code = f"import os\nfrom pathlib import Path\nfrom simferry.worker.job import leave_message\n{early}"
        command = [sys.executable, "-c", f"{code}leave_message(Path(), 'load: no such file')"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    said = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert list(said.values()) == ["load: no such file"] and ("message" in said) is not killed


def test_a_disk_too_small_for_artifacts(tmp_path, small_disk):
    script = write(tmp_path, "fill.sh", "#!/bin/sh\nhead -c 300000 /dev/zero > big.bin\n")
    script.chmod(0o755)
    with pytest.raises(StoreError, match="small"):
        sf.run(script, replications=8, args="", store=small_disk, seed=1, workers=1)
    run = sf.runs(small_disk)[0]
    assert run.status().state == "incomplete"


@contextlib.contextmanager
def read_only(disk):
    """Root may write everywhere but on a file system that is read-only."""
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


def test_a_store_that_can_be_read_but_not_written(tmp_path, small_disk):
    script = write(tmp_path, *DRAWS["python"])
    run = sf.run(script, sf.grid(n=[5]), replications=5, seed=1, store=small_disk)
    with read_only(small_disk):
        refused = simferry("run", script, "-p", "n=2", "-n", "3", "--store", small_disk, cwd=tmp_path)
        assert refused.returncode == 1 and "Traceback" not in refused.stderr
        assert f"can't write {small_disk}/" in refused.stderr and "--store" in refused.stderr
        assert "its file system is read-only" in refused.stderr
        refused = simferry("extend", run.id, "-n", "8", "--store", small_disk, cwd=tmp_path)
        assert refused.returncode == 1 and f"can't write {run.folder}" in refused.stderr
        for verb in ("status", "results", "summary", "errors", "logs"):
            assert simferry(verb, run.id, "--store", small_disk, "--json", cwd=tmp_path).returncode == 0, verb
    assert len(run.extend(8).results()) == 8


@pytest.mark.parametrize("damage", ["cut short", "a changed byte", "empty"])
def test_a_damaged_block_is_named_and_computed_again(tmp_path, damage):
    script = write(tmp_path, *DRAWS["python"])
    run = sf.run(script, sf.grid(n=[5, 10]), replications=10, seed=1, store=tmp_path / "runs", workers=2)
    expected = digest(run)
    (run.folder / "results.parquet").unlink()  # which would do without the block
    block = sorted((run.folder / "blocks").iterdir())[0]
    data = bytearray(block.read_bytes())
    data[len(data) // 2] ^= 255
    block.write_bytes({"cut short": bytes(data[:-20]), "a changed byte": bytes(data), "empty": b""}[damage])
    with pytest.warns(UserWarning, match=rf"block {block.name} .* is damaged .*\.resume\(\)"):
        rows = run.results()
    assert len(rows) < 20
    assert run.status().state == "incomplete"
    run.resume()
    assert digest(run) == expected and run.status().state == "complete"


# ---- Ctrl-C ----


@pytest.mark.parametrize("language", LANGUAGES)
def test_ctrl_c_writes_the_open_blocks_and_says_how_to_go_on(tmp_path, language, undisturbed):
    needs(language)
    script = write(tmp_path, *DRAWS[language])
    hold = Hold(tmp_path)
    # slow enough that a batch is one replication: of microseconds there are many in one, and the open batch is not kept
    slow = {**hold.environment, "PAUSE": "0.01"}
    driver = simferry("run", script, *SWEEP, "--store", "runs", cwd=tmp_path, start=True, **slow)
    hold.wait()
    run = the_run(tmp_path)
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 4
    assert f"simferry resume {run._folder.handle}" in said and "Traceback" not in said
    assert left_behind(tmp_path) == []
    pairs = done_pairs(run)
    assert 10 <= len(pairs) == len(set(pairs)) < 120
    assert run.status().state == "incomplete" and set(run.status().jobs.values()) == {"cancelled"}
    before = block_hashes(run)
    assert simferry("resume", run.id, "--store", "runs", cwd=tmp_path).returncode == 0
    assert before.items() <= block_hashes(run).items()
    assert len(done_pairs(run)) == 120 and digest(run) == undisturbed[language]


@pytest.mark.parametrize("code", ["simulate <- function() system('sleep 60')"])
def test_a_second_ctrl_c_stops_at_once(tmp_path, code):
    needs("r")
    script = write(tmp_path, "simulate.R", code)
    driver = simferry("run", script, "-n", "4", "--seed", "1", "--store", "runs", cwd=tmp_path, start=True)
    run = wait_until(lambda: the_run(tmp_path))
    wait_until(lambda: list(run.folder.glob("jobs/*/scratch/claims/*")))
    os.killpg(driver.pid, signal.SIGINT)
    wait_until(lambda: list(run.folder.glob("jobs/*/scratch/stop")))  # the first one has been heard
    os.killpg(driver.pid, signal.SIGINT)
    driver.communicate(timeout=30)  # the program would take 60 s
    assert driver.returncode == 4 and left_behind(tmp_path) == []
    assert len(done_pairs(run)) == 0


def test_ctrl_c_ends_scripts_with_what_they_started(tmp_path):
    script = write(tmp_path, "s.sh", "#!/bin/sh\nsetsid sleep 77 &\nsleep 78\n")
    script.chmod(0o755)
    driver = simferry("run", script, "--args", "", "-n", "2", "--store", "runs", cwd=tmp_path, start=True)
    wait_until(lambda: any("sleep 77" in line for line in left_behind(tmp_path)))
    os.killpg(driver.pid, signal.SIGINT)
    driver.communicate(timeout=20)
    assert driver.returncode == 4 and left_behind(tmp_path) == []
