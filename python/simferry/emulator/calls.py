"""Parses a request to an AWS service, and writes refusals in the format of each service.

A request is parsed once. The same `Call` is then authorized and executed.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes
from uuid import uuid4
from xml.sax.saxutils import escape

from ..aws.session import is_loopback

JSON = {
    "ce": "AWSInsightsIndexService", "ecr": "AmazonEC2ContainerRegistry_V20150921", "logs": "Logs_20140328",
    "sagemaker": "SageMaker", "servicequotas": "ServiceQuotasV20190624", "ssm": "AmazonSSM", "tagging": "ResourceGroupsTaggingAPI_20170126",
}  # what X-Amz-Target begins with  # fmt: skip
REST = ("batch",)  # JSON whose operation is in the path
QUERY = ("cloudformation", "ec2", "iam", "sts")
ACCOUNT = "123456789012"  # moto's
BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# query parameters that belong to the signature
SIGNING = {
    f"X-Amz-{name}"
    for name in ("Algorithm", "Credential", "Date", "Expires", "Security-Token", "Signature", "SignedHeaders")
}
_REST_XML = ("cloudfront", "route53")  # refused, but in XML
# S3's error code: the code of query services (with an Action), the code of JSON services
_CODES = {
    "AccessDenied": ("AccessDenied", "AccessDeniedException"),
    "ExpiredToken": ("ExpiredToken", "ExpiredTokenException"),
    "InvalidAccessKeyId": ("InvalidClientTokenId", "UnrecognizedClientException"),
    "InvalidRequest": ("IncompleteSignature", "IncompleteSignatureException"),
    "InvalidToken": ("InvalidClientTokenId", "UnrecognizedClientException"),
    "MissingAuthenticationToken": ("MissingAuthenticationToken", "MissingAuthenticationTokenException"),
    "MalformedXML": ("MalformedInput", "SerializationException"),
    "NotImplemented": ("InvalidAction", "UnknownOperationException"),
    "RequestTimeTooSkewed": ("SignatureDoesNotMatch", "InvalidSignatureException"),
    "SignatureDoesNotMatch": ("SignatureDoesNotMatch", "InvalidSignatureException"),
}


class Refusal(Exception):
    """The error that a service answers. code: such as ValidationException, or a key of _CODES, which is S3's code. members: that the
    error has besides."""

    def __init__(self, code: str, message: str, status: int = 400, members: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, members or {}


def not_emulated(service: str, operation: str) -> Refusal:
    """The refusal of an operation that the emulator does not have."""
    has = "of SageMaker it has processing, training and transform jobs, models and endpoints"
    if service != "sagemaker":
        has = "it has what simferry needs of S3, STS, IAM, EC2, ECR, SSM, Batch, CloudFormation, CloudWatch Logs and SageMaker"
    return Refusal("NotImplemented", f"simferry's emulator does not answer {service}:{operation}: {has}", 501)


FAULT = Refusal("InternalFailure", "simferry's emulator could not answer this request: a fault of its own", 500)


def fault(call: "Call") -> Refusal:
    """The refusal of a call that moto could not answer: most likely its parameters are not what AWS accepts."""
    what = call.operation if call.service != "s3" else f"{call.operation} of {call.bucket or 'S3'}"
    text = (
        f"simferry's emulator could not do {call.service}:{what} with these parameters; its own output has the reason"
    )
    return Refusal("InvalidRequest" if call.service == "s3" else "ValidationException", text)


@dataclass
class Request:
    """An HTTP request without its body.

    path: as sent, percent-encoded. query: decoded names and values. headers: by lower-case name.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]


@dataclass
class Call:
    """One call of an AWS service.

    service: its name in signatures, such as "s3". operation: such as "CreateProcessingJob"; for S3 the HTTP method. parameters: from
    the JSON body or the form; for S3 from the query. bucket, key: for S3 only. token: the session token of a role's credentials.
    """

    service: str
    operation: str
    region: str
    access_key: str
    token: str
    parameters: dict[str, Any]
    headers: dict[str, str]
    body: bytes
    bucket: str = ""
    key: str = ""


# ---- reading ----


