"""What the carrier does before and beside an image that is the program."""

import json
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import boto3
import pytest
from simferry.worker import carrier as module
from simferry.worker.image_carrier import IDLE, ImageCarrier

REQUEST = {"hyperparameters": {"gain": "2"}, "inputdataconfig": {"d": {}}, "resourceconfig": {"hosts": ["algo-1"]}}


class Place:
    """A run in the emulator's S3, the shared volume, and a volume of the carrier's own."""

    def __init__(self, bucket, folder):
        self.s3, self.bucket, self.root, self.own = boto3.client("s3"), bucket, folder / "ml", folder / "own"
        self.own.mkdir()
        self.put("run/jobs/0001-0003/request", json.dumps(REQUEST))
        self.put("data/a", "1")

    def put(self, key, text):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())

    def get(self, key):
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def keys(self, prefix):
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"run/{prefix}")
        return [one["Key"].removeprefix("run/") for one in listed.get("Contents", [])]

    def packed(self, name):
        with tarfile.open(fileobj=BytesIO(self.get(f"run/archives/x-0001-0003/output/{name}.tar.gz"))) as archive:
            return {one.name: archive.extractfile(one).read().decode() for one in archive}

    def ended(self):
        told = json.loads(self.get("run/archives/x-0001-0003/ended"))
        assert told.pop("seconds") >= 0
        return told

    def carrier(self):
        bucket = f"s3://{self.bucket}"
        carried = {
            "run": f"{bucket}/run", "plan": "0001", "number": "0003", "name": "x-0001-0003", "region": "us-east-1",
            "inputs": {"d": f"{bucket}/data/"},
        }  # fmt: skip
        return ImageCarrier(carried, str(self.root), str(self.own))

    def begin(self):
        one = self.carrier()
        one.carried_out = lambda: one.begin("print('its text')")
        before = os.umask(0o22)
        try:
            return one.carry()
        finally:
            os.umask(before)

    def follow(self):
        one = self.carrier()
        one.carried_out = one.follow
        return one.carry()


@pytest.fixture
def at(emulator, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "EACH_SECONDS", 0.1)
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)  # of this process
    for name, value in {"JOB_ID": "a", "JOB_ATTEMPT": "1"}.items():
        monkeypatch.setenv(f"AWS_BATCH_{name}", value)
    return Place(emulator.bucket, tmp_path)


@pytest.fixture
def ecs(monkeypatch):
    """Says how the image's container is: by a function that is called for each answer."""
    says = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/v4/x/task"
            content = json.dumps(
                {"Containers": [{"Name": "bring", "KnownStatus": "STOPPED", "ExitCode": 0}, says[0]()]}
            ).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ECS_CONTAINER_METADATA_URI_V4", f"http://127.0.0.1:{server.server_port}/v4/x")
    yield says.append
    server.shutdown()
    server.server_close()


def stopped(code):
    return {"Name": "work", "KnownStatus": "STOPPED", "ExitCode": code}


def test_what_a_training_job_finds_is_there_for_any_user(at):
    at.put("run/restarts/0001-0003/deep/state", "half")
    assert at.begin() == 0
    found = {str(path.relative_to(at.root)): path.read_text() for path in at.root.rglob("*") if path.is_file()}
    assert {name: json.loads(text) for name, text in found.items() if name.endswith(".json")} == {
        f"input/config/{name}.json": content for name, content in REQUEST.items()
    }
    assert found["input/data/d/a"] == "1" and found["checkpoints/deep/state"] == "half"
    for folder in ("model", "output/data", "output", "checkpoints", "."):
        assert (at.root / folder).stat().st_mode & 0o777 == 0o777
    assert (at.own / "carrier.py").read_text() == "print('its text')" and at.keys("jobs/0001-0003/claim")


def test_a_job_that_another_submission_computes_is_not_begun(at):
    at.put("run/jobs/0001-0003/claim", "b")
    assert at.begin() == IDLE and not [*at.root.iterdir()]


def test_checkpoints_are_sent_as_they_grow_and_archives_at_the_end(at, ecs):
    assert at.begin() == 0

    def answer():
        if at.keys("restarts/0001-0003/"):
            return stopped(0)
        (at.root / "checkpoints/state").write_text("half")
        return {"Name": "work", "KnownStatus": "RUNNING"}

    ecs(answer)
    (at.root / "model/deep").mkdir()
    (at.root / "model/deep/m").write_text("model")
    (at.root / "output/data/r.csv").write_text("x")
    (at.root / "output/data/link").symlink_to("/etc/passwd")
    (at.root / "output/data/folder").symlink_to("/etc")
    assert at.follow() == 0
    assert at.get("run/restarts/0001-0003/state") == b"half"
    assert (at.packed("model"), at.packed("output")) == ({"deep/m": "model"}, {"r.csv": "x"})
    assert at.ended() == {"code": 0, "failure": {}, "attempt": 1, "stopped": False}


@pytest.mark.parametrize(
    ("make", "code", "failure", "ends"),
    [
        (lambda out: (out / "failure").write_text("no licence"), 4, {"name": "failure", "text": "no licence"}, 4),
        (lambda out: (out / "failure.txt").write_text("so"), 0, {"name": "failure.txt", "text": "so"}, 1),
        (lambda out: ((out / "failure").mkdir(), (out / "failure/w").write_text("why")), 0, {"name": "failure", "inside": ["why"]}, 1),
        (lambda out: (out / "failure").symlink_to("/etc/passwd"), 0, {"name": "failure"}, 1),
        (lambda out: None, 3, {}, 3),
    ],
)  # fmt: skip
def test_what_the_program_says_of_its_failure(at, ecs, make, code, failure, ends):
    at.begin()
    make(at.root / "output")
    ecs(lambda: stopped(code))
    assert at.follow() == ends  # so that the service calls it failed, too
    assert at.ended() == {"code": code, "failure": failure, "attempt": 1, "stopped": False}
    assert at.keys("archives/x-0001-0003/output/") == ["archives/x-0001-0003/output/output.tar.gz"]


def test_a_job_that_is_to_end_waits_for_the_program(at, ecs):
    at.begin()
    one = at.carrier()
    one.carried_out = one.follow

    def answer():
        if one.stopped:
            (at.root / "model/last").write_text("words")
            return stopped(143)
        one.stop()
        return {"Name": "work", "KnownStatus": "RUNNING"}

    ecs(answer)
    assert one.carry() == 143
    assert at.packed("model") == {"last": "words"} and at.ended()["stopped"]


def test_what_can_not_be_brought_is_said(at):
    at.s3.delete_object(Bucket=at.bucket, Key="run/jobs/0001-0003/request")
    assert at.begin() == 1
    assert at.get("run/jobs/0001-0003/message").startswith(b"worker: the job's request can't be read: 404")
