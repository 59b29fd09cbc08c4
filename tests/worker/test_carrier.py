"""The carrier of AWS Batch's jobs: what it brings and sends, in which order; claims; ends; the container beside it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import boto3
import pytest
from simferry.aws.contracts import batch as contract
from simferry.store.packed import packed
from simferry.worker import carrier as module
from simferry.worker.carrier import Carrier
from simferry.worker.s3 import Failed

KEY = "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"
# a worker that computes a replication, which has an artifact
WORK = """
import os, pathlib, signal, sys, time
root, ends = pathlib.Path(os.environ["ROOT"]), int(sys.argv[1])
(root / "artifacts/1/1").mkdir(parents=True)
(root / "artifacts/1/1/value").write_text(os.environ["SIMFERRY_ATTEMPT"])
(root / "blocks/0001-0003-1-01.1-r1-f0").write_text((root / "input/code/worker.py").read_text())
if ends > 1:
    (root / "message").write_text("load: it is no use")
if ends == 0:
    def stop(*_):
        (root / "blocks/0001-0003-1-01.2-r1-f0").write_text(str((root / "scratch/stop").exists()))
        sys.exit(0)
    signal.signal(signal.SIGINT, stop)
    print("ready", flush=True)
    time.sleep(60)
sys.exit(ends - 1)
"""


class Place:
    """A run in the emulator's S3, and a job's folder here."""

    def __init__(self, bucket: str, root: Path) -> None:
        self.s3, self.bucket, self.root = boto3.client("s3"), bucket, root
        self.put("run/code/worker.py", "code")
        self.s3.put_object(Bucket=bucket, Key="run/plan/0001/jobs", Body=packed([b"first", b"2nd", b"job"]))

    def put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())

    def get(self, key: str) -> str:
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode()

    def keys(self, prefix: str) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"run/{prefix}")
        return [one["Key"].removeprefix("run/") for one in listed.get("Contents", [])]

    def carried(self, **more) -> dict:
        run = f"s3://{self.bucket}/run"
        given = {"run": run, "plan": "0001", "jobs": f"{run}/plan/0001/jobs", "region": "us-east-1", "inputs": {}}
        return {**given, "command": [sys.executable, "-c", WORK, "1"], **more}

    def carrier(self, **more) -> Carrier:
        return Carrier(self.carried(**more), str(self.root))

    def start(self, **more) -> subprocess.Popen:
        """The same in a process of its own."""
        given = f"{self.carried(**more)!r}, {str(self.root)!r}"
        code = f"import sys; from simferry.worker.carrier import Carrier; sys.exit(Carrier({given}).carry())"
        return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def at(emulator, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EACH_SECONDS", 0.2)
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)  # of this process
    for name, value in {"JOB_ID": "a:2", "JOB_ARRAY_INDEX": "2", "JOB_ATTEMPT": "1"}.items():
        monkeypatch.setenv(f"AWS_BATCH_{name}", value)
    monkeypatch.setenv("ROOT", str(tmp_path / "ml"))
    return Place(emulator.bucket, tmp_path / "ml")


def test_a_job_is_brought_run_and_sent(at):
    at.put("data/a b/x+y", "1")
    at.put("data/ä", "2")
    at.put("data/", "")  # S3's console makes such for a folder
    at.put("data2/z", "3")
    bucket = f"s3://{at.bucket}"
    assert at.carrier(inputs={"all": f"{bucket}/data/", "one": f"{bucket}/data/ä"}).carry() == 0
    found = {str(path.relative_to(at.root / "input")) for path in (at.root / "input").rglob("*") if path.is_file()}
    assert found == {"code/worker.py", "plan/job", "all/a b/x+y", "all/ä", "one/ä"}
    assert at.get("run/artifacts/1/1/value") == "1" and at.get("run/blocks/0001-0003-1-01.1-r1-f0") == "code"
    assert at.keys("jobs") == ["jobs/0001-0003/claim"] and at.get("run/jobs/0001-0003/claim") == "a:2"


def test_how_the_worker_ended_and_why(at):
    assert at.carrier(command=[sys.executable, "-c", WORK, "4"]).carry() == 3
    assert at.get("run/jobs/0001-0003/message") == "load: it is no use" and at.keys("blocks")


def test_a_full_disk_leaves_a_message_without_words(at):
    command = [sys.executable, "-c", "import os; open(os.environ['ROOT'] + '/message', 'w').close(); os._exit(1)"]
    assert at.carrier(command=command).carry() == 1
    assert at.get("run/jobs/0001-0003/message") == "disk: it is full"


def test_a_killed_worker_has_the_code_of_the_signal(at):
    assert at.carrier(command=["sh", "-c", "kill -9 $$"]).carry() == 137


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"command": ["no-such-program"]}, "the image can't run no-such-program: No such file"),
        ({"inputs": {"x": "s3://{bucket}/nothing/"}}, "there is nothing at s3://{bucket}/nothing/"),
        ({"inputs": {"x": "s3://{bucket}/nothing"}}, "s3://{bucket}/nothing can't be read: 404 NoSuchKey"),
        ({"inputs": {"x": "s3://{bucket}/bad/"}}, "s3://{bucket}/bad/../../code/worker.py is no file's name"),
        ({"inputs": {"x": "s3://{bucket}/both/"}}, "can't be written: "),
        ({"jobs": "s3://{bucket}/run/plan/2/jobs"}, "s3://{bucket}/run/plan/2/jobs can't be read: 404"),
        ({"run": "s3://{bucket}/other"}, "there is nothing at s3://{bucket}/other/code/"),
    ],
)  # fmt: skip
def test_what_can_not_be_brought_is_said(at, capfd, given, said):
    at.put("bad/../../code/worker.py", "a stranger's")
    at.put("both/a", "a file")
    at.put("both/a/b", "below it")
    given = json.loads(json.dumps(given).replace("{bucket}", at.bucket))
    assert at.carrier(**given).carry() == 1
    said = said.replace("{bucket}", at.bucket)
    run = given.get("run", "/run").rpartition("/")[2]
    message = at.get(f"{run}/jobs/0001-0003/message")
    assert said in capfd.readouterr().out and said in message.partition(": ")[2]  # after its kind
    assert not at.keys("blocks")


def test_a_part_of_a_plan_is_computed_by_one_job_only(at, monkeypatch, capfd):
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "b:2")
    assert at.carrier().carry() == 0 and at.keys("blocks")
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "a:2")
    assert at.carrier(command=["no-such-program"]).carry() == 0
    assert "does nothing: an earlier submission computes it" in capfd.readouterr().out
    assert (at.root / "carried").read_text() == "0"  # for the container beside it
    # one whose answer was lost, or of an earlier attempt, is its own
    at.put("run/jobs/0001-0003/claim", "a:2")
    assert at.carrier().claim()


def test_nothing_of_a_cancelled_plan_is_computed(at, capfd):
    at.put("run/plan/0001/cancelled", "")
    assert at.carrier(command=["no-such-program"]).carry() == 0
    assert "its plan was cancelled" in capfd.readouterr().out and not at.keys("jobs")


def test_a_later_attempt_has_the_blocks_of_earlier_ones(at, monkeypatch):
    for name in ("0001-0003-1-01.1-r1-f0", "0001-0003-1-02.1-r1-f0", "0001-0004-1-01.1-r1-f0"):
        at.put(f"run/blocks/{name}", name)
    one = at.carrier()
    one.root = str(at.root)
    one.bring()
    assert not [*(at.root / "done").iterdir()]
    monkeypatch.setenv("AWS_BATCH_JOB_ATTEMPT", "2")
    assert at.carrier().carry() == 0
    done = {path.name: path.read_text() for path in (at.root / "done").iterdir()}
    assert done == {name: name for name in ("0001-0003-1-01.1-r1-f0", "0001-0003-1-02.1-r1-f0")}
    assert at.get("run/artifacts/1/1/value") == "2"


@pytest.fixture
def sending(at):
    """A carrier whose worker writes."""
    one = at.carrier()
    at.root.mkdir()
    one.root = str(at.root)
    for name in ("artifacts/1/1", "blocks"):
        (at.root / name).mkdir(parents=True)
    return one


def test_a_block_is_sent_after_its_artifacts(at, sending, monkeypatch):
    """Also if both are written while it looks for what is new."""
    look = sending.new

    def new(name):
        yield from look(name)
        if name == "blocks" and not (at.root / "blocks/2").exists():
            (at.root / "artifacts/1/1/late").write_text("2")
            (at.root / "blocks/2").write_text("2")

    monkeypatch.setattr(sending, "new", new)
    (at.root / "blocks/1").write_text("1")
    sending.send()
    assert at.keys("blocks") == ["blocks/1"] and at.keys("artifacts") == ["artifacts/1/1/late"]
    sending.send()
    assert at.keys("blocks") == ["blocks/1", "blocks/2"]


def test_no_block_is_sent_without_its_artifacts(at, sending, monkeypatch):
    (at.root / "artifacts/1/1/value").write_text("1")
    (at.root / "blocks/1").write_text("1")
    put = sending.put
    refused = [True]

    def now(path):
        if "artifacts" in path and refused:
            raise Failed("it can't be sent")
        put(path)

    monkeypatch.setattr(sending, "put", now)
    with pytest.raises(Failed):
        sending.send()
    assert not at.keys("blocks")
    refused.clear()
    sending.send()
    assert at.keys("blocks") and at.keys("artifacts")


def test_only_what_is_new_or_has_changed_is_sent(at, sending, monkeypatch):
    sent = []
    put = sending.put
    monkeypatch.setattr(sending, "put", lambda path: (sent.append(os.path.basename(path)), put(path)))
    (at.root / "blocks/empty").write_text("")
    (at.root / "artifacts/1/1/grows").write_text("1")
    sending.send()
    sending.send()
    (at.root / "artifacts/1/1/grows").write_text("12")
    sending.send()
    assert sent == ["grows", "empty", "grows"]
    assert at.get("run/blocks/empty") == "" and at.get("run/artifacts/1/1/grows") == "12"


def test_no_link_is_followed(at, sending, tmp_path, capfd):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/value").write_text("secret")
    folder = at.root / "artifacts/1"
    (folder / "file").symlink_to(tmp_path / "secret/value")
    (folder / "folder").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "fifo")
    (folder / "line\nbreak").write_text("1")
    (folder / ("long" * 60)).mkdir()
    deep = folder.joinpath(*["long" * 60] * 5)
    deep.mkdir(parents=True, exist_ok=True)
    (deep / "file").write_text("1")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_text("1")
    for _ in range(2):
        sending.send()
    assert at.keys("artifacts") == ["artifacts/1/\\xff"]
    said = capfd.readouterr().out.splitlines()
    assert len(said) == 5 and all(" is left out: " in line for line in said)
    # what becomes a link after it was found
    sending.put(str(folder / "folder/value"))
    with pytest.raises(Failed, match="can't be read"):
        sending.put(str(folder / "file"))
    assert at.keys("artifacts") == ["artifacts/1/\\xff"]


def test_messages_are_no_links_either(at, sending, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (at.root / "message").symlink_to(tmp_path / "secret")
    sending.leave_message()
    assert not at.keys("jobs")


def test_what_is_sent_is_encrypted_with_the_runs_key(at):
    carrier = at.carrier(kms_key=KEY, command=[sys.executable, "-c", WORK, "4"])
    assert carrier.carry() == 3
    sent = [*at.keys("blocks"), *at.keys("artifacts"), "jobs/0001-0003/claim", "jobs/0001-0003/message"]
    for key in sent:
        found = at.s3.head_object(Bucket=at.bucket, Key=f"run/{key}")
        assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", KEY), key
    assert len(sent) == 4


def test_large_files_go_in_parts(at, sending, monkeypatch):
    monkeypatch.setattr(module, "MOST_AT_ONCE", 10)
    (at.root / "blocks/1").write_text("01234567890123456789")
    sending.encryption = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": KEY}
    sending.send()
    found = at.s3.get_object(Bucket=at.bucket, Key="run/blocks/1")
    assert found["Body"].read() == b"01234567890123456789" and found["ETag"].endswith('-1"')
    assert found["SSEKMSKeyId"] == KEY


def test_at_the_end_of_a_job_the_worker_writes_what_it_has(at):
    with at.start(command=[sys.executable, "-c", WORK, "0"]) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143  # the service must not take it for a success
    assert at.get("run/blocks/0001-0003-1-01.2-r1-f0") == "True" and len(at.keys("blocks")) == 2


def test_a_job_that_ends_before_it_has_begun_ends_at_once(at, monkeypatch):
    """A service that does not answer: nobody waits for it."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with at.start() as process:
            silent.accept()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 143


