"""Runs are deleted whole, and not while they are computed."""

import shutil

import pytest
import simferry as sf
from click.testing import CliRunner
from simferry.cli import main
from simferry.driver.claim import driving
from simferry.errors import RunBusy, RunNotFound, StoreError
from sweeps import digest, script, write  # noqa: F401

SWEEP = {"design": sf.grid(n=[5]), "replications": 4, "seed": 7, "workers": 1}


@pytest.fixture
def run(script, tmp_path):  # noqa: F811
    return sf.run(script, store=tmp_path / "runs", **SWEEP)


def test_a_deleted_run_is_gone_and_what_others_took_over_of_it_is_not(run, script):  # noqa: F811
    store, before = run.folder.parent, digest(run)
    other = sf.run(script, store=store, **SWEEP)
    assert not other._folder.plans()  # all was taken over
    run.delete()
    assert not run.folder.exists() and [one.id for one in sf.runs(store)] == [other.id]
    with pytest.raises(RunNotFound):
        sf.open(run.id, store)
    assert digest(sf.open(other.id, store)) == before
    assert repr(run) == f"<Run {run.id}: it is no longer in {store}>"
    assert f"run {run.id} is no longer in {store}" in run._repr_html_()
    reads = (run.results, run.summary, run.errors, run.warnings, run.values)
    for used in (run.status, run.delete, run.artifacts, lambda: setattr(run, "note", "x"), *reads):
        with pytest.raises(RunNotFound, match="is no longer in"):
            used()


def test_a_run_that_is_being_computed_is_refused(run):
    with driving(run._folder), pytest.raises(RunBusy, match="is being computed, and is not deleted"):
        run.delete()
    assert run.status().state == "complete"


def test_no_name_is_no_run_not_even_in_a_run_folder(run, monkeypatch):
    monkeypatch.chdir(run.folder)
    refused = CliRunner().invoke(main, ["delete", "", "--yes"])
    assert refused.exit_code == 1 and run.folder.exists()


def test_an_interrupted_deletion_leaves_no_run_and_is_completed(run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    store = run.folder.parent
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", interrupted)
        run.delete()
    assert run.folder.exists() and sf.runs(store) == []
    with pytest.raises(RunNotFound):
        sf.open(run.id, store)
    for name in (run.id[:-1], "x"):
        assert CliRunner().invoke(main, ["delete", name, "--yes", "--store", str(store)]).exit_code == 1
    assert run.folder.exists()
    done = CliRunner().invoke(main, ["delete", run.id, "--yes", "--store", str(store)])
    assert done.exit_code == 0 and not run.folder.exists(), done.output


def test_a_link_to_a_run_is_not_deleted(run, tmp_path):
    link = tmp_path / run.id
    link.symlink_to(run.folder)
    with pytest.raises(StoreError, match="is a link"):
        sf.open(link).delete()
    assert run.status().done == 4


def test_files_outside_of_a_run_to_which_its_artifacts_link_stay(tmp_path):
    mine = write(tmp_path, "mine/data.txt", "mine")
    code = f"import os\nos.symlink({str(mine.parent)!r}, 'link')\nopen('a.txt', 'w').close()\n"
    run = sf.run(write(tmp_path, "w.py", code), args="", replications=1, seed=1, store=tmp_path / "runs")
    run.delete()
    assert mine.read_text() == "mine" and not run.folder.exists()
