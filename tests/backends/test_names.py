"""Names of jobs in a service."""

import re

import pytest
import simferry as sf
from simferry.backends.names import NAME_LENGTH, job_name
from simferry.store.folder_store import Store


@pytest.fixture
def run(hand_made):
    return hand_made(sf.grid(n=1)).run


def test_a_name_fits_the_service_and_ends_in_plan_and_job(run):
    name = job_name(run, "0001-0003")
    assert re.fullmatch(r"made-\d{8}-[0-9a-f]{8}-[0-9a-f]{10}-0001-0003", name) and run.id in name


@pytest.mark.parametrize("given", ["x" * 100, "a_b.c d", "-"])
def test_any_name_of_a_run_becomes_one_of_the_services(tmp_path, run, given):
    run.id = f"{given}{run.id.removeprefix('made')}"
    name = job_name(run, "0001-0003")
    assert len(name) <= NAME_LENGTH and re.fullmatch(r"[A-Za-z0-9-]+", name) and name.endswith("-0001-0003")


def test_jobs_and_runs_of_other_stores_have_other_names(tmp_path, run):
    run.path.parent.rename(tmp_path / "moved")
    moved = Store(tmp_path / "moved").folder(run.id)
    assert len({job_name(one, job) for one in (run, moved) for job in ("0001-0001", "0001-0002")}) == 4
