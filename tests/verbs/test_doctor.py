"""What simferry doctor finds."""

import pytest
from simferry.verbs.doctor import examine


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without R, Docker and AWS."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def findings(store):
    return {one.what: one for one in examine(store)}


def test_what_only_some_need_is_no_fault_and_has_a_hint(bare, tmp_path):
    found = findings(tmp_path)
    assert found["store"].ok and found["simferry"].ok and found["cores"].ok
    for what in ("R", "Docker", "AWS"):
        assert found[what].ok is None and found[what].hint, what


def test_a_store_that_cannot_be_written_is_a_fault(bare, tmp_path):
    (tmp_path / "file").touch()
    store = findings(tmp_path / "file" / "runs")["store"]
    assert store.ok is False and "can't be written" in store.found and "SIMFERRY_STORE" in store.hint


def test_a_store_in_s3_is_not_asked(bare):
    assert findings("s3://bucket/runs")["store"].ok is None
