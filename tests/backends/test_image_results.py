"""What an image's jobs have left in a service becomes blocks: archives of a store, logs, and how each ended."""

import datetime
from types import SimpleNamespace

import pytest
from simferry.backends import image_results
from simferry.backends.service import ServiceJob
from simferry.store.mirror import RemoteRunFolder

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Keeps the results of jobs whose archives have these sizes. Returns what was kept, by job."""

    def keep(jobs, archives, limit=None, metric=None, log=""):
        class Run(RemoteRunFolder):
            def __init__(self):
                self.path, self.id, self.pushed = tmp_path, "x-20261101-c0dec0de", 0
                self.objects = SimpleNamespace(address="s3://b/x", listing=listing, download=download)
                options = SimpleNamespace(replication_timeout=limit)
                self.record = SimpleNamespace(simulation={"kind": "image", "metric": metric}, options=options)

            def push(self):
                self.pushed += 1

        def listing(folder):
            return [(f"{folder}{name}", size) for name, size in archives.items()]

        def download(files):
            for key, path in files:
                assert path.parent.parent == tmp_path
                path.write_text(key)

        def kept(run, job, ended):
            found[job] = ended, {name: path.read_text().rpartition("/")[2] for name, path in ended.archives.items()}

        found = {}
        monkeypatch.setattr(image_results, "keep", kept)
        monkeypatch.setattr(image_results, "image_job", lambda run, job: SimpleNamespace(count=3))
        run = Run()
        image_results.keep_results(run, jobs, lambda job: [log])
        assert run.pushed == bool(jobs) and list(tmp_path.iterdir()) == []
        return found

    return keep


def test_archives_are_brought_unless_they_are_too_large(results, monkeypatch):
    monkeypatch.setattr(image_results, "MOST_BYTES", 1000)
    job = ServiceJob("succeeded", NOW, NOW, ran=12)
    archives = {"model.tar.gz": 1001, "output.tar.gz": 10, "other": 1}
    ((ended, files),) = results({"0001-0001": job}, archives).values()
    assert files == {"output": "output.tar.gz"} and (ended.failure, ended.logs, ended.seconds) == ("", [], 12)
    (note,) = ended.notes
    assert note.startswith("model.tar.gz, 0.1 MB, stays at s3://b/x/archives/") and "more than" in note
    assert results({}, {}) == {}


@pytest.mark.parametrize(
    ("reason", "cut_short", "limit", "failure"),
    [
        ("AlgorithmError: no such file, exit code: 1", False, None, "no such file"),
        ("AlgorithmError: , exit code: 3", False, None, "the image exited with code 3: the last line"),
        ("MaxRuntimeExceeded: its time limit", True, 5.0, "timed out after 15 s"),
        ("MaxRuntimeExceeded: its time limit", True, None, "it reached its time limit"),
    ],
)
def test_why_a_job_failed(results, reason, cut_short, limit, failure):
    job = ServiceJob("failed", NOW, NOW, reason, cut_short=cut_short)
    ((ended, _),) = results({"0001-0001": job}, {}, limit=limit, log="the last line\n").values()
    assert ended.failure == failure


def test_a_log_is_read_for_metrics(results):
    job = ServiceJob("succeeded", NOW, NOW)
    ((ended, _),) = results({"0001-0001": job}, {}, metric={"loss": "loss=(.)"}, log="loss=1\n").values()
    assert ended.logs == ["loss=1\n"]
