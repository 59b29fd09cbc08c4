"""Runs in an object store: S3 over HTTP, with moto's behind it."""

import asyncio
import json
import multiprocessing
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import simferry as sf
from aws_fixtures import forget_clients
from simferry.errors import Interrupted, RunBusy, RunNotFound, StoreError
from simferry.objects import Objects
from simferry.remote_store import write_files
from sweeps import DRAWS, digest, done_pairs, simferry, wait_until, write

SWEEP = {"design": sf.grid(n=[5, 10]), "replications": 20, "seed": 7, "workers": 2}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes this process another machine: machine("second") has no mirror that the first has."""

    def become(name: str) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "machines" / name))

    become("first")
    return become


@pytest.fixture
def place(emulator, machine, monkeypatch):
    """The address of an empty store."""
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)
    return f"s3://{emulator.bucket}/simferry"


@pytest.fixture
def script(tmp_path):
    return write(tmp_path, *DRAWS["python"])


@pytest.fixture
def s3(place):
    import boto3

    return boto3.client("s3")


def keys(s3, place: str, run: str = "") -> list[str]:
    """The names of all objects of a store, or of one of its runs."""
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/{run}")
    return sorted(one["Key"].removeprefix(f"{prefix}/{run}") for page in pages for one in page.get("Contents", []))


def bare(message: str) -> bool:
    """Whether a message keeps to itself what is secret, and what only developers of libraries understand."""
    return not any(word in message for word in ("Debug source", "Generic", "top-secret", "Traceback", "obstore::"))


# ---- every verb ----


def test_a_run_in_s3_is_the_same_as_one_in_a_folder(place, script, s3, tmp_path):
    run = sf.run(script, store=place, **SWEEP)
    local = sf.run(script, store=tmp_path / "local", **SWEEP)
    assert digest(run) == digest(local)
    assert run.status().state == "complete" and run.status().done == 40
    assert run.address == run.handle == f"{place}/{run.id}"
    assert run.design().equals(local.design()) and run.summary().equals(local.summary())
    there = keys(s3, place, f"{run.id}/")
    assert {"run.json", "conditions.csv", "code/simulate.py", "plan/0001/plan.json"} < set(there)
    assert [b.name for b in run._folder.block_names()] == [
        k.removeprefix("blocks/") for k in there if k.startswith("blocks/")
    ]
    assert not [k for k in there if k.startswith("jobs/")]  # logs and scratch of this machine


def test_it_is_found_by_id_beginning_latest_and_address(place, script, monkeypatch):
    first, second = (sf.run(script, store=place, **{**SWEEP, "seed": seed}) for seed in (1, 2))
    for name in (first.id, first.id[:-1]):
        assert sf.open(name, place).id == first.id
    assert sf.open(f"{place}/{first.id}").id == sf.open(f"{place}/{first.id}/").id == first.id
    assert sf.open("latest", place).id == sf.open(f"{place}/latest").id == second.id
    assert [run.id for run in sf.runs(place)] == [first.id, second.id]
    with pytest.raises(RunNotFound, match=f"Did you mean {first.id}"):
        sf.open(first.id.replace("-20", "-30"), place)
    monkeypatch.setenv("SIMFERRY_STORE", place)
    assert sf.open(first.id).handle == first.id


def test_it_is_extended_and_taken_over(place, script, machine, tmp_path):
    run = sf.run(script, store=place, **SWEEP).extend(30, workers=2)
    whole = sf.run(script, store=tmp_path / "local", **{**SWEEP, "replications": 30})
    assert digest(run) == digest(whole) and run.status().done == 60
    machine("second")
    again = sf.run(script, store=place, **{**SWEEP, "replications": 30})
    assert digest(again) == digest(whole)
    assert again._folder.plans() == []  # nothing was left to compute


def test_artifacts_of_a_whole_script_lie_in_s3(place, machine, tmp_path):
    code = "import os, sys\nwith open(os.environ['SIMFERRY_OUTPUT'] + '/a b#1.txt', 'w') as f: f.write(sys.argv[1])\n"
    run = sf.run(write(tmp_path, "w.py", code), sf.grid(n=[5, 7]), args="{n}", replications=2, seed=1, store=place)
    machine("second")
    there = sf.open(run.address)
    (path,) = there.artifacts(2, 1)
    assert path.name == "a b#1.txt" and path.read_text() == "7" and path.is_relative_to(there.folder)
    assert there.artifacts(9, 9) == []


def test_errors_warnings_and_replay_from_another_machine(place, machine, tmp_path):
    code = "import warnings\ndef simulate(n):\n    warnings.warn('hm')\n    if n == 2: raise ValueError('two')\n    return n"
    run = sf.run(write(tmp_path, "f.py", code), sf.grid(n=[1, 2]), replications=3, seed=1, store=place)
    machine("second")
    there = sf.open(run.address)
    assert there.errors()["message"].tolist() == ["two"] * 3
    assert set(there.warnings()["message"]) == {"hm"}
    assert there.replay(1, 2) == 1
    assert "0001-0001" in there.logs()


def test_the_command_line_names_the_run_so_that_it_can_be_found(place, script, tmp_path):
    sweep = ("-p", "n=5,10", "-n", "10", "--seed", "7", "--workers", "2")
    done = simferry("run", script, *sweep, "--store", place, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    address = f"{place}/{json.loads(done.stdout)['run']}"
    assert address in simferry("list", "--store", place, cwd=tmp_path).stdout or "list" in done.stdout
    out = tmp_path / "out.parquet"
    done = simferry("results", address, "-o", out, cwd=tmp_path)
    assert done.returncode == 0 and out.exists(), done.stderr
    assert simferry("status", address, cwd=tmp_path).returncode == 0


# ---- other machines ----


def test_another_machine_sees_all_of_it_in_few_requests(place, script, machine, emulator):
    run = sf.run(script, store=place, **SWEEP)
    expected = digest(run)
    machine("second")
    forget_clients()
    emulator.requests.clear()
    assert sf.open(run.address).status().done == 40
    # is the bucket there; which runs, run.json, which plans, plan.json, which blocks
    assert emulator.requests == {("s3", "HEAD"): 1, ("s3", "GET"): 5}
    emulator.requests.clear()
    there = sf.open(run.address)
    assert digest(there) == expected
    blocks = len(there._folder.block_names())
    assert emulator.requests[("s3", "GET")] <= 4 + blocks  # runs, plans, blocks; conditions; no plan or run.json again
    emulator.requests.clear()
    assert digest(there) == expected and not emulator.requests  # the mirror has it


def test_a_run_that_another_machine_computes_is_watched(place, script, machine, monkeypatch, tmp_path):
    started = simferry("run", script, "-p", "n=5", "-n", "60", "--seed", "7", "--workers", "2", "--store", place,
                       cwd=tmp_path, start=True, PAUSE="0.1")  # fmt: skip
    machine("second")
    run = wait_until(lambda: sf.runs(place))[0]
    seen = set()
    wait_until(lambda: seen.add(run.status().done) or run.status().done == 60, 40)
    assert started.wait(20) == 0
    assert run.status().state == "complete" and len(run.results()) == 60


def test_another_machine_goes_on_with_it(place, script, machine, tmp_path, monkeypatch):
    expected = digest(sf.run(script, store=tmp_path / "local", **SWEEP))
    monkeypatch.setenv("PAUSE", "0.05")

    def stop(progress):
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=f"simferry resume {place}/"):
        sf.run(script, store=place, on_progress=stop, **SWEEP)
    kept = sf.open("latest", place)
    before = done_pairs(kept)
    machine("second")
    run = sf.open("latest", place)
    assert sorted(done_pairs(run)) == sorted(before) and 0 < len(before) < 40
    run.resume()
    assert digest(run) == expected and len(done_pairs(run)) == 40
    machine("first")
    assert digest(sf.open(run.address)) == expected


def test_of_two_machines_one_gets_the_next_plan(place, script, machine, s3):
    run = sf.run(script, store=place, **SWEEP)
    machine("second")
    other = sf.open(run.address)._folder
    before = keys(s3, place)

    def slow(number):
        other.add_plan({"reason": "extend", "replications": 30, "jobs": 1}, {"0001": lambda _: b"theirs"})
        return b"ours"

    with pytest.raises(RunBusy, match=f"run {run.id} was just taken up by another process\nsimferry watch {place}"):
        run._folder.add_plan({"reason": "extend", "replications": 99, "jobs": 1}, {"0001": slow})
    new = set(keys(s3, place)) - set(before)
    assert len(new) == 2 and f"{run.id}/plan/0002/plan.json" in new  # theirs, with its job
    again = sf.open(run.address)._folder
    assert again.replications == 30 and (again.job_folder("0002-0001") / "job").read_bytes() == b"theirs"


def test_a_plan_whose_answer_was_lost_is_there(place, script, monkeypatch):
    """Where the request is made again, S3 says that the object is there already."""
    run = sf.run(script, store=place, **SWEEP)
    objects = run._folder.objects
    assert objects.create("x", b"ours") and objects.create("x", b"ours") and not objects.create("x", b"theirs")
    assert objects.get("x") == b"ours"


def test_put_if_absent_lets_one_through(place):
    objects = Objects(place)
    with ThreadPoolExecutor(20) as threads:
        won = list(threads.map(lambda i: objects.create("one", f"number {i}".encode()), range(20)))
    assert sum(won) == 1 and objects.get("one") == f"number {won.index(True)}".encode()


# ---- what goes wrong ----


def test_a_damaged_block_is_set_aside_in_the_bucket_and_computed_again(place, script, machine, s3):
    run = sf.run(script, store=place, **SWEEP)
    expected = digest(run)
    name = run._folder.block_names()[0].name
    run._folder.objects.put(f"blocks/{name}", b"not a block")
    machine("second")
    there = sf.open(run.address)
    with pytest.warns(UserWarning, match=rf"block {name} .* was moved to {run.address}/damaged/{name}"):
        assert len(there.results()) < 40
    assert f"damaged/{name}" in keys(s3, place, f"{run.id}/")
    assert f"blocks/{name}" not in keys(s3, place, f"{run.id}/")
    there.resume()
    assert digest(there) == expected and there.status().done == 40


def test_a_mirrors_block_that_was_cut_short_is_brought_again(place, script):
    run = sf.run(script, store=place, **SWEEP)
    expected = digest(run)
    (run.folder / "results.parquet").unlink()
    for block in (run.folder / "blocks").iterdir():
        block.write_bytes(block.read_bytes()[:20])
    assert digest(sf.open(run.address)) == expected


def test_a_driver_killed_at_random_moments_loses_nothing(place, script, tmp_path):
    expected = digest(sf.run(script, store=tmp_path / "local", **SWEEP))
    chance = random.Random(11)
    sweep = ("-p", "n=5,10", "-n", "20", "--seed", "7", "--workers", "2", "--store", place)
    process = simferry("run", script, *sweep, cwd=tmp_path, start=True, PAUSE="0.1")
    for _ in range(4):
        time.sleep(chance.uniform(0.8, 3))
        os.killpg(process.pid, 9)
        process.communicate()
        if not (found := sf.runs(place)):
            process = simferry("run", script, *sweep, cwd=tmp_path, start=True, PAUSE="0.1")
            continue
        done = set(done_pairs(found[-1]))
        process = simferry("resume", found[-1].address, cwd=tmp_path, start=True, PAUSE="0.1")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    (run,) = sf.runs(place)
    assert digest(run) == expected and done <= set(done_pairs(run))


def test_a_run_that_was_not_created_whole_is_none(place, script, s3, monkeypatch):
    whole = sf.run(script, store=place, **SWEEP)
    Objects(place).put("half-20260101-abcd/conditions.csv", b"condition\n1\n")
    assert [run.id for run in sf.runs(place)] == [whole.id]
    assert sf.open("latest", place).id == whole.id
    with pytest.raises(RunNotFound, match="half-20260101-abcd is not a run folder: it has no run.json"):
        sf.open("half", place)


def test_a_run_that_fails_to_be_created_leaves_nothing(place, script, s3, monkeypatch, tmp_path):
    def full(*_):
        raise StoreError("there is no room")

    monkeypatch.setattr(Objects, "create", full)
    with pytest.raises(StoreError, match="there is no room"):
        sf.run(script, store=place, **SWEEP)
    assert keys(s3, place) == []
    assert not list(tmp_path.glob("machines/first/simferry/stores/*/*"))


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/../../../x"])
def test_a_name_in_a_bucket_cannot_lead_out_of_the_mirror(tmp_path, name):
    with pytest.raises(StoreError, match="is no name for a file"):
        write_files(tmp_path / "mirror", [(name, b"")])
    assert not list(tmp_path.rglob("x"))


def test_an_object_whose_name_no_file_can_have_is_an_error(place, script, s3, emulator):
    run = sf.run(script, store=place, **SWEEP)
    s3.put_object(Bucket=emulator.bucket, Key=f"simferry/{run.id}/artifacts/../../evil", Body=b"")
    with pytest.raises(StoreError, match=r"there is a name that no file could have.*\n.*aws s3 ls") as caught:
        run.artifacts(1, 1) and run._folder.bring_artifacts()
        run._folder.bring_artifacts()
    assert bare(str(caught.value))


def test_a_notebook_and_several_threads_read_at_once(place, script, machine):
    run = sf.run(script, store=place, **SWEEP)
    expected = digest(run)
    machine("second")

    async def cell():
        return digest(sf.open(run.address))

    assert asyncio.run(cell()) == expected
    machine("third")
    shared = sf.open(run.address)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda i: digest(shared if i % 2 else sf.open(run.address)), range(16))) == {expected}


def test_a_process_that_has_read_from_s3_can_fork(place, script):
    """multiprocessing forks on Linux; the child asks S3 by itself."""
    run = sf.run(script, store=place, **SWEEP)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(_rows, [run.address] * 2) == [40, 40]


def _rows(address: str) -> int:
    return len(sf.open(address).results())
