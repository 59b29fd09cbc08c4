"""Requests to the emulator that no client of AWS's would send, signed as botocore signs; and its refusals."""

import datetime
import hashlib
import http.client
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def keys(emulator) -> Credentials:
    return Credentials(emulator.environment["AWS_ACCESS_KEY_ID"], emulator.environment["AWS_SECRET_ACCESS_KEY"])


def signed(emulator, service, method="GET", path="/", body=b"", headers=None, payload=None, at=None, credentials=None):
    """The headers of a request, as botocore signs it. payload: what is said of S3's body. at: when it was signed."""
    request = AWSRequest(method, emulator.url + path, {"Host": urlsplit(emulator.url).netloc, **(headers or {})}, body)
    at = at or datetime.datetime.now(datetime.timezone.utc)
    request.context["timestamp"] = request.headers["X-Amz-Date"] = at.strftime("%Y%m%dT%H%M%SZ")
    credentials = credentials or keys(emulator)
    if credentials.token:
        request.headers["X-Amz-Security-Token"] = credentials.token
    auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials, service, "us-east-1")
    if service == "s3":
        request.headers["X-Amz-Content-SHA256"] = payload or hashlib.sha256(body).hexdigest()
    auth._inject_signature_to_request(
        request, auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    )
    return dict(request.headers.items())


def send(emulator, method, path, headers, body=b"") -> tuple[int, str]:
    """Status and body of the answer."""
    connection = http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=30)
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def refused(code: str, words: str):
    """What a client's call is under that the emulator refuses with a code, in these words."""
    return pytest.raises(ClientError, match=rf"(?s)\({code}\).*{words}")
