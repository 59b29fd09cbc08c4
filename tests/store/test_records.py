"""Records of run folders: what was read is written to the byte."""

import json
import tarfile
from pathlib import Path

import pytest
from simferry.store.records import PlanRecord, RunRecord

ARCHIVE = Path(__file__).parents[1] / "runs_of_the_flat_layout.tar.xz"


@pytest.fixture(scope="module")
def files():
    """The run.json and plan.json of earlier runs, by their paths."""
    with tarfile.open(ARCHIVE) as archive:
        return {
            Path(one.name): archive.extractfile(one).read()
            for one in archive
            if one.name.endswith(("/run.json", "/plan.json"))
        }


def test_run_json_is_written_as_earlier_versions_did(files):
    runs = {path: data for path, data in files.items() if path.name == "run.json"}
    for path, data in runs.items():
        read = json.loads(data)
        content = {"id": read["id"], "format": 2, **RunRecord.of(read, path).content()}
        assert json.dumps(content, indent=1).encode() == data
    assert runs


def test_plan_json_is_written_as_earlier_versions_did(files):
    plans = {path: data for path, data in files.items() if path.name == "plan.json"}
    for path, data in plans.items():
        assert json.dumps(PlanRecord.of(json.loads(data), path).content(), indent=1).encode() == data
    assert plans


def test_a_plan_that_costs_money_has_its_limits(files):
    path, data = next((path, data) for path, data in files.items() if path.name == "plan.json")
    more = {**json.loads(data), "changed_code": {"a.R": "c0de"}, "limit": 60, "types": ["ml.m5.large"], "hosts": 2}
    more |= {"plan": more.pop("plan"), "files": "plan/0001-01234567"}
    assert json.dumps(PlanRecord.of(more, path).content()) == json.dumps(more)
