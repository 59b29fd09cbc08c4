"""Which runs a user's local backend computed, so that what they hold may be unpickled."""

import os
import shutil
from pwd import getpwuid
from types import SimpleNamespace

import pytest
import simferry as sf
from simferry.store.own_runs import forget, is_own, only_ours


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return sf.run(lambda: {1: object}, replications=1, seed=1, store=tmp_path / "runs", on_error="continue")


def test_a_run_is_own_where_it_was_computed_and_a_copy_is_not(run, tmp_path):
    assert is_own(run._folder)
    shutil.copytree(run.folder, tmp_path / "elsewhere" / run.id)
    assert not is_own(sf.open(run.id, tmp_path / "elsewhere")._folder)
    forget(run._folder)
    assert not is_own(run._folder)


@pytest.mark.parametrize("change", ["another key", "a key for all", "no key"])
def test_without_the_users_key_no_run_is_own(run, tmp_path, change):
    key = tmp_path / "state" / "simferry" / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    if change == "another key":
        key.write_bytes(bytes(32))
    elif change == "a key for all":
        key.chmod(0o666)
    else:
        key.unlink()
    assert not is_own(run._folder)


def test_files_that_others_can_write_are_not_only_ours(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "value.pkl"
    file.touch()
    assert only_ours(tmp_path, "a/value.pkl") and not only_ours(tmp_path, "a/none")
    (tmp_path / "a").chmod(0o777)
    assert not only_ours(tmp_path, "a/value.pkl")
    (tmp_path / "a").chmod(0o775)
    monkeypatch.setattr("grp.getgrgid", lambda gid: SimpleNamespace(gr_name="students", gr_mem=[]))
    assert not only_ours(tmp_path, "a/value.pkl")
    monkeypatch.setattr("grp.getgrgid", lambda gid: SimpleNamespace(gr_name=getpwuid(os.geteuid()).pw_name, gr_mem=[]))
    assert only_ours(tmp_path, "a/value.pkl")
    (tmp_path / "a").chmod(0o755)
    os.symlink(file, tmp_path / "a" / "link")
    assert not only_ours(tmp_path, "a/link")
