"""A request to an AWS service: read from HTTP once, so that what is authorized is what is done; refusals, in each service's words."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes
from uuid import uuid4
from xml.sax.saxutils import escape

from ..aws.session import is_loopback

JSON = {
    "ecr": "AmazonEC2ContainerRegistry_V20150921", "logs": "Logs_20140328", "sagemaker": "SageMaker"
}  # what X-Amz-Target begins with  # fmt: skip
QUERY = ("iam", "sts")
ACCOUNT = "123456789012"  # moto's
BUCKET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# what of a query belongs to its signature
SIGNING = {
    f"X-Amz-{name}"
    for name in ("Algorithm", "Credential", "Date", "Expires", "Security-Token", "Signature", "SignedHeaders")
}
_REST_XML = ("cloudfront", "route53")  # of those that are refused
# what S3 calls an error, and what services with an Action and those that speak JSON call it
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
    """What a service answers instead of doing it. code: such as ValidationException; of those in _CODES, S3's word."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def unanswered(service: str, operation: str) -> Refusal:
    """Of what the emulator does not have, named."""
    has = "of SageMaker it runs processing jobs only"
    if service != "sagemaker":
        has = "it has what runs need of S3, STS, IAM, ECR, CloudWatch Logs and SageMaker"
    return Refusal("NotImplemented", f"simferry's emulator does not answer {service}:{operation}: {has}", 501)


@dataclass
class Request:
    """HTTP as it came, without its body. path: as it was sent, still quoted. query: its pairs, unquoted. headers: by names in
    lower case."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]


@dataclass
class Call:
    """service: as it signs itself, such as "s3". operation: such as "CreateProcessingJob"; of S3 the HTTP method.

    parameters: of the body, or the form; of S3 those of the query. bucket, key: of S3. token: that of a role's credentials.
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
    """The request of a WSGI environment; its body is left there."""
    target = str(environ["REQUEST_URI"])
    path, _, query = target.partition("?")
    if not path.startswith("/"):
        raise Refusal("InvalidURI", "Couldn't parse the specified URI.")
    # S3 knows names of metadata with an underscore, which WSGI can't tell from a dash: moto's server keeps them apart
    spelled = environ.get("moto.preserved_header_names", {})
    headers = {
        spelled.get(name, name.removeprefix("HTTP_").replace("_", "-")).lower(): _utf8(value)
        for name, value in environ.items()
        if name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")
    }
    pairs = parse_qsl(query, keep_blank_values=True)
    return Request(environ["REQUEST_METHOD"], path, pairs, headers)


def _utf8(value: str) -> str:
    """A header's value, which WSGI reads as Latin-1."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value


def refuse_pages(request: Request) -> None:
    """Refuse what a page in a browser sends: it could start containers here. Pages say where they come from, or, if the page's
    own name was made to lead here, ask another host."""
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


def understand(request: Request, service: str, region: str, access_key: str, token: str, body: bytes) -> Call:
    """What a request asks for. service, region: those that it is signed for. Raises Refusal where it could be read in two ways."""

    def call(operation: str, parameters: dict[str, Any], **more: str) -> Call:
        return Call(service, operation, region, access_key, token, parameters, request.headers, body, **more)

    query = [(name, value) for name, value in request.query if name not in SIGNING]
    target = request.headers.get("x-amz-target", "")
    if service == "s3":
        bucket, key = _place(request)
        return call(request.method, _once(query), bucket=bucket, key=key)
    if service in JSON:
        prefix, _, operation = target.rpartition(".")
        if (request.method, request.path, query, prefix) != ("POST", "/", [], JSON[service]) or not operation:
            raise unanswered(service, target or f"{request.method} {request.path}")
        try:
            given = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise Refusal("MalformedXML", "the body is no JSON object")
        return call(operation, given)
    if service in QUERY:
        given = _once([*query, *(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))])
        if target or request.path != "/" or not given.get("Action"):
            raise unanswered(service, target or f"{request.method} {request.path}")
        return call(given.pop("Action"), given)
    form = dict(parse_qsl(body.decode(errors="replace"))) if _has_form(request) else {}
    asked = target.rpartition(".")[2] or form.get("Action") or dict(query).get("Action")
    raise unanswered(service, asked or f"{request.method} {request.path}")


def _once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise Refusal("InvalidArgument", f"given more than once: {', '.join(twice)}")
    return dict(pairs)


def _place(request: Request) -> tuple[str, str]:
    """Bucket and key of S3, from the path, or the bucket from a host's name such as lab.localhost."""
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
        raise unanswered("s3", "keys with a line break")
    return bucket, key


def _has_form(request: Request) -> bool:
    return "x-www-form-urlencoded" in request.headers.get("content-type", "")


# ---- answers ----

Answer = tuple[int, list[tuple[str, str]], bytes]


def answer(content: Any) -> Answer:
    """Status, headers and body of an answer in JSON."""
    return 200, _headers("application/x-amz-json-1.1"), json.dumps(content).encode()


def refuse(request: Request, service: str, refusal: Refusal) -> Answer:
    """Status, headers and body of a refusal, in the form that the service has. service: "" where nothing says which."""
    by_action = _has_form(request) or any(name == "Action" for name, _ in request.query)
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
        return 400, [*_headers("application/cbor"), ("smithy-protocol", "rpc-v2-cbor")], body
    if is_json:
        body = json.dumps({"__type": code, "message": message}).encode()
        status = refusal.status if refusal.status == 500 else 400
        return status, [*_headers("application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)], body
    said = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    if s3:
        text = f"<Error>{said}</Error>"
    elif service == "ec2":
        text = f"<Response><Errors><Error>{said}</Error></Errors></Response>"
    else:
        text = f"<ErrorResponse><Error><Type>Sender</Type>{said}</Error></ErrorResponse>"
    status = 400 if refusal.status == 501 and not s3 else refusal.status
    return status, _headers("application/xml"), b"" if request.method == "HEAD" else text.encode()


def _cbor(text: str) -> bytes:
    """A string in CBOR (RFC 8949), with its length in two bytes."""
    data = text.encode()[:65535]
    return b"\x79" + len(data).to_bytes(2, "big") + data


def _headers(content_type: str) -> list[tuple[str, str]]:
    return [("Content-Type", content_type), ("x-amzn-RequestId", str(uuid4()))]


def quoted(path: str | bytes) -> str:
    """A path as S3 quotes it."""
    return quote(path, safe="/~")
