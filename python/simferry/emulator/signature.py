"""Verifies signatures (version 4): that the sender has the secret of a key, that nothing was changed, that it is recent.

AWS's documents: "Authenticating Requests: Using the Authorization Header", "... Using Query Parameters" and "Signature Calculations
... Transferring Payload in Multiple Chunks" of S3's API reference. botocore builds the string to sign, as clients do it.
"""

import hmac
import math
import re
from calendar import timegm
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from time import strptime, time
from typing import Any
from urllib.parse import unquote_to_bytes

from .calls import SIGNING, Refusal, Request, quoted

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
CHUNKS = (SIGNED_CHUNKS, f"{SIGNED_CHUNKS}-TRAILER", f"STREAMING-{UNSIGNED}-TRAILER")
SKEW_SECONDS = 15 * 60
LONGEST_SECONDS = 7 * 24 * 3600  # of a presigned URL
_SCOPE = re.compile(r"(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_NOTHING = sha256(b"").hexdigest()


@dataclass(frozen=True)
class Key:
    """An access key. token: the session token of a role's credentials. expires: seconds since 1970."""

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires: float = math.inf


@dataclass(frozen=True)
class Claim:
    """The access key, region and service that a request claims; not verified.

    stamp: the time of signing. names: the signed headers. lifetime: in seconds, for a presigned URL; None for a signature in a header.
    """

    key: str
    region: str
    service: str
    stamp: str
    names: tuple[str, ...]
    signature: str
    token: str
    lifetime: int | None


def read_claim(request: Request) -> Claim:
    """The claim of a request. Raises Refusal if it is not signed, or not with version 4."""
    query = {name: value for name, value in request.query if name in SIGNING}
    header = request.headers.get("authorization", "")
    if not header and "X-Amz-Signature" not in query:
        if any(name == "AWSAccessKeyId" for name, _ in request.query):
            raise Refusal("InvalidRequest", f"{_ONLY} Of boto3's client for S3: Config(signature_version='s3v4').")
        raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    if header and query:
        raise Refusal("InvalidRequest", "Only one auth mechanism allowed: the header Authorization, or X-Amz-Signature")
    if header:
        algorithm, _, rest = header.partition(" ")
        fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        stamp, token, lifetime = (
            request.headers.get("x-amz-date", ""),
            request.headers.get("x-amz-security-token"),
            None,
        )
    else:
        algorithm, fields = query.get("X-Amz-Algorithm", ""), {n.removeprefix("X-Amz-"): v for n, v in query.items()}
        stamp, token = query.get("X-Amz-Date", ""), query.get("X-Amz-Security-Token")
        lifetime = int(expires) if re.fullmatch(r"\d{1,9}", expires := query.get("X-Amz-Expires", "")) else -1
    if algorithm != ALGORITHM:
        raise Refusal("InvalidRequest", _ONLY)
    scope = _SCOPE.fullmatch(fields.get("Credential", ""))
    names = tuple(fields.get("SignedHeaders", "").split(";"))
    if not scope or "host" not in names or not re.fullmatch(r"\d{8}T\d{6}Z", stamp) or stamp[:8] != scope["day"]:
        raise Refusal(
            "InvalidRequest", "Credential, SignedHeaders (with host) and X-Amz-Date must be those of version 4"
        )
    return Claim(
        scope["key"],
        scope["region"],
        scope["service"],
        stamp,
        names,
        fields.get("Signature", ""),
        token or "",
        lifetime,
    )


_ONLY = f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}."


def check(request: Request, claim: Claim, key: Key, read: Callable[[], bytes]) -> bytes:
    """The body of a request, with chunks joined. Raises Refusal unless the request is signed with the key.

    read: reads the body. The headers of a trailer are added to the request's headers.
    """
    _check_time(claim, key)
    if not hmac.compare_digest(claim.token.encode(), key.token.encode()):
        raise Refusal("InvalidToken", "The security token included in the request is invalid", 403)
    unsigned = {name for name in request.headers if name.startswith("x-amz-")} - set(claim.names)
    if claim.lifetime is not None and request.headers.get("x-amz-content-sha256") == UNSIGNED:
        unsigned -= {"x-amz-content-sha256"}  # it has the default value
    if unsigned:
        raise Refusal(
            "AccessDenied", f"There were headers present in the request which were not signed: {_list(unsigned)}", 403
        )
    s3 = claim.service == "s3"
    declared = request.headers.get("x-amz-content-sha256", UNSIGNED if s3 and claim.lifetime is not None else "")
    if s3 and not declared:
        raise Refusal("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    if not re.fullmatch(r"[0-9a-f]{64}|", declared) and not (s3 and declared in (UNSIGNED, *CHUNKS)):
        raise Refusal("InvalidArgument", "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a streaming one, or a hash")
    body = read() if not declared else b""  # no header declares its hash
    signer = _Signer(request, claim, key, declared or sha256(body).hexdigest())
    if not hmac.compare_digest(signer.expected.encode(), claim.signature.encode()):
        raise Refusal(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
            403,
        )
    if declared:
        body = read()
    if declared in CHUNKS:
        return _join_chunks(body, request, signer if declared.startswith(SIGNED_CHUNKS) else None)
    if declared not in ("", UNSIGNED) and sha256(body).hexdigest() != declared:
        raise Refusal(
            "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."
        )
    return body


def _check_time(claim: Claim, key: Key) -> None:
    try:
        signed, now = timegm(strptime(claim.stamp, "%Y%m%dT%H%M%SZ")), time()
    except ValueError:
        raise Refusal("InvalidRequest", "X-Amz-Date is no time") from None
    if claim.lifetime is None:
        if abs(now - signed) > SKEW_SECONDS:
            raise Refusal(
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
                403,
            )
    elif not 0 < claim.lifetime <= LONGEST_SECONDS:
        raise Refusal("InvalidRequest", f"X-Amz-Expires must be between 1 and {LONGEST_SECONDS} seconds")
    elif not signed - SKEW_SECONDS <= now < signed + claim.lifetime:
        raise Refusal("AccessDenied", "Request has expired", 403)
    if now >= key.expires:
        raise Refusal("ExpiredToken", "The security token included in the request is expired", 403)


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))


