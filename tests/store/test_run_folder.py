"""Stores and run folders."""

import json
import math
import os
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import pytest
import simferry as sf
from simferry.errors import RunBusy, RunNotFound, StoreError, UsageError
from simferry.sagemaker.values import is_s3
from simferry.store.folder_store import Store
from simferry.store.places import store_at
from simferry.store.records import PlanRecord, RunRecord
from simferry.sweep.conditions import read_conditions
from simferry.sweep.inputs import as_inputs
from simferry.system.files import write_whole

PLAN = PlanRecord(
    reason="run", replications=10, jobs=1, to_do=10, created=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
    backend_options={},
)  # fmt: skip
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


def test_conditions_come_back_exactly(hand_made):
    design = sf.table(
        {
            "x": [1 / 3, 0.1 + 0.2, None, math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e300, 123456789012345.0],
            "text": [
                "plain",
                "",
                None,
                "NA",
                'quote " comma ,',
                "two\nlines\r\n",
                "Åsa 東京",
                " space ",
                "2020-01-05",
                "007",
            ],
            "flag": [True, False, None] * 3 + [True],
            "n": [*range(9), None],
            'odd "name",\n': [1.5] * 10,
        },
        types={"n": "integer"},
    )
    back = read_conditions(hand_made(design).run)
    assert back.types == design.types and len(back) == 10
    for name in design.names:
        given, got = design.table[name].combine_chunks(), back.table[name].combine_chunks()
        assert got.type == given.type and got.is_null().equals(given.is_null())
        if pa.types.is_floating(given.type):
            given, got = (a.fill_null(7).to_numpy().view("<u8") for a in (given, got))
            assert given.tolist() == got.tolist()
        else:
            assert got.to_pylist() == given.to_pylist()
    assert back.canonical() == design.canonical()


def test_a_design_without_parameters_comes_back(hand_made):
    back = read_conditions(hand_made(sf.grid()).run)
    assert len(back) == 1 and back.names == []


def test_a_string_of_megabytes_comes_back(hand_made):
    text = 'long, "quoted"\n' * 200_000
    assert read_conditions(hand_made(sf.grid(text=[text, "short"])).run).condition(0) == {"text": text}


def test_conditions_that_were_cut_short_are_an_error(hand_made):
    run = hand_made(sf.grid(n=[10, 20, 30])).run
    path = run.path / "conditions.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(StoreError, match=r"conditions.csv has 2 rows where run.json says 3"):
        read_conditions(run)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"first")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        write_whole(path, b"second")
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["file"]


def test_plans_are_numbered_and_hold_their_jobs(hand_made):
    run = hand_made(sf.grid(n=1)).run
    for number, replications in (("0001", 10), ("0002", 25)):
        given = replace(PLAN, replications=replications)
        assert run.add_plan(given, {"0001": lambda n: f"job of plan {n}".encode()}) == number
    assert [p.number for p in run.plans()] == ["0001", "0002"]
    assert (run.path / "plan" / "0002" / "0001" / "job").read_bytes() == b"job of plan 0002"
    assert run.replications == 25


def test_the_loser_of_a_race_for_a_plan_is_told(hand_made):
    run = hand_made(sf.grid(n=1)).run
    other = run.home.folder(run.id)

    def slow(number):
        other.add_plan(replace(PLAN, jobs=0), {})
        return b""

    with pytest.raises(RunBusy, match=f"run {run.id} was just taken up"):
        run.add_plan(PLAN, {"0001": slow})
    assert os.listdir(run.path / "plan") == ["0001"] and run.plans()[0].jobs == 0


# ---- finding runs ----


def test_a_run_is_found_by_id_beginning_folder_and_latest(hand_made, tmp_path, monkeypatch):
    first, second = (hand_made(sf.grid(n=1), created=f"2026-01-0{i}").run for i in (1, 2))
    home = Store(tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    for name in (first.id, first.path, f"store/{first.id}", first.id[:-1]):
        assert home.find(name).id == first.id
    assert home.find("latest").id == second.id
    assert [run.id for run in home.folders()] == [first.id, second.id]


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
        Store(tmp_path / "file" / "store").create("made", RECORD)


@pytest.mark.parametrize(
    "address, why",
    [
        ("s3:///folder", "has no bucket"),
        ("s3://", "has no bucket"),
        ("s3://bucket/a?b", r"has a '\?'"),
        ("s3://bucket/a#b", "has a '#'"),
        ("s3://bucket/../other", r"a part '.' or '..'"),
        ("s3://bucket/a/./b", r"a part '.' or '..'"),
        ("s3://bucket/a\\b", "which is not allowed in an address"),
        ("s3://bucket/a\nb", "which is not allowed in an address"),
        ("s3://buc ket/a", "is not a bucket name"),
    ],
)
def test_an_address_that_could_be_read_as_another_is_refused(address, why):
    """As a store, an input, and what simferry.sagemaker is given; before anybody is asked."""
    with pytest.raises(UsageError, match=why):
        store_at(address)
    with pytest.raises(UsageError, match=why):
        as_inputs({"data": address})
    if "\n" not in address:  # which its parser removes
        with pytest.raises(UsageError, match=why):
            is_s3(address)


def test_an_address_of_an_unknown_kind_is_refused():
    with pytest.raises(UsageError, match=r"s4://bucket/runs is not a store\nDid you mean s3"):
        store_at("s4://bucket/runs")


def test_the_store_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMFERRY_STORE", str(tmp_path / "elsewhere"))
    assert store_at().path == tmp_path / "elsewhere"
    monkeypatch.delenv("SIMFERRY_STORE")
    monkeypatch.chdir(tmp_path)
    assert store_at().path == tmp_path / "simferry-runs"


def test_a_run_is_called_by_what_finds_it(tmp_path, monkeypatch):
    run = sf.run(lambda n, rng: rng.random(), {"n": 1}, replications=2, store=tmp_path / "runs")
    assert sf.open(run.handle).id == run.id and run.handle == str(run.folder)
    monkeypatch.setenv("SIMFERRY_STORE", str(tmp_path / "runs"))
    assert run.handle == run.id and sf.open(run.handle).id == run.id
    with pytest.raises(UsageError, match="store is 5"):
        sf.runs(store=5)
