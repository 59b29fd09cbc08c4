"""Runs of a store, found by their names."""

import json
from dataclasses import replace

import pytest
import simferry as sf
from simferry.errors import RunNotFound, StoreError, UsageError
from simferry.store.folder_store import Store
from simferry.store.records import RunRecord

RECORD = RunRecord.of(
    {
        "created": "2026-01-01T00:00:00", "conditions": 1, "replications": 1, "seed": 1, "streams": 2, "parameters": {},
        "common": [], "environment": {}, "code_hash": "c0de",
        "simulation": {"language": "r", "kind": "function", "function": "f", "script": "s.R", "args": None, "path": "",
                       "results_file": "", "objects": "", "private_mount": False},
        "options": {"backend": "local", "place": {}, "cores": None, "on_error": "stop", "replication_timeout": None,
                    "retries": 0},
    },
    "run.json",
)  # fmt: skip


def test_a_run_is_found_by_id_beginning_folder_and_latest(hand_made, tmp_path, monkeypatch):
    first, second = (hand_made(sf.grid(n=1), created=f"2026-01-0{i}").run for i in (1, 2))
    home = Store(tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    for name in (first.id, first.path, f"store/{first.id}", first.id[:-1]):
        assert home.find(name).id == first.id
    assert home.find("latest").id == second.id
    assert [run.id for run in home.folders()] == [first.id, second.id]


def test_a_run_is_found_by_its_name_and_several_of_one_name_are_all_told(tmp_path):
    home = Store(tmp_path)

    def create(name):
        run = home.create(home.new_id("power"), replace(RECORD, name=name))
        assert run.id not in home.ids()  # not until it is complete
        run.publish()
        return run

    first, second, other = map(create, ("paper", "pow", "paper 2"))
    assert home.find("paper").id == first.id and home.find("paper 2").id == other.id
    assert home.find("pow").id == second.id  # and not one of all whose id begins so
    third = create("paper")
    with pytest.raises(RunNotFound, match=r"2 runs in .* have the name paper:") as error:
        home.find("paper")
    assert first.id in str(error.value) and third.id in str(error.value) and other.id not in str(error.value)
    assert home.find(third.id).id == third.id


def test_a_run_that_is_not_there_offers_the_nearest(hand_made, tmp_path):
    run = hand_made(sf.grid(n=1)).run
    home = Store(tmp_path / "store")
    with pytest.raises(RunNotFound, match=f"Did you mean {run.id}"):
        home.find(run.id.replace("made", "mode"))
    with pytest.raises(RunNotFound, match=r"simferry\.runs\(store="):
        home.find("xyz")
    with pytest.raises(RunNotFound, match=r"there is no run in .* yet"):
        Store(tmp_path / "empty").find("latest")


def test_a_beginning_that_fits_several_runs_offers_them(hand_made, tmp_path):
    runs = sorted(hand_made(sf.grid(n=1)).run.id for _ in range(2))
    with pytest.raises(RunNotFound, match=f"Did you mean {runs[0]} or {runs[1]}"):
        Store(tmp_path / "store").find("made")


def test_a_folder_written_by_a_newer_version_says_so(hand_made):
    run = hand_made(sf.grid(n=1)).run
    (run.path / "run.json").write_text(json.dumps({**run.record.written, "format": 99, "simferry": "7.0"}))
    with pytest.raises(StoreError, match=r"written by a newer simferry \(7.0, run folder format 99\)\nUpdate simferry"):
        run.home.folder(run.id)


def test_a_run_file_that_is_no_json_is_named(hand_made, tmp_path):
    run = hand_made(sf.grid(n=1)).run
    (run.path / "run.json").write_text("{")
    with pytest.raises(StoreError, match=r"run.json can't be read"):
        run.home.folder(run.id)
    with pytest.warns(UserWarning, match="is left out: .*run.json can.t be read"):
        assert Store(tmp_path / "store").folders() == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"can't write .*file"):
        Store(tmp_path / "file" / "store").create("made-20260102-c0dec0de", RECORD)


def test_a_run_is_called_by_what_finds_it(tmp_path, monkeypatch):
    run = sf.run(lambda n, rng: rng.random(), {"n": 1}, replications=2, store=tmp_path / "runs")
    assert sf.open(run.handle).id == run.id and run.handle == str(run.folder)
    monkeypatch.setenv("SIMFERRY_STORE", str(tmp_path / "runs"))
    assert run.handle == run.id and sf.open(run.handle).id == run.id
    with pytest.raises(UsageError, match="store is 5"):
        sf.runs(store=5)
