"""From the archives and the log of an image's job to rows, failures and artifacts."""

import io
import json
import tarfile
from types import SimpleNamespace

import pytest
from simferry.jobs import image_block
from simferry.jobs.image_block import Ended
from simferry.jobs.image_job import ImageJob
from simferry.worker import blocks


def archive(path, files):
    """A tar.gz. A content of None makes a link; a text in place of the files is all that the archive is."""
    if isinstance(files, str):
        path.write_text(files)
        return path
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            member.size = len(content or "")
            out.addfile(member, io.BytesIO((content or "").encode()))
    return path


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Keeps what a job has left. Returns its block."""

    def keep(model=None, output=None, log="", failure="", count=1, results="r.csv", **spec):
        job = ImageJob(3, 5, count, {}, {}, results.replace(".", r"\."))
        monkeypatch.setattr(image_block, "image_job", lambda run, name: job)
        record = SimpleNamespace(simulation={"results_file": results, **spec}, image="sha256:1")
        run = SimpleNamespace(path=tmp_path, id="a-run", record=record, blocks=tmp_path / "blocks")
        run.blocks.mkdir()
        given = {"model": archive(tmp_path / "m", model or {}), "output": archive(tmp_path / "o", output or {})}
        image_block.keep(run, "0001-0002", Ended(failure, given, log if isinstance(log, list) else [log], 10.0))
        (name,) = (path.name for path in run.blocks.iterdir())
        assert name == f"0001-0002-1-00.000001-r{count}-f{count if failing(run, name) else 0}"
        return blocks.decode((run.blocks / name).read_bytes())

    def failing(run, name):
        return not blocks.decode((run.blocks / name).read_bytes()).table("replications").columns["ok"].values.all()

    return keep


def files_of(block):
    columns = block.table("outputs").columns
    return list(
        zip(columns["replication"].values.tolist(), columns["name"].strings(), columns["content"].raws(), strict=True)
    )


def failures_of(block):
    columns = block.table("failures").columns
    return list(zip(columns["replication"].values.tolist(), columns["message"].strings(), strict=True))


def test_a_results_file_is_kept_as_it_is_and_all_files_are_artifacts(kept, tmp_path):
    block = kept(model={"in/m.bin": "x"}, output={"r.csv": "a,b\n1,NA\n"})
    assert files_of(block) == [(5, "r.csv", b"a,b\n1,NA\n")]
    below = tmp_path / "artifacts" / "3" / "5"
    assert (below / "model" / "in" / "m.bin").read_text() == "x"
    assert (below / "output" / "r.csv").exists()
    status = block.table("replications").columns
    assert (status["condition"].values.tolist(), status["seconds"].values.tolist()) == ([3], [10.0])


def test_the_last_number_of_a_metric_is_a_column_and_all_are_an_artifact(kept, tmp_path):
    log = "loss=0.5\nloss=0.1\n"
    block = kept(
        output={"r.csv": "a,loss\n1,x\n2,NA\n"}, log=log, metric={"loss": "loss=([0-9.]+)", "gone": "gone=(.)"}
    )
    ((_, name, content),) = files_of(block)
    assert name.endswith(".json")
    assert json.loads(content) == [
        {"a": 1, "loss": "x", "loss_metric": 0.1, "gone": None},
        {"a": 2, "loss": None, "loss_metric": 0.1, "gone": None},
    ]
    series = (tmp_path / "artifacts" / "3" / "5" / "metrics.csv").read_text()
    assert series == "metric,step,value\nloss,1,0.5\nloss,2,0.1\n"
    assert "metric gone: no line of the log matches" in block.table("warnings").columns["message"].strings()[0]


def test_a_metric_is_the_first_hosts_that_printed_it(kept):
    block = kept(results="", log=["loss=1\nloss=2\n", "loss=3\nacc=4\n"], metric={"loss": "loss=(.)", "acc": "acc=(.)"})
    ((_, _, content),) = files_of(block)
    assert json.loads(content) == [{"loss": 2, "acc": 4}]


def test_a_metric_that_takes_too_long_is_missing_and_said(kept, monkeypatch):
    monkeypatch.setattr(image_block, "series_within", lambda metrics, log: {"loss": ["1"], "slow": None})
    block = kept(results="", log="x", metric={"loss": "loss=(.)", "slow": "(a+)+b"})
    assert json.loads(files_of(block)[0][2]) == [{"loss": 1, "slow": None}]
    warned = block.table("warnings").columns["message"].strings()
    assert warned == ["metric slow: its expression (a+)+b takes more than 10 s on a log, and was given up"]


def test_metrics_alone_are_a_row(kept):
    ((replication, _, content),) = files_of(kept(results="", log="acc: 0.75", metric={"acc": "acc: (.*)"}))
    assert (replication, json.loads(content)) == (5, [{"acc": 0.75}])


def test_a_metric_of_a_results_file_without_rows_is_a_row(kept):
    ((_, _, content),) = files_of(kept(output={"r.csv": "a\n"}, log="acc: 0.75", metric={"acc": "acc: (.*)"}))
    assert json.loads(content) == [{"acc": 0.75}]


def test_each_replication_gets_its_row(kept):
    block = kept(output={"r.csv": "x,name\n0.1,a\nNaN,b\nNA,c\n"}, count=3, replications_as="n")
    assert [(r, json.loads(content)) for r, _, content in files_of(block)] == [
        (5, [{"x": 0.1, "name": "a"}]), (6, [{"x": "NaN", "name": "b"}]), (7, [{"x": None, "name": "c"}]),
    ]  # fmt: skip
    assert block.table("replications").columns["replication"].values.tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("output", "more", "message"),
    [
        ({"other.csv": "x"}, {}, "the image ended without writing r.csv in model/ or output/data/. It wrote: output/other.csv"),
        ({"r.csv": "x\n1\n2\n"}, {"count": 3, "replications_as": "n"},
         "r.csv has 2 rows, and the image was told to do 3 replications: a row for each"),
        ({"r.csv": "x,y\n1\n"}, {"metric": {"m": "(x)"}}, "r.csv can't be read"),
        ({}, {"failure": "no convergence"}, "no convergence"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_has_to_be_has_failed(kept, output, more, message):
    failed = failures_of(kept(output=output, **more))
    assert [replication for replication, _ in failed] == list(range(5, 5 + more.get("count", 1)))
    assert message in failed[0][1]


def test_an_archive_writes_nowhere_else(kept, tmp_path):
    outside = tmp_path / "outside"
    names = {
        "/".join(["a" * 250] * 20): "x",
        "../../../../outside": "x",
        str(outside): "x",
        "link": None,
        "a": "x",
        "a/b": "x",
        "r.csv": "1",
    }
    block = kept(output=names)
    assert not outside.exists()
    kept_files = sorted(path.name for path in (tmp_path / "artifacts").rglob("*") if path.is_file())
    assert kept_files == ["a", "r.csv"]
    assert len(block.table("warnings").columns["message"].strings()) == 4


def test_a_damaged_archive_is_a_failure(kept):
    assert "model.tar.gz can't be read" in failures_of(kept(model="no archive"))[0][1]


def test_an_archive_that_does_not_fit_on_the_disk_is_a_failure_and_leaves_nothing(kept, tmp_path, monkeypatch):
    monkeypatch.setattr(image_block.shutil, "disk_usage", lambda path: SimpleNamespace(free=12))
    ((_, message),) = failures_of(kept(model={"small": "x" * 10, "r.csv": "x" * 5}))
    assert message.startswith(
        f"model.tar.gz does not fit on the disk at {tmp_path}, where 0.1 MB were free: its file r.csv has "
    )
    assert not [*tmp_path.rglob("small")]