# ---- beside another container ----


@pytest.fixture
def beside(at, monkeypatch):
    """Starts the program of the container beside the carrier, here."""
    monkeypatch.setattr(contract, "BESIDE", contract.BESIDE.replace(contract.ROOT, str(at.root)))
    started = []
    at.root.mkdir()

    def start(*command: str) -> subprocess.Popen:
        started.append(
            subprocess.Popen(
                contract.beside_command([*command]), stdout=subprocess.PIPE, text=True, start_new_session=True
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()


@pytest.mark.parametrize("ends", [1, 4])
def test_a_container_beside_it_works(at, beside, ends):
    worker = beside(sys.executable, "-c", WORK, str(ends))
    assert at.carrier(command=[]).carry() == ends - 1
    assert worker.wait(20) == ends - 1
    assert at.get("run/artifacts/1/1/value") == "1" and at.keys("blocks")
    assert bool(at.keys("jobs/0001-0003/message")) == (ends > 1)


def test_a_container_beside_it_has_nothing_to_do(at, beside):
    at.put("run/jobs/0001-0003/claim", "another")
    worker = beside("sh", "-c", "exit 9")
    assert at.carrier(command=[]).carry() == 0 and worker.wait(20) == 0


@pytest.mark.parametrize("signalled", ["both", "the carrier only", "the worker only"])
def test_a_container_beside_it_writes_what_it_has(at, beside, signalled):
    worker = beside(sys.executable, "-c", WORK, "0")
    with at.start(command=[]) as process:
        assert worker.stdout.readline() == "ready\n"
        if signalled != "the carrier only":
            worker.terminate()
        if signalled != "the worker only":
            process.terminate()
        assert process.wait(30) == (0 if signalled == "the worker only" else 143)
    assert worker.wait(20) == 0
    assert at.get("run/blocks/0001-0003-1-01.2-r1-f0") == "True"


def test_a_container_beside_it_ends_before_it_has_begun(at, beside):
    worker = beside("sh", "-c", "exit 9")
    time.sleep(0.5)
    worker.terminate()
    assert worker.wait(20) == 143


def test_a_container_beside_it_that_was_killed_is_noticed(at, beside, monkeypatch, capfd):
    monkeypatch.setattr(module, "SILENT_SECONDS", 3)
    worker = beside(sys.executable, "-c", WORK, "0")
    threading.Thread(target=lambda: (worker.stdout.readline(), os.killpg(worker.pid, signal.SIGKILL))).start()
    assert at.carrier(command=[]).carry() == 137
    assert "was killed" in capfd.readouterr().out and at.keys("blocks")


def test_a_container_beside_it_that_does_not_start_is_noticed(at, monkeypatch):
    monkeypatch.setattr(module, "STARTS_SECONDS", 1)
    assert at.carrier(command=[]).carry() == 1
    assert "has not started" in at.get("run/jobs/0001-0003/message")
