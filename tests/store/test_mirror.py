"""Runs in an object store, and their copies on machines that read them: S3 over HTTP, with moto's behind it."""

import asyncio
import json
import multiprocessing
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import simferry as sf
from aws_fixtures import forget_clients
from remote_stores import SWEEP, bare, keys
from simferry.errors import Interrupted, RunBusy, RunNotFound, StoreError
from simferry.store.mirror import write_files
from simferry.store.objects import Objects
from simferry.store.records import PlanRecord
from sweeps import digest, done_pairs, how_many_done, simferry, wait_until, write

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
    assert there.artifacts(2, 9) == []


def test_errors_warnings_and_replay_from_another_machine(place, machine, tmp_path):
    code = "import warnings\ndef simulate(n):\n    warnings.warn('hm')\n    if n == 2: raise ValueError('two')\n    return n"
    run = sf.run(write(tmp_path, "f.py", code), sf.grid(n=[1, 2]), replications=3, seed=1, store=place)
    machine("second")
    there = sf.open(run.address)
    assert there.errors()["message"].tolist() == ["ValueError: two"] * 3
    assert set(there.warnings()["message"]) == {"UserWarning: hm"}
    assert there.replay(1, 2) == 1
    assert "0001-0001" in there.logs()


def test_the_command_line_names_the_run_so_that_it_can_be_found(place, script, tmp_path):
    sweep = ("-p", "n=5,10", "-n", "10", "--seed", "7", "--workers", "2")
    done = simferry("run", script, *sweep, "--store", place, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    address = f"{place}/{json.loads(done.stdout)['run']}"
    assert address.rpartition("/")[2] in simferry("list", "--store", place, cwd=tmp_path).stdout
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
    # is the bucket there; run.json, which plans, plan.json, and which blocks
    assert emulator.requests == {("s3", "HEAD"): 1, ("s3", "GET"): 4}
    emulator.requests.clear()
    there = sf.open(run.address)
    assert digest(there) == expected
    blocks = len(there._folder.block_names())
    assert emulator.requests[("s3", "GET")] <= 4 + blocks  # run.json, blocks, conditions, and no plan again
    emulator.requests.clear()
    assert digest(there) == expected and not emulator.requests  # the mirror has it


def test_a_run_that_another_machine_computes_is_watched(place, script, machine, monkeypatch, tmp_path):
    started = simferry("run", script, "-p", "n=5", "-n", "60", "--seed", "7", "--workers", "2", "--store", place,
                       cwd=tmp_path, start=True, PAUSE="0.1")  # fmt: skip
    machine("second")
    run = wait_until(lambda: sf.runs(place))[0]
    seen = set()
    wait_until(lambda: seen.add(run.status().done) or run.status().done == 60)
    assert started.wait(60) == 0
    assert run.status().state == "complete" and len(run.results()) == 60


def test_another_machine_goes_on_with_it(place, script, machine, tmp_path, monkeypatch):
    expected = digest(sf.run(script, store=tmp_path / "local", **SWEEP))
    monkeypatch.setenv("PAUSE", "0.4")

    def stop(progress):
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=rf'simferry\.open\("{place}/.*\.resume'):
        sf.run(script, store=place, on_progress=stop, **SWEEP)
    kept = sf.open("latest", place)
    before = done_pairs(kept)
    monkeypatch.delenv("PAUSE")
    machine("second")
    run = sf.open("latest", place)
    assert sorted(done_pairs(run)) == sorted(before) and 0 < len(before) < 40
    run.resume()
    assert digest(run) == expected and len(done_pairs(run)) == 40
    machine("first")
    assert digest(sf.open(run.address)) == expected


def test_of_two_machines_one_gets_the_next_plan(place, script, machine, s3):
    run = sf.run(script, store=place, **SWEEP)
    plan = replace(run._folder.plan("0001"), reason="extend")
    machine("second")
    other = sf.open(run.address)._folder
    before = keys(s3, place)

    def slow(number):
        other.add_plan(replace(plan, replications=30), {"0001": lambda _: b"theirs"})
        return b"ours"

    with pytest.raises(
        RunBusy, match=rf'another process has just started to compute run {run.id}\nsimferry\.open\("{place}.*\.watch'
    ):
        run._folder.add_plan(replace(plan, replications=99), {"0001": slow})
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
    process = simferry("run", script, *sweep, cwd=tmp_path, start=True, PAUSE="0.2")
    run = wait_until(lambda: sf.runs(place))[0]
    done = set()
    for _ in range(4):
        time.sleep(chance.uniform(0, 2))
        os.killpg(process.pid, 9)
        process.communicate()
        done |= set(done_pairs(run))
        process = simferry("resume", run.address, cwd=tmp_path, start=True, PAUSE="0.2")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    (run,) = sf.runs(place)
    assert digest(run) == expected and done <= set(done_pairs(run))


