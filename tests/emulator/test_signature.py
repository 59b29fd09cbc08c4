"""Who may ask the emulator: no request without one of its keys does anything, and what was signed is what is done."""

import base64
import datetime
import hashlib
import http.client
import json
import os
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
import zlib
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from emulator_requests import FORM, keys, send, signed
from simferry.aws import session
from simferry.emulator import signature

EMPTY = hashlib.sha256(b"").hexdigest()


# ---- strangers ----

# method, path, headers, body: what would do something, were it answered
HELLO = (
    '{"jobDefinitionName": "root", "type": "container", "containerProperties": {"image": "simferry-r", "vcpus": 1, '
    '"memory": 128, "volumes": [{"name": "host", "host": {"sourcePath": "/"}}]}}'
)
ASKED = [
    ("GET", "/", {}, ""),
    ("GET", "/BUCKET?list-type=2", {}, ""),
    ("GET", "/BUCKET/kept", {}, ""),
    ("PUT", "/BUCKET/new", {}, "x"),
    ("PUT", "/BUCKET/kept", {"x-amz-copy-source": "/BUCKET/kept", "x-amz-metadata-directive": "REPLACE"}, ""),
    ("DELETE", "/BUCKET/kept", {}, ""),
    ("POST", "/BUCKET?delete", {}, "<Delete><Object><Key>kept</Key></Object></Delete>"),
    ("POST", "/BUCKET", {"Content-Type": "multipart/form-data; boundary=b"},
     '--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nnew\r\n'
     '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n'),
    ("PUT", "/stranger", {}, ""),
    ("POST", "/", FORM, "Action=CreateUser&UserName=stranger&Version=2010-05-08"),
    ("POST", "/", FORM, "Action=AssumeRole&RoleArn=arn:aws:iam::123456789012:role/simferry&RoleSessionName=x&Version=2011-06-15"),
    ("POST", "/", FORM, "Action=AssumeRoleWithWebIdentity&RoleArn=arn:aws:iam::123456789012:role/simferry"),
    ("POST", "/", {"X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.CreateRepository"}, '{"repositoryName": "stranger"}'),
    ("POST", "/", {"X-Amz-Target": "Logs_20140328.CreateLogGroup"}, '{"logGroupName": "stranger"}'),
    ("POST", "/", {"X-Amz-Target": "SageMaker.CreateProcessingJob"}, '{"ProcessingJobName": "stranger"}'),
    ("POST", "/", {"X-Amz-Target": "SageMaker.CreateTrainingJob"}, '{"TrainingJobName": "stranger"}'),
    ("POST", "/v1/registerjobdefinition", {}, HELLO),
    ("POST", "/v1/submitjob", {}, '{"jobName": "root", "jobDefinition": "root", "jobQueue": "q"}'),
    ("POST", "/2015-03-31/functions", {}, "{}"),
    ("POST", "/moto-api/reset", {}, ""),
    ("POST", "/moto-api/recorder/start-recording", {}, ""),
    ("POST", "/moto-api/config", {}, "{}"),
    ("POST", "/moto-api/seed?a=1", {}, ""),
    ("GET", "/moto-api/data.json", {}, ""),
    ("GET", "/moto-api/", {}, ""),
    ("GET", "/moto-api/static/index.js", {}, ""),
    ("GET", "/latest/meta-data/iam/security-credentials/", {}, ""),
    ("OPTIONS", "/BUCKET/kept", {"Access-Control-Request-Method": "PUT"}, ""),
]  # fmt: skip
# signatures that a stranger could write
FORGED = {
    "unsigned": {},
    "signed with no key": {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/DAY/us-east-1/SERVICE/aws4_request, "
                           "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64},
    "signed with a key that is there": {"Authorization": "AWS4-HMAC-SHA256 Credential=KEY/DAY/us-east-1/SERVICE/aws4_request, "
                                        "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64},
    "in version 2": {"Authorization": "AWS KEY:c2lnbmF0dXJl"},
}  # fmt: skip
STRANGER = """
import encodings.idna, http.client, json, os, pwd, sys
if os.geteuid() == 0:
    os.setgroups([])
    nobody = pwd.getpwnam("nobody")
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
for method, path, headers, body in json.load(sys.stdin):
    connection = http.client.HTTPConnection(sys.argv[1], timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    print(json.dumps([answer.status, answer.read().decode()]))
"""


def as_nobody(emulator, requests) -> list[tuple[int, str]]:
    """The answers that the user nobody gets; or, where only root could become nobody, somebody who has no key."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, urlsplit(emulator.url).netloc],
        input=json.dumps(requests), capture_output=True, text=True, cwd="/", env={}, check=True,
    )  # fmt: skip
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def state(emulator) -> list:
    s3, iam, ecr, logs, sagemaker = (boto3.client(name) for name in ("s3", "iam", "ecr", "logs", "sagemaker"))
    kept = s3.get_object(Bucket=emulator.bucket, Key="kept")
    return [
        [one["Name"] for one in s3.list_buckets()["Buckets"]],
        [one["Key"] for one in s3.list_objects_v2(Bucket=emulator.bucket)["Contents"]],
        (kept["Body"].read(), kept["Metadata"], kept["LastModified"]),
        iam.list_users()["Users"], iam.list_roles()["Roles"], ecr.describe_repositories()["repositories"],
        logs.describe_log_groups()["logGroups"], sagemaker.list_processing_jobs()["ProcessingJobSummaries"],
    ]  # fmt: skip


def test_a_stranger_can_do_nothing(emulator):
    boto3.client("s3").put_object(Bucket=emulator.bucket, Key="kept", Body=b"mine", Metadata={"a": "b"})
    before, asked = state(emulator), emulator.requests.copy()
    now = f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%SZ}"
    values = {"KEY": keys(emulator).access_key, "DAY": now[:8], "BUCKET": emulator.bucket}
    requests = []
    for method, path, headers, body in ASKED:
        for forged in FORGED.values():
            for service in ("s3", "batch") if "Authorization" in forged else ("",):
                filled = json.dumps([method, path, {**headers, **forged, "X-Amz-Date": now}, body])
                for name, value in {**values, "SERVICE": service}.items():
                    filled = filled.replace(name, value)
                requests.append(json.loads(filled))
    for request, (status, answer) in zip(requests, as_nobody(emulator, requests), strict=True):
        assert status in (400, 403) and keys(emulator).secret_key not in answer, (request, answer)
    assert emulator.requests == asked
    assert state(emulator) == before


def test_nothing_tells_the_secret(tmp_path):
    """Another user sees command lines, and files that all may read."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simferry", "emulator", "--port", "0", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    try:
        said = json.loads(process.stdout.readline())
        secret = said["environment"]["AWS_SECRET_ACCESS_KEY"]
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{said['url']}/{said['bucket']}")
        assert secret not in Path(f"/proc/{process.pid}/cmdline").read_text()
        assert Path(f"/proc/{process.pid}/environ").stat().st_mode & 0o077 == 0
        (folder,) = tmp_path.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        texts = [path.read_text() for path in folder.rglob("*") if path.is_file()]
        assert texts and all(secret not in text for text in texts)
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert secret not in out + err


def test_keys_are_drawn_at_each_start(emulate):
    drawn = [emulate().environment for _ in range(2)]
    assert len({one["AWS_SECRET_ACCESS_KEY"] for one in drawn}) == len({one["AWS_ACCESS_KEY_ID"] for one in drawn}) == 2


def test_the_keys_of_an_emulator_that_has_ended(emulate, monkeypatch):
    old = emulate().environment
    emulate()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, old[name])
    with pytest.raises(session.CredentialsError, match="the emulator does not accept these credentials") as caught:
        session.account()
    assert "set the variables that it printed" in caught.value.hint


# ---- what is checked ----


def clients(emulator, **given):
    return {name: boto3.client(name, **given) for name in ("s3", "sts", "sagemaker")}


ASK = {"s3": "list_buckets", "sts": "get_caller_identity", "sagemaker": "list_processing_jobs"}


def refusals(made) -> list[str]:
    out = []
    for name, client in made.items():
        with pytest.raises(ClientError) as caught:
            getattr(client, ASK[name])()
        out.append(caught.value.response["Error"]["Code"])
    return out


def test_each_service_refuses_in_its_own_words(emulator):
    secret = keys(emulator).secret_key
    wrong = dict(aws_access_key_id=keys(emulator).access_key, aws_secret_access_key=secret[::-1])
    nobodys = dict(aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key=secret)
    assert refusals(clients(emulator, **wrong)) == [
        "SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException",
    ]  # fmt: skip
    assert refusals(clients(emulator, **nobodys)) == [
        "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException",
    ]  # fmt: skip
    unsigned = Config(signature_version=UNSIGNED)
    assert refusals(clients(emulator, config=unsigned)) == [
        "AccessDenied", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    ]  # fmt: skip


@pytest.mark.parametrize(("minutes", "status"), [(-16, 403), (-14, 200), (14, 200), (16, 403)])
def test_a_signature_holds_for_a_quarter_of_an_hour(emulator, minutes, status):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    answered, said = send(emulator, "GET", "/", signed(emulator, "s3", at=at))
    assert answered == status and ("RequestTimeTooSkewed" in said) == (status == 403)


def test_what_was_changed_after_it_was_signed(emulator):
    place = f"/{emulator.bucket}/a"
    headers = signed(emulator, "s3", "PUT", place, b"mine")
    assert send(emulator, "PUT", place, headers, b"mine")[0] == 200
    for method, path, changed, body, code in [
        ("PUT", place, headers, b"his!", "XAmzContentSHA256Mismatch"),
        ("DELETE", place, headers, b"", "SignatureDoesNotMatch"),
        ("PUT", f"{place}b", headers, b"mine", "SignatureDoesNotMatch"),
        ("PUT", f"{place}?acl", headers, b"mine", "SignatureDoesNotMatch"),
        ("PUT", place, {**headers, "X-Amz-Date": headers["X-Amz-Date"][:-7] + "000000Z"}, b"mine", ""),
        ("PUT", place, {**headers, "Host": "localhost:1"}, b"mine", "SignatureDoesNotMatch"),
        ("PUT", place, {**headers, "x-amz-acl": "public-read"}, b"mine", "not signed: x-amz-acl"),
        ("PUT", place, {**headers, "x-amz-copy-source": "/lab/secret"}, b"mine", "not signed: x-amz-copy-source"),
    ]:
        status, said = send(emulator, method, path, changed, body)
        assert status in (400, 403) and code in said, (method, path, said)
    form = b"Action=ListUsers&Version=2010-05-08"
    headers = signed(emulator, "iam", "POST", "/", form, FORM)
    assert send(emulator, "POST", "/", headers, form)[0] == 200
    other = form.replace(b"ListUsers", b"ListRoles")
    assert "SignatureDoesNotMatch" in send(emulator, "POST", "/", headers, other)[1]
    stored = boto3.client("s3").get_object(Bucket=emulator.bucket, Key="a")
    assert stored["Body"].read() == b"mine"


def test_a_body_that_is_cut_off_is_not_stored(emulator):
    place = f"/{emulator.bucket}/a"
    headers = {**signed(emulator, "s3", "PUT", place, payload="UNSIGNED-PAYLOAD"), "Content-Length": "10"}
    connection = http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=30)
    connection.putrequest("PUT", place, skip_host=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(b"1234")
    connection.sock.shutdown(1)
    assert "IncompleteBody" in connection.getresponse().read().decode()
    assert boto3.client("s3").list_objects_v2(Bucket=emulator.bucket)["KeyCount"] == 0


def test_keys_of_a_role(emulator, monkeypatch):
    got = boto3.client("sts").assume_role(RoleArn=emulator.role, RoleSessionName="me", DurationSeconds=900)[
        "Credentials"
    ]
    role = dict(
        aws_access_key_id=got["AccessKeyId"], aws_secret_access_key=got["SecretAccessKey"], aws_session_token=got["SessionToken"]
    )  # fmt: skip
    me = boto3.client("sts", **role).get_caller_identity()["Arn"]
    assert me == "arn:aws:sts::123456789012:assumed-role/simferry/me"
    for token in (None, "another"):
        assert refusals(clients(emulator, **{**role, "aws_session_token": token})) == [
            "InvalidToken", "InvalidClientTokenId", "UnrecognizedClientException",
        ]  # fmt: skip
    late = got["Expiration"].timestamp() + 1
    monkeypatch.setattr(signature, "time", lambda: late)
    at = datetime.datetime.fromtimestamp(late, datetime.timezone.utc)
    credentials = Credentials(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    assert "ExpiredToken" in send(emulator, "GET", "/", signed(emulator, "s3", at=at, credentials=credentials))[1]


def test_keys_that_users_were_given(emulator):
    iam = boto3.client("iam")
    iam.create_user(UserName="other")
    made = iam.create_access_key(UserName="other")["AccessKey"]
    given = dict(aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"])
    sts = boto3.client("sts", **given)
    assert sts.get_caller_identity()["Arn"].endswith(":user/other")
    iam.update_access_key(UserName="other", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        sts.get_caller_identity()
    iam.update_access_key(UserName="other", AccessKeyId=made["AccessKeyId"], Status="Active")
    assert sts.get_caller_identity()["Arn"].endswith(":user/other")
    iam.delete_access_key(UserName="other", AccessKeyId=made["AccessKeyId"])
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        sts.get_caller_identity()


# ---- presigned URLs ----


def test_presigned_urls(emulator, monkeypatch):
    s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
    where = {"Bucket": emulator.bucket, "Key": "a b+ä"}
    put = s3.generate_presigned_url("put_object", where, ExpiresIn=60)
    urllib.request.urlopen(urllib.request.Request(put, b"mine", method="PUT")).close()
    get = s3.generate_presigned_url("get_object", where, ExpiresIn=60)
    assert urllib.request.urlopen(get).read() == b"mine"

    def said(url, method="GET", headers=None):
        parts = urlsplit(url)
        return send(emulator, method, f"{parts.path}?{parts.query}", headers or {})[1]

    assert "SignatureDoesNotMatch" in said(get, "DELETE")
    assert "SignatureDoesNotMatch" in said(get.replace("X-Amz-Expires=60", "X-Amz-Expires=600"))
    assert "not signed: x-amz-copy-source" in said(put, "PUT", {"x-amz-copy-source": f"/{emulator.bucket}/other"})
    assert "not supported. Please use AWS4" in said(
        boto3.client("s3", config=Config(signature_version="s3")).generate_presigned_url("get_object", where)
    )
    now = signature.time()
    with monkeypatch.context() as later:
        later.setattr(signature, "time", lambda: now + 61)
        assert "Request has expired" in said(get)
    identity = boto3.client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    assert b"user/simferry-user" in urllib.request.urlopen(identity).read()


# ---- bodies in chunks ----


def in_chunks(emulator, pieces, headers, mode, trailer="", spoil=lambda framed: framed):
    """PUT a body in chunks, signed by AWS's rule where the mode says so; returns the answer's status and body."""
    place = f"/{emulator.bucket}/chunked"
    whole = b"".join(pieces)
    said = {"x-amz-decoded-content-length": str(len(whole)), "Content-Encoding": "aws-chunked", **headers}
    said = signed(emulator, "s3", "PUT", place, headers=said, payload=mode)
    stamp, before = said["X-Amz-Date"], said["Authorization"].rpartition("=")[2]
    auth = SigV4Auth(keys(emulator), "s3", "us-east-1")
    request = AWSRequest()
    request.context["timestamp"] = stamp

    def sign(kind, *parts):
        return auth.signature(
            "\n".join([f"AWS4-HMAC-SHA256-{kind}", stamp, auth.credential_scope(request), *parts]), request
        )

    framed = b""
    for piece in [*pieces, b""]:
        line = f"{len(piece):x}"
        if mode.startswith("STREAMING-AWS4"):
            before = sign("PAYLOAD", before, EMPTY, hashlib.sha256(piece).hexdigest())
            line += f";chunk-signature={before}"
        framed += line.encode() + b"\r\n" + piece + (b"\r\n" if piece else b"")
    if trailer:
        framed += f"{trailer}\r\n".encode()
        if mode.startswith("STREAMING-AWS4"):
            last = sign("TRAILER", before, hashlib.sha256(f"{trailer}\n".encode()).hexdigest())
            framed += f"x-amz-trailer-signature:{last}\r\n".encode()
    return send(emulator, "PUT", place, said, spoil(framed + b"\r\n"))


PIECES = [b"a" * 8192, b"\r\n0\r\n", b"b" * 10]
CRC = f"x-amz-checksum-crc32:{base64.b64encode(zlib.crc32(b''.join(PIECES)).to_bytes(4, 'big')).decode()}"
CUT, SHORTER = (lambda framed: framed[:-20]), (lambda framed: framed.replace(b"\r\na", b"\r\n", 1))
CHANGED, OTHER_SUM = (
    (lambda framed: framed.replace(b"bb", b"cc", 1)),
    (lambda framed: framed.replace(b"crc32:", b"crc32:A")),
)
MODES = {
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": ("", [CUT, SHORTER, CHANGED]),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": (CRC, [CUT, SHORTER, CHANGED, OTHER_SUM]),
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": (CRC, [CUT, SHORTER, CHANGED, OTHER_SUM]),
}


@pytest.mark.parametrize("mode", MODES)
def test_bodies_in_chunks(emulator, mode):
    trailer, spoiled = MODES[mode]
    headers = {"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm": "CRC32"} if trailer else {}
    assert in_chunks(emulator, PIECES, headers, mode, trailer) == (200, "")
    for spoil in spoiled:
        status, said = in_chunks(emulator, PIECES, headers, mode, trailer, spoil)
        assert status in (400, 403) and any(
            code in said for code in ("IncompleteBody", "SignatureDoesNotMatch", "BadDigest")
        )
    stored = boto3.client("s3").get_object(Bucket=emulator.bucket, Key="chunked")
    assert stored["Body"].read() == b"".join(PIECES) and "aws-chunked" not in stored.get("ContentEncoding", "")


def test_names_and_metadata_of_any_kind(emulator):
    """Signed, understood and stored as they are."""
    s3 = boto3.client("s3")
    names = [
        "a b+c/é",
        "//x",
        "x//y/../z",
        "?versionId=1&acl",
        "%2F%25",
        "#frag",
        "a=b;c",
        "~-._!*'()",
        "\u2028é/",
        "k&<>\"'\r",
    ]
    for name in names:
        s3.put_object(Bucket=emulator.bucket, Key=name, Body=name.encode(), Metadata={"my_key": "1", "b-c": "2"})
    listed = [one["Key"] for one in s3.list_objects_v2(Bucket=emulator.bucket)["Contents"]]
    assert sorted(listed) == sorted(names)
    for name in names:
        got = s3.get_object(Bucket=emulator.bucket, Key=name)
        assert got["Body"].read() == name.encode() and got["Metadata"] == {"my_key": "1", "b-c": "2"}
        s3.copy_object(Bucket=emulator.bucket, Key=f"copy/{name}", CopySource={"Bucket": emulator.bucket, "Key": name})
        assert s3.get_object(Bucket=emulator.bucket, Key=f"copy/{name}")["Body"].read() == name.encode()
    s3.delete_objects(Bucket=emulator.bucket, Delete={"Objects": [{"Key": name} for name in names]})
    assert {one["Key"] for one in s3.list_objects_v2(Bucket=emulator.bucket)["Contents"]} == {
        f"copy/{n}" for n in names
    }
