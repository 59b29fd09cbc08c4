"""Requests to the emulator that no client of AWS's would send, signed as botocore signs; and its refusals."""

import datetime
import hashlib
import http.client
import json
from urllib.parse import urlsplit

import boto3
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


def answered_by(service: str) -> set[str]:
    """Compares every answer of a service, as it is sent from now on, with its shape in botocore's model. Gives the operations that were
    answered; those of boto3's default session."""
    seen: set[str] = set()

    def received(http_response, model, **_):
        if http_response.status_code == 200:
            seen.add(model.name)
            if model.output_shape is not None:
                has_shape(model.output_shape, json.loads(http_response.content), model.name)

    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register(f"after-call.{service}", received)
    return seen


_TYPES = {
    "string": (str,), "integer": (int,), "long": (int,), "boolean": (bool,), "timestamp": (int, float), "float": (float,),
}  # fmt: skip


def has_shape(shape, value, where):
    if shape.type_name == "structure":
        assert {*value} <= {*shape.members}, f"{where} has members that the service does not have"
        assert {*shape.required_members} <= {*value}, f"{where} is without members that the service always has"
        for name, member in value.items():
            has_shape(shape.members[name], member, f"{where}.{name}")
    elif shape.type_name == "list":
        for member in value:
            has_shape(shape.member, member, f"{where}[]")
    elif shape.type_name == "map":
        for name, member in value.items():
            has_shape(shape.value, member, f"{where}.{name}")
    else:
        assert type(value) in _TYPES[shape.type_name], f"{where} is {value!r}"