def test_a_run_that_was_not_created_whole_is_none(place, script, s3, monkeypatch):
    whole = sf.run(script, store=place, **SWEEP)
    Objects(place).put("half-20260101-abcd/conditions.csv", b"condition\n1\n")
    assert [run.id for run in sf.runs(place)] == [whole.id]
    assert sf.open("latest", place).id == whole.id
    with pytest.raises(RunNotFound, match=r"half-20260101-abcd is not a run folder: it has no run.json"):
        sf.open("half", place)


def test_two_machines_that_draw_one_id_do_not_remove_each_others_run(place, script, machine, monkeypatch):
    monkeypatch.setattr("simferry.store.run_folder.secrets.token_hex", lambda _: "c0dec0de")
    first = sf.run(script, store=place, **SWEEP)
    machine("another")
    with pytest.raises(StoreError, match=r"there is a run .*c0dec0de in the store already"):
        sf.run(script, store=place, **{**SWEEP, "seed": 2})
    machine("a third")
    assert done_pairs(sf.open(first.id, place)) == done_pairs(first)


def test_a_run_that_was_removed_from_the_bucket_is_not_found_in_its_mirror(place, script):
    run = sf.run(script, store=place, **SWEEP)
    run._folder.objects.delete([name for name, _ in run._folder.objects.listing()])
    assert (run.folder / "run.json").exists()
    with pytest.raises(RunNotFound, match=f"there is no run {run.id} in {place}"):
        sf.open(run.address)


def test_a_run_that_fails_to_be_created_leaves_nothing(place, script, s3, monkeypatch, tmp_path):
    def full(*_):
        raise StoreError("there is no room")

    monkeypatch.setattr(Objects, "create", full)
    with pytest.raises(StoreError, match="there is no room"):
        sf.run(script, store=place, **SWEEP)
    assert keys(s3, place) == []
    assert not list(tmp_path.glob("machines/first/simferry/stores/*/*"))


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/../../../x", "a/..\\..\\x", "x\n", "a//x", "./x", "\0x"])
def test_a_name_in_a_bucket_cannot_lead_out_of_the_mirror(tmp_path, name):
    with pytest.raises(StoreError, match="is not a valid name of a file"):
        write_files(tmp_path / "mirror", [(name, b"")])
    assert not list(tmp_path.rglob("x"))


def test_an_object_whose_name_no_file_can_have_is_an_error(place, script, s3, emulator):
    run = sf.run(script, store=place, **SWEEP)
    s3.put_object(Bucket=emulator.bucket, Key=f"simferry/{run.id}/artifacts/../../evil", Body=b"")
    with pytest.raises(StoreError, match=r"an object.s name has an empty part.*\n.*aws s3 ls") as caught:
        run.artifacts(1, 1) and run._folder.bring_artifacts()
        run._folder.bring_artifacts()
    assert bare(str(caught.value))


def test_strange_objects_in_a_store_end_no_verb(place, script, s3, emulator):
    """Names that no run can have, records that hold something else or are too large: each is named, and passed over."""
    run = sf.run(script, store=place, **SWEEP)
    strange = {
        "..": b"{}",
        "what?": b"{}",
        "hash#": b"{}",
        "list": b"[]",
        "empty": b"",
        "no-json": b"\xff",
    }
    for name, content in strange.items():
        s3.put_object(Bucket=emulator.bucket, Key=f"simferry/{name}/run.json", Body=content)
    with pytest.warns(UserWarning) as warned:
        assert [found.id for found in sf.runs(place)] == [run.id]
    said = "\n".join(str(w.message) for w in warned)
    assert all(f"run {name} is left out" in said for name in ("list", "empty", "no-json"))
    assert all(
        f"run {name!r} is left out: the name is not valid for a run" in said for name in ("..", "what?", "hash#")
    )
    s3.put_object(Bucket=emulator.bucket, Key="simferry/list/run.json", Body=(run.folder / "run.json").read_bytes())
    assert sf.open("list", place).seed == run.seed  # which was mended
    with pytest.raises(StoreError, match=r"run.json can't be read"):
        sf.open("empty", place)


def test_objects_that_vanish_end_in_a_store_error(place, script, s3, emulator, machine):
    run = sf.run(script, store=place, **SWEEP)
    machine("second")
    other = sf.open(run.address)
    for name in keys(s3, place, f"{run.id}/"):
        s3.delete_object(Bucket=emulator.bucket, Key=f"simferry/{run.id}/{name}")
    for verb in (other.results, other.summary, other.errors, lambda: other._folder.job_folder("0001-0001")):
        with pytest.raises(StoreError, match=r"(is no longer in|there is no) s3://"):
            verb()


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