class _Signer:
    """Computes signatures with a key. expected: the signature of the request."""

    def __init__(self, request: Request, claim: Claim, key: Key, payload: str) -> None:
        from botocore.auth import S3SigV4Auth, SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.compat import HTTPHeaders
        from botocore.credentials import Credentials

        s3 = claim.service == "s3"
        self._auth = (S3SigV4Auth if s3 else SigV4Auth)(Credentials(key.id, key.secret), claim.service, claim.region)
        headers: Any = HTTPHeaders()
        for name in claim.names:
            headers[name] = request.headers.get(name, "")
        self._auth.headers_to_sign = lambda _: headers
        self._auth.payload = lambda _: payload
        pairs = [(name, value) for name, value in request.query if name != "X-Amz-Signature"]
        path = quoted(unquote_to_bytes(request.path.encode("latin-1"))) if s3 else request.path
        self._request = AWSRequest(request.method, f"http://here{path}", params=pairs)
        self._request.context["timestamp"] = claim.stamp
        canonical = self._auth.canonical_request(self._request)
        self.expected = self.sign(self._auth.string_to_sign(self._request, canonical))

    def sign(self, text: str) -> str:
        return str(self._auth.signature(text, self._request))

    def sign_piece(self, kind: str, *parts: str) -> str:
        """The signature of a chunk or a trailer. parts: the previous signature, and the hashes of this piece."""
        scope = self._auth.credential_scope(self._request)
        return self.sign("\n".join([f"{ALGORITHM}-{kind}", self._request.context["timestamp"], scope, *parts]))


def _join_chunks(body: bytes, request: Request, signer: _Signer | None) -> bytes:
    """The content of chunks. Each is a line with its size (and signature), its bytes and a line end; a trailer may follow."""
    broken = Refusal("IncompleteBody", "The request body is not in chunks as x-amz-content-sha256 says.")
    before, at, pieces, size = signer.expected if signer else "", 0, [], -1
    while size != 0:
        line, found, _ = body[at : at + 256].partition(b"\r\n")
        match = re.fullmatch(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?", line)
        if not found or not match:
            raise broken
        size, at = int(match[1], 16), at + len(line) + 2
        piece = body[at : at + size]
        at += size
        if len(piece) != size or (size and body[at : at + 2] != b"\r\n"):
            raise broken
        at += 2 if size else 0
        if signer:
            expected = signer.sign_piece("PAYLOAD", before, _NOTHING, sha256(piece).hexdigest())
            _must_be(expected, match[2])
            before = expected
        pieces.append(piece)
    trailer = dict(line.strip().split(":", 1) for line in body[at:].decode("latin-1").split("\n") if ":" in line)
    announced = request.headers.get("x-amz-trailer", "")
    given = trailer.pop("x-amz-trailer-signature", "")
    if set(trailer) != ({announced} if announced else set()) or (
        announced and not announced.startswith("x-amz-checksum-")
    ):
        raise broken
    if signer and announced:
        text = "".join(f"{name}:{value}\n" for name, value in trailer.items())
        _must_be(signer.sign_piece("TRAILER", before, sha256(text.encode()).hexdigest()), given.encode())
    request.headers.update(trailer)
    whole = b"".join(pieces)
    if request.headers.get("x-amz-decoded-content-length", str(len(whole))) != str(len(whole)):
        raise broken
    return whole


def _must_be(expected: str, given: bytes | None) -> None:
    if not hmac.compare_digest(expected.encode(), given or b""):
        raise Refusal("SignatureDoesNotMatch", "The signature of a chunk does not match what was computed.", 403)