def read(environ: dict[str, Any]) -> Request:
    """The request of a WSGI environment. The body is not read."""
    target = str(environ["REQUEST_URI"])
    path, _, query = target.partition("?")
    if not path.startswith("/"):
        raise Refusal("InvalidURI", "Couldn't parse the specified URI.")
    # S3 allows underscores in names of metadata; WSGI turns them into dashes, and moto's server keeps the original names
    spelled = environ.get("moto.preserved_header_names", {})
    found = {
        spelled.get(name, name.removeprefix("HTTP_").replace("_", "-")).lower(): _utf8(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    pairs = parse_qsl(query, keep_blank_values=True)
    return Request(environ["REQUEST_METHOD"], path, pairs, found)


def _utf8(value: str) -> str:
    """A header's value in UTF-8; WSGI decodes it as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value


def refuse_web_pages(request: Request) -> None:
    """Refuse requests from web pages: a page could start containers on this machine.

    A page sends the header Origin. If its own host name resolves to this machine (DNS rebinding), the header Host names that host.
    """
    host = request.headers.get("host", "")
    here = is_loopback(f"//{host}") or host.partition(":")[0].endswith(".localhost")
    if "origin" in request.headers or not here:
        raise Refusal("AccessDenied", "the emulator answers programs on this machine, no web pages", 403)


def read_body(environ: dict[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH") or ""
    if not length:
        return bytes(environ["wsgi.input"].read()) if environ.get("wsgi.input_terminated") else b""
    if not length.isdigit():
        raise Refusal("InvalidArgument", "Content-Length is no number")
    body = bytes(environ["wsgi.input"].read(int(length)))
    if len(body) < int(length):
        raise Refusal(
            "IncompleteBody", "You did not provide the number of bytes specified by the Content-Length header."
        )
    return body


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Refusal("MalformedXML", "the body is no JSON object")
    return given


def parse_call(request: Request, service: str, region: str, access_key: str, token: str, body: bytes) -> Call:
    """The call that a request makes. service, region: from its signature. Raises Refusal for an ambiguous request."""

    def call(operation: str, parameters: dict[str, Any], **more: str) -> Call:
        return Call(service, operation, region, access_key, token, parameters, request.headers, body, **more)

    query = [(name, value) for name, value in request.query if name not in SIGNING]
    target = request.headers.get("x-amz-target", "")
    if service == "s3":
        bucket, key = _bucket_and_key(request)
        return call(request.method, _once(query), bucket=bucket, key=key)
    if service in JSON:
        prefix, _, operation = target.rpartition(".")
        if service == "sagemaker" and (found := _invocation(request)) and not (query or target):
            return call(*found)
        own = (request.method, request.path, query, prefix) == ("POST", "/", [], JSON[service])
        if not operation or operation in _RUNTIME.values() or not own:
            raise not_emulated(service, target or f"{request.method} {request.path}")
        return call(operation, _json_object(body))
    if service in REST:
        operation = _rest_operations(service).get((request.method, request.path), "")
        if not operation or query:
            raise not_emulated(service, f"{request.method} {request.path}")
        return call(operation, _json_object(body))
    if service in QUERY:
        given = _once([*query, *(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))])
        if target or request.path != "/" or not given.get("Action"):
            raise not_emulated(service, target or f"{request.method} {request.path}")
        return call(given.pop("Action"), given)
    form = dict(parse_qsl(body.decode(errors="replace"))) if _has_form(request) else {}
    asked = target.rpartition(".")[2] or form.get("Action") or dict(query).get("Action")
    raise not_emulated(service, asked or f"{request.method} {request.path}")


# the operations of SageMaker's runtime, which signs as SageMaker, by the end of their path
_RUNTIME = {
    "async-invocations": "InvokeEndpointAsync", "invocations": "InvokeEndpoint",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}  # fmt: skip


def _invocation(request: Request) -> tuple[str, dict[str, str]] | None:
    """The operation of SageMaker's runtime that a request asks for, and its parameters; None if it asks for none."""
    match = re.fullmatch(r"/endpoints/([^/]+)/([a-z-]+)", request.path)
    if not match or request.method != "POST" or match[2] not in _RUNTIME:
        return None
    given = {member: request.headers[name] for name, member in _runtime_headers().items() if name in request.headers}
    return _RUNTIME[match[2]], {"EndpointName": match[1], **given}


@cache
def _runtime_headers() -> dict[str, str]:
    """The members of InvokeEndpoint that are headers, by the header's name in lower case."""
    from ..aws.limits import service_model

    members = service_model("sagemaker-runtime").operation_model("InvokeEndpoint").input_shape.members
    return {
        shape.serialization["name"].lower(): name
        for name, shape in members.items()
        if shape.serialization.get("location") == "header"
    }


@cache
def _rest_operations(service: str) -> dict[tuple[str, str], str]:
    """The operations of a service by HTTP method and path."""
    import botocore.loaders

    model = botocore.loaders.Loader().load_service_model(service, "service-2")
    return {(one["http"]["method"], one["http"]["requestUri"]): name for name, one in model["operations"].items()}


def _once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise Refusal("InvalidArgument", f"given more than once: {', '.join(twice)}")
    return dict(pairs)


def _bucket_and_key(request: Request) -> tuple[str, str]:
    """S3's bucket and key. Both are in the path, or the bucket is in the host name, as in lab.localhost."""
    try:
        path = unquote_to_bytes(request.path.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise Refusal("InvalidURI", "Couldn't parse the specified URI.") from None
    host = request.headers["host"].rpartition(":")[0] or request.headers["host"]
    bucket = host.removesuffix(".localhost") if host.endswith(".localhost") else ""
    key = path[1:]
    if not bucket:
        bucket, _, key = key.partition("/")
    if not BUCKET_NAME.fullmatch(bucket) and (bucket or key):
        raise Refusal("InvalidBucketName", "The specified bucket is not valid.")
    if "\n" in key:
        raise not_emulated("s3", "keys with a line break")
    return bucket, key


def _has_form(request: Request) -> bool:
    return "x-www-form-urlencoded" in request.headers.get("content-type", "")


# ---- answers ----

_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def in_xml(text: str) -> str:
    """A text as XML has it. Characters that XML can't have become U+FFFD: with them no client could read the answer."""
    return escape(_NOT_IN_XML.sub("\ufffd", text), {"\r": "&#13;"})


Answer = tuple[int, list[tuple[str, str]], bytes]


def answer(_: Call | None, content: Any) -> Answer:
    """Status, headers and body of an answer in JSON. content: may have all three already."""
    if isinstance(content, tuple):
        return content
    return 200, headers("application/x-amz-json-1.1"), json.dumps(content).encode()


def refuse(request: Request, service: str, refusal: Refusal) -> Answer:
    """Status, headers and body of a refusal, in the format of the service. service: "" if it is unknown."""
    by_action = service not in JSON and (_has_form(request) or any(name == "Action" for name, _ in request.query))
    cbor = request.headers.get("smithy-protocol") == "rpc-v2-cbor"
    by_target = cbor or "x-amz-target" in request.headers
    s3 = service == "s3" or not (service or by_target or by_action)
    is_json = not s3 and (by_target or not (by_action or service in (*QUERY, *_REST_XML)))
    code, message = refusal.code, refusal.message
    if not s3:
        code = _CODES.get(code, (code, code))[is_json]
    elif code == "MissingAuthenticationToken":
        code = "AccessDenied"
    if cbor:
        body = b"\xa2" + b"".join(_cbor(text) for text in ("__type", code, "message", message))
        return 400, [*headers("application/cbor"), ("smithy-protocol", "rpc-v2-cbor")], body
    if is_json:
        body = json.dumps({"__type": code, "message": message, **refusal.members}).encode()
        status = refusal.status if refusal.status in (413, 424, 429, 500, 503) else 400
        return status, [*headers("application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)], body
    error = f"<Code>{code}</Code><Message>{in_xml(message)}</Message>"
    if s3:
        text = f"<Error>{error}</Error>"
    elif service == "ec2":
        text = f"<Response><Errors><Error>{error}</Error></Errors></Response>"
    else:
        text = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"
    status = 400 if refusal.status == 501 and not s3 else refusal.status
    return status, headers("application/xml"), b"" if request.method == "HEAD" else text.encode()


def _cbor(text: str) -> bytes:
    """A text string in CBOR (RFC 8949), with a length of two bytes."""
    data = text.encode()[:65535]
    return b"\x79" + len(data).to_bytes(2, "big") + data


def headers(content_type: str) -> list[tuple[str, str]]:
    return [("Content-Type", content_type), ("x-amzn-RequestId", str(uuid4()))]


def quoted(path: str | bytes) -> str:
    """A path, percent-encoded as S3 does it."""
    return quote(path, safe="/~")