def test_a_forked_process_says_that_it_cannot_use_the_store(place, script):
    """A forked process lacks the threads of obstore, and would hang."""
    run = sf.run(script, store=place, **SWEEP)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        said = pool.apply_async(how_many_done, [run.address]).get(20)
    assert "it was forked from one that has used an object store" in said and "spawn" in said
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply_async(how_many_done, [run.address]).get(40) == "40"


def test_notes_are_in_the_store_and_change(place, script, machine, s3):
    run = sf.run(script, store=place, name="paper", note="first", **SWEEP)
    assert (run.name, run.note) == ("paper", "first")
    machine("second")
    there = sf.open("paper", place)
    assert there.note == "first"
    there.note = "second"
    assert (run.note, there.note) == ("second", "second") and "note.txt" in keys(s3, place, f"{run.id}/")
    run.note = ""
    assert there.note == ""


def test_a_run_is_deleted_with_its_mirrors(place, script, machine, s3, monkeypatch):
    run, other = (sf.run(script, store=place, **{**SWEEP, "seed": seed}) for seed in (1, 2))
    machine("second")
    there = sf.open(run.address)
    there.results()
    deleted = []

    def interrupted(objects, names):
        deleted.append(list(names))
        if len(deleted) == 2:  # after run.json
            raise KeyboardInterrupt
        delete(objects, deleted[-1])

    delete = Objects.delete
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Objects, "delete", interrupted)
        there.delete()
    assert deleted[0] == ["run.json"] and keys(s3, place, f"{run.id}/")
    for name in (run.id, f"{place}/{run.id}"):
        with pytest.raises(RunNotFound):
            sf.open(name, place)
    assert simferry("delete", f"{place}/{run.id}", "--yes", cwd=script.parent).returncode == 0
    assert keys(s3, place, f"{run.id}/") == [] and not there.folder.exists()
    machine("first")  # which has a mirror
    with pytest.raises(RunNotFound):
        sf.open(run.id, place)
    assert [one.id for one in sf.runs(place)] == [other.id]


def test_only_artifacts_that_match_are_brought(place, machine, tmp_path):
    code = "for name in ('a.txt', 'b.png'): open(name, 'w').close()\n"
    run = sf.run(write(tmp_path, "w.py", code), args="", replications=2, seed=1, store=place)
    machine("second")
    paths = sf.open(run.address).artifacts(pattern="*/*/*.png", folder=tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in paths] == ["1/1/b.png", "1/2/b.png"]
    assert not list(sf.open(run.address).folder.glob("artifacts/*/*/a.txt"))


# ---- checkpoints of training jobs ----


def test_blocks_and_artifacts_among_checkpoints_are_those_of_the_run(place, script, s3, machine, monkeypatch):
    """A training job's blocks are below checkpoints/JOB, where only its own count."""
    run = sf.run(script, store=place, keep_files=True, **SWEEP)
    table, bucket = digest(run), place.split("/")[2]
    prefix = place.removeprefix(f"s3://{bucket}/") + f"/{run.id}/"
    (first, *_) = moved = [block.name for block in run._folder.block_names()]

    def put(key, content):
        s3.put_object(Bucket=bucket, Key=f"{prefix}{key}", Body=content)

    for name in moved:
        content = s3.get_object(Bucket=bucket, Key=f"{prefix}blocks/{name}")["Body"].read()
        job = "-".join(name.split("-")[:2])
        put(f"checkpoints/{job}/blocks/{name}", content)
        s3.delete_object(Bucket=bucket, Key=f"{prefix}blocks/{name}")
        put(f"checkpoints/{job}/blocks/{name.replace('0001-0001', '0001-0009', 1)}", b"another job's")
        put(f"checkpoints/{job}/.part", b"half")
    monkeypatch.setattr(PlanRecord, "trains", True)
    put("checkpoints/0001-0001/artifacts/1/2/a.txt", b"new")
    machine("second")
    there = sf.open(run.address)
    assert [block.name for block in there._folder.block_names()] == moved and digest(there) == table
    assert [path.read_text() for path in there.artifacts(1, 2)] == ["new"]
    assert there._folder.set_aside(first) == f"{run.address}/damaged/{first}"
    there._folder.look()
    assert first not in {block.name for block in there._folder.block_names()}
    there.delete()
    assert keys(s3, place, f"{run.id}/") == []
