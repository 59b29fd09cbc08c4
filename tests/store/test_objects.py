"""Objects of a store, over HTTP: the usual AWS configuration, and one clear error for each that does not do."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import simferry as sf
from aws_fixtures import forget_clients
from remote_stores import SWEEP, bare, keys
from simferry.errors import SimferryError, StoreError, UsageError
from simferry.store.objects import Objects


def test_put_if_absent_lets_one_through(place):
    objects = Objects(place)
    with ThreadPoolExecutor(20) as threads:
        won = list(threads.map(lambda i: objects.create("one", f"number {i}".encode()), range(20)))
    assert sum(won) == 1 and objects.get("one") == f"number {won.index(True)}".encode()


# ---- the usual AWS configuration ----


def configure(monkeypatch, **environment: str | None) -> None:
    for name, value in environment.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    forget_clients()


@pytest.fixture
def answering(monkeypatch):
    """An AWS that refuses everything: answering(status, code), which returns the headers of the requests that came."""
    servers = []

    def start(status: int, code: str) -> list[dict[str, str]]:
        seen = []

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                seen.append({name.lower(): value for name, value in self.headers.items()})
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                error = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
                if "sts" in self.headers.get("Authorization", ""):
                    error = f"<ErrorResponse>{error}</ErrorResponse>"
                body = b"" if self.command == "HEAD" else error.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = answer

            def log_message(self, *_) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        configure(monkeypatch, AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}", **KEYS)
        return seen

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
    forget_clients()


KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAOFATEST",
    "AWS_SECRET_ACCESS_KEY": "top-secret-key",
    "AWS_SESSION_TOKEN": "top-secret-token",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_PROFILE": None,
    "AWS_CONFIG_FILE": "/no-such-file",
    "AWS_SHARED_CREDENTIALS_FILE": "/no-such-file",
}


def test_a_profile_says_keys_region_and_endpoint(place, s3, emulator, monkeypatch, tmp_path):
    key, secret = (emulator.environment[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    (tmp_path / "credentials").write_text(f"[ferry]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
    (tmp_path / "config").write_text(f"[profile ferry]\nregion = us-east-1\nendpoint_url = {emulator.url}\n")
    configure(
        monkeypatch,
        **dict.fromkeys((*emulator.environment, "AWS_EC2_METADATA_DISABLED")),
        AWS_SHARED_CREDENTIALS_FILE=str(tmp_path / "credentials"),
        AWS_CONFIG_FILE=str(tmp_path / "config"),
        AWS_PROFILE="ferry",
    )
    Objects(place).put("there", b"x")
    assert keys(s3, place) == ["there"]


def test_a_session_token_is_sent_with_every_request(answering):
    seen = answering(403, "AccessDenied")
    with pytest.raises(SimferryError, match="access to bucket bucket is denied"):
        Objects("s3://bucket/x").get("there")
    assert any("object_store" in headers["user-agent"] for headers in seen)
    assert all(headers["x-amz-security-token"] == "top-secret-token" for headers in seen)


def test_objects_are_encrypted_with_the_key_of_the_environment(place, s3, emulator, monkeypatch):
    monkeypatch.setenv("SIMFERRY_KMS_KEY", "alias/ferry")
    objects = Objects(place).below("run")
    objects.put("put", b"x")
    assert objects.create("created", b"x")
    for name in ("put", "created"):
        head = s3.head_object(Bucket=emulator.bucket, Key=f"simferry/run/{name}")
        assert head["ServerSideEncryption"] == "aws:kms" and head["SSEKMSKeyId"].endswith("alias/ferry")


# ---- bad input: one clear error each ----


@pytest.mark.parametrize(
    "status, code, words, way_out",
    [
        (400, "ExpiredToken", "the AWS credentials have expired", "aws sso login"),
        (403, "InvalidClientTokenId", "AWS does not accept these credentials", "aws configure"),
        (403, "AccessDenied", "access to bucket some-bucket is denied", "docs/iam/"),
        (404, "NoSuchBucket", "there is no bucket some-bucket", "aws s3 mb s3://some-bucket"),
    ],
)
def test_credentials_that_do_not_do(answering, machine, script, status, code, words, way_out):
    answering(status, code)
    for use in (
        lambda: Objects("s3://some-bucket/x").listing(),
        lambda: Objects("s3://some-bucket/x").put("y", b""),
        lambda: Objects("s3://some-bucket/x").create("y", b""),
        lambda: sf.open("s3://some-bucket/x/run"),
        lambda: sf.run(script, store="s3://some-bucket/x", **SWEEP),
    ):
        with pytest.raises(SimferryError, match=words) as caught:
            use()
        assert way_out in caught.value.hint and bare(str(caught.value))


@pytest.mark.parametrize(
    "environment, words, way_out",
    [
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "there are no AWS credentials", "aws sso login"),
        ({"AWS_PROFILE": "nobody"}, r"profile \(nobody\) could not be found", "aws configure list"),
        ({"AWS_DEFAULT_REGION": None}, "no AWS region is set", 'os.environ["AWS_DEFAULT_REGION"] = '),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9.* does not answer", "simferry emulator"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "is in us-east-1, and the configured region is eu-west-1", "us-east-1"),
    ],
)
def test_a_configuration_that_does_not_do(place, script, monkeypatch, environment, words, way_out):
    configure(monkeypatch, **environment)
    with pytest.raises(SimferryError, match=words) as caught:
        sf.run(script, store=place, **SWEEP)
    assert way_out in caught.value.hint and bare(str(caught.value))


def test_without_obstore_it_says_what_to_install(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(UsageError, match=r"the package obstore is not installed\npip install 'simferry\[sagemaker\]'"):
        Objects(place).listing()


@pytest.mark.parametrize("address", ["gs://some-bucket/x", "az://some-container/x"])
def test_stores_of_other_services_say_where_credentials_come_from(address, monkeypatch):
    for name in [n for n in os.environ if n.startswith(("AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    with pytest.raises(StoreError, match=rf"{address} can't be read or written") as caught:
        Objects(address).get("there")
    assert "Credentials come from" in caught.value.hint and bare(str(caught.value))
