"""A request to an AWS service, read from HTTP; refusals, in the form in which each service says them."""

import io
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote
from uuid import uuid4
from xml.sax.saxutils import escape

from ..aws.session import is_loopback

_CREDENTIAL = re.compile(r"(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")


class Refusal(Exception):
    """What a service answers instead of doing it. code: such as ValidationException."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass
class Call:
    """service: as it signs itself, such as "s3". operation: such as "CreateProcessingJob"; of S3 the HTTP method.

    access_key: empty where nobody signed.
    """

    service: str
    operation: str
    region: str
    access_key: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The body of a service that speaks JSON."""
        return dict(json.loads(self.body or b"{}"))


def read(environ: dict[str, Any]) -> Call:
    """The request of a WSGI environment, which can still be read by another afterwards."""
    length = environ.get("CONTENT_LENGTH")
    chunked = environ.get("wsgi.input_terminated") and not length
    body = environ["wsgi.input"].read() if chunked else environ["wsgi.input"].read(int(length or 0))
    environ["wsgi.input"], environ["wsgi.input_terminated"] = io.BytesIO(body), True
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").title(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    signed = _CREDENTIAL.search(headers.get("Authorization", "").partition("Credential=")[2])
    signed = signed or _CREDENTIAL.match(query.get("X-Amz-Credential", ""))
    service, region, key = (signed["service"], signed["region"], signed["key"]) if signed else ("s3", "us-east-1", "")
    method = environ["REQUEST_METHOD"]
    form = query
    if "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", ""):
        form = {**query, **dict(parse_qsl(body.decode(errors="replace")))}
    target = headers.get("X-Amz-Target", "").rpartition(".")[2]
    operation = method if service == "s3" else target or form.get("Action") or method
    path = unquote(environ.get("PATH_INFO", "/").encode("latin-1").decode(errors="replace"))
    return Call(service, operation, region, key, method, path, {**query, **form}, headers, body)


def refuse_pages(call: Call) -> None:
    """Refuse what a page in a browser sends: it could start containers here. Pages say where they come from, or, if the page's
    own name was made to lead here, ask another host."""
    host = call.headers.get("Host", "")
    here = is_loopback(f"//{host}") or host.partition(":")[0].endswith(".localhost")
    if "Origin" in call.headers or not here:
        raise Refusal("AccessDenied", "the emulator answers programs on this machine, no web pages", 403)


def answer(content: Any) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of an answer in JSON."""
    return 200, _headers("application/x-amz-json-1.1"), json.dumps(content).encode()


def refuse(call: Call, refusal: Refusal) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body of a refusal."""
    code, message = refusal.code, refusal.message
    if "X-Amz-Target" in call.headers:
        body = json.dumps({"__type": code, "message": message})
        headers = [*_headers("application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)]
        return refusal.status, headers, body.encode()
    inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    body = inner if call.service == "s3" else f"<ErrorResponse>{inner}</ErrorResponse>"
    return refusal.status, _headers("application/xml"), body.encode()


def _headers(content_type: str) -> list[tuple[str, str]]:
    return [("Content-Type", content_type), ("x-amzn-RequestId", str(uuid4()))]
