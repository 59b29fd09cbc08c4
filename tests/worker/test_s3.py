"""The carrier's requests to S3: signatures, odd names, large files; answers that are none, old credentials, other regions."""

import ast
import datetime
import email.utils
import hashlib
import http.server
import json
import threading
from pathlib import Path

import boto3
import pytest
from simferry.worker import s3 as module
from simferry.worker.s3 import S3, Answer, Failed, Part, Role

ODD = ["a b", "a+b", "100%", "50%25", "ä/ö", "a~b", "a=b&c?d#e", "'q\"", "a/./b", "[x]*", "日本"]


@pytest.fixture
def bucket(emulator):
    return S3(emulator.bucket, "us-east-1", Role())


class Scripted:
    """A service whose answers are given: (status, content, headers), or None for a connection that breaks. The last one stays."""

    def __init__(self, *answers):
        asked, left = [], list(answers)

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                asked.append((self.command, self.path, body, dict(self.headers)))
                now = left.pop(0) if len(left) > 1 else left[0]
                if now is None:
                    return self.connection.close()
                status, content, headers = now
                self.send_response_only(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.asked = asked
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def scripted(monkeypatch):
    """An S3 at a scripted service, whose waits are short."""
    made = []
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    def start(*answers):
        made.append(Scripted(*answers))
        monkeypatch.setenv("AWS_ENDPOINT_URL", made[-1].url)
        return made[-1], S3("bucket", "us-east-1", Role())

    yield start
    for one in made:
        one.server.shutdown()
        one.server.server_close()


def error(code, **more):
    inside = "".join(f"<{name}>{text}</{name}>" for name, text in {"Code": code, "Message": "m", **more}.items())
    return f"<Error>{inside}</Error>".encode()


def test_names_of_all_kinds_are_put_listed_and_fetched(bucket, tmp_path):
    theirs = boto3.client("s3")
    for number, name in enumerate(ODD):
        assert bucket.ask("PUT", f"some/{name}", body=str(number).encode()).status == 200
        assert theirs.get_object(Bucket=bucket.bucket, Key=f"some/{name}")["Body"].read() == str(number).encode()
    assert sorted(bucket.names("some/")) == sorted(f"some/{name}" for name in ODD)
    for number, name in enumerate(ODD):
        assert bucket.ask("GET", f"some/{name}", to=str(tmp_path / "file")).status == 200
        assert (tmp_path / "file").read_text() == str(number)
    assert bucket.ask("GET", "some/other").status == 404


def test_lists_have_pages(bucket):
    theirs = boto3.client("s3")
    for number in range(1003):
        theirs.put_object(Bucket=bucket.bucket, Key=f"many/{number}", Body=b"")
    assert len([*bucket.names("many/")]) == 1003


def test_an_object_is_created_once(bucket):
    once = {"if-none-match": "*"}
    assert [bucket.ask("PUT", "claim", headers=once, body=text).status for text in (b"1", b"2")] == [200, 412]
    assert bucket.ask("GET", "claim").content == b"1"


def test_large_files_are_sent_in_parts(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PART", 5 << 20)
    content = b"0123456789abcdef" * (11 << 16)
    (tmp_path / "large").write_bytes(content)
    theirs = boto3.client("s3")
    with open(tmp_path / "large", "rb") as file:
        assert bucket.send_parts("large", file, len(content), {}).status == 200
        found = theirs.get_object(Bucket=bucket.bucket, Key="large")
        assert hashlib.sha256(found["Body"].read()).digest() == hashlib.sha256(content).digest()
        assert found["ETag"].endswith('-3"')
        monkeypatch.setattr(module, "PART", 1 << 20)  # the service takes no such parts
        assert bucket.send_parts("small parts", file, len(content), {}).status != 200
    assert "Uploads" not in theirs.list_multipart_uploads(Bucket=bucket.bucket)
    assert "small parts" not in [*bucket.names("small")]


def test_what_may_pass_is_asked_again(scripted):
    for first in (None, (503, error("SlowDown"), {}), (500, b"", {}), (409, error("ConditionalRequestConflict"), {}),
                  (400, error("RequestTimeout"), {})):  # fmt: skip
        server, s3 = scripted(first, (200, b"here", {}))
        assert s3.ask("GET", "key").content == b"here" and len(server.asked) == 2
    for last in (
        (404, error("NoSuchKey"), {}),
        (403, error("AccessDenied"), {}),
        (412, error("PreconditionFailed"), {}),
    ):
        server, s3 = scripted(last)
        assert str(s3.ask("GET", "key")).startswith(f"{last[0]} ") and len(server.asked) == 1
    server, s3 = scripted(None)
    assert s3.ask("GET", "key").status == 599 and len(server.asked) == module.ATTEMPTS


def test_a_file_that_is_cut_off_is_fetched_again(scripted, tmp_path):
    server, s3 = scripted((200, b"half", {"Content-Length": "8"}), (200, b"the whole", {}))
    assert s3.ask("GET", "key", to=str(tmp_path / "file")).status == 200
    assert (tmp_path / "file").read_text() == "the whole" and len(server.asked) == 2


def test_a_body_is_sent_again_from_its_beginning(scripted, tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    server, s3 = scripted((503, b"", {}), (200, b"", {}))
    with open(tmp_path / "file", "rb") as file:
        assert s3.ask("PUT", "key", body=Part(file, 2, 5)).status == 200
    assert [body for _, _, body, _ in server.asked] == [b"23456", b"23456"]


def test_a_full_disk_is_no_matter_of_the_network(scripted):
    server, s3 = scripted((200, b"content", {}))
    with pytest.raises(Failed, match="disk: /dev/full can't be written: No space left on device"):
        s3.ask("GET", "key", to="/dev/full")
    assert len(server.asked) == 1


def credentials(name, seconds):
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    given = {"AccessKeyId": name, "SecretAccessKey": "s", "Token": f"{name}-token"}
    return 200, json.dumps({**given, "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}).encode(), {}


def test_the_roles_credentials_are_renewed(scripted, monkeypatch):
    role, _ = scripted(credentials("FIRST", 3600), credentials("SECOND", 3600), credentials("THIRD", 1))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{role.url}/credentials")
    # S3 says it with 400; the answer to the second request is another
    server, s3 = scripted((200, b"", {}), (400, error("ExpiredToken"), {}), (200, b"", {}))
    assert [s3.ask("GET", "key").status for _ in range(2)] == [200, 200]
    used = [headers["authorization"].partition("Credential=")[2].partition("/")[0] for *_, headers in server.asked]
    assert used == ["FIRST", "FIRST", "SECOND"]
    assert [headers["x-amz-security-token"] for *_, headers in server.asked] == [f"{name}-token" for name in used]
    s3.role.forget()
    assert s3.role.keys()[0] == "THIRD" and s3.role.known[0] < module.time.time() + 1  # before they expire
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    with pytest.raises(Failed, match="no credentials"):
        S3("bucket", "us-east-1", Role()).ask("GET", "key")


def test_a_wrong_clock_is_allowed_for(scripted):
    later = email.utils.formatdate(module.time.time() + 7200, usegmt=True)
    server, s3 = scripted((403, error("RequestTimeTooSkewed"), {"Date": later}), (200, b"", {}))
    assert s3.ask("GET", "key").status == 200
    first, second = (
        datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ") for *_, headers in server.asked
    )
    assert abs((second - first).total_seconds() - 7200) < 60


def test_where_buckets_are(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)

    def place(bucket, region):
        made = S3(bucket, region, Role())
        return made.host, made.base

    assert place("runs", "eu-west-1") == ("runs.s3.eu-west-1.amazonaws.com", "")
    assert place("my.runs", "us-east-1") == ("s3.us-east-1.amazonaws.com", "/my.runs")
    assert place("runs", "cn-north-1") == ("runs.s3.cn-north-1.amazonaws.com.cn", "")
    assert place("runs", "us-gov-west-1") == ("runs.s3.us-gov-west-1.amazonaws.com", "")
    moved = S3("runs", "us-east-1", Role())
    for status, content, headers in (
        (301, b"", {"x-amz-bucket-region": "eu-west-1"}),
        (400, error("AuthorizationHeaderMalformed", Region="eu-west-2"), {}),
    ):
        assert moved.is_passing(Answer(status, content, headers))
    assert (moved.region, moved.host) == ("eu-west-2", "runs.s3.eu-west-2.amazonaws.com")


@pytest.mark.parametrize("name", ["s3", "carrier"])
def test_it_is_written_in_python_3_8(name):
    ast.parse(Path(module.__file__).with_name(f"{name}.py").read_text(), feature_version=(3, 8))
