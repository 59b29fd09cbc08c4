"""Requests to S3 with Python's standard library only, from version 3.8 on: a part of the carrier."""

from __future__ import annotations

import datetime
import email.utils
import hashlib
import hmac
import http.client
import json
import os
import random
import re
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import IO, NamedTuple
from xml.etree import ElementTree

ATTEMPTS = 8
PIECE = 1 << 20
PART, MOST_PARTS = 1 << 28, 10_000  # bytes of a part of a file, and how many parts an object may have
METADATA = "169.254.170.2"
DOMAINS = {"cn-": "amazonaws.com.cn", "eusc-": "amazonaws.eu"}  # of regions that begin so
# S3's errors that are no answer to the request itself
PASSING = ("RequestTimeout", "XAmzContentSHA256Mismatch", "IncompleteBody", "RequestTimeTooSkewed")
EXPIRED = ("ExpiredToken", "TokenRefreshRequired")


class Failed(Exception):
    """The job can't go on. The text is for the user."""


class Answer(NamedTuple):
    status: int
    content: bytes
    headers: Mapping[str, str]

    def said(self, name: str) -> str:
        """An element of an error in XML."""
        found = re.search(f"<{name}>(.*?)</{name}>".encode(), self.content, re.S)
        return found[1].decode(errors="replace") if found else ""

    def __str__(self) -> str:
        text = f"{self.said('Code')}: {self.said('Message')}" if self.said("Code") else repr(self.content[:200])[2:-1]
        return text if self.status == 599 else f"{self.status} {text}"


class Part:
    """Bytes of an open file as the body of a request, or the whole file."""

    def __init__(self, file: IO[bytes], first: int, size: int) -> None:
        self.file, self.first, self.size = file, first, size
        self.left = 0

    def begin(self) -> Part:
        self.file.seek(self.first)
        self.left = self.size
        return self

    def read(self, most: int = PIECE) -> bytes:
        piece = self.file.read(min(most, self.left))
        if self.left and not piece:
            raise OSError("the file has become shorter")
        self.left -= len(piece)
        return piece

    def digest(self) -> str:
        made = hashlib.sha256()
        for piece in iter(self.begin().read, b""):
            made.update(piece)
        return made.hexdigest()


class Role:
    """The credentials of the environment, or of the job's role."""

    def __init__(self) -> None:
        self.known: tuple[float, tuple[str, str, str]] = (0.0, ("", "", ""))  # until when, and they

    def keys(self) -> tuple[str, str, str]:
        """Access key, secret and token; new ones before these expire."""
        if os.environ.get("AWS_ACCESS_KEY_ID"):
            names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
            key, secret, token = (os.environ.get(name, "") for name in names)
            return key, secret, token
        until, keys = self.known
        if time.time() >= until:
            until, keys = self.known = self.ask()
        return keys

    def ask(self) -> tuple[float, tuple[str, str, str]]:
        relative = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        url = "http://" + METADATA + relative if relative else os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if not url:
            raise Failed("the job has no credentials: its definition names no role")
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        request = urllib.request.Request(url, headers={"Authorization": token} if token else {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            got = json.loads(answer.read().decode())
        ends = datetime.datetime.strptime(got["Expiration"][:19], "%Y-%m-%dT%H:%M:%S")
        seconds = (ends - datetime.datetime(1970, 1, 1)).total_seconds() - time.time()
        until = time.time() + max(seconds - 300, seconds / 2)
        return until, (got["AccessKeyId"], got["SecretAccessKey"], got["Token"])

    def forget(self) -> None:
        self.known = (0.0, self.known[1])


class S3:
    """Requests to a bucket, signed with AWS Signature Version 4."""

    def __init__(self, bucket: str, region: str, role: Role) -> None:
        self.bucket, self.role = bucket, role
        self.given = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        self.secure: ssl.SSLContext | None = None
        self.ahead = 0.0  # seconds by which the service's clock is ahead of this machine's
        self.move(region)

    def move(self, region: str) -> None:
        """Ask this region from now on."""
        domain = next((one for begin, one in DOMAINS.items() if region.startswith(begin)), "amazonaws.com")
        by_path = self.given or "." in self.bucket  # the certificate is for names without further dots
        at = urllib.parse.urlsplit(self.given or f"https://{'' if by_path else self.bucket + '.'}s3.{region}.{domain}")
        self.base = "/" + self.bucket if by_path else ""
        if at.scheme == "https" and self.secure is None:
            self.secure = ssl.create_default_context()
        self.region, self.host = region, at.netloc

    def signed(self, method: str, path: str, query: str, headers: dict[str, str], payload: str) -> dict[str, str]:
        """The headers of a request. payload: the SHA-256 of its body."""
        key, secret, token = self.role.keys()
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + self.ahead))
        headers = {"host": self.host, "x-amz-content-sha256": payload, "x-amz-date": now, **headers}
        if token:
            headers["x-amz-security-token"] = token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        asked = "\n".join([method, path, query, lines, names, payload])
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(asked.encode()).hexdigest()])
        made = ("AWS4" + secret).encode()
        for part in scope.split("/"):
            made = hmac.new(made, part.encode(), "sha256").digest()
        signature = hmac.new(made, text.encode(), "sha256").hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def ask(
        self,
        method: str,
        key: str,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | Part = b"",
        to: str = "",
    ) -> Answer:
        """Ask until there is an answer. to: a path for the content. Status 599: there was none."""
        asked = "&".join(f"{n}={urllib.parse.quote(v, safe='~')}" for n, v in sorted((query or {}).items()))
        attempt = 0
        while True:
            path = self.base + "/" + urllib.parse.quote(key, safe="/~")
            try:
                answer = self.once(method, path, asked, headers or {}, body, to)
            except (OSError, http.client.HTTPException) as error:
                answer = Answer(599, f"there is no answer ({error})".encode(), {})
            attempt += 1
            if attempt == ATTEMPTS or not self.is_passing(answer):
                return answer
            time.sleep(min(20, 0.1 * 2**attempt) * random.uniform(0.5, 1))

    def is_passing(self, answer: Answer) -> bool:
        """Whether the same request may succeed now, or a little later."""
        code = answer.said("Code") if answer.status >= 300 else ""
        if code in EXPIRED:
            self.role.forget()
        if code == "RequestTimeTooSkewed" and (date := answer.headers.get("date")):
            self.ahead = email.utils.parsedate_to_datetime(date).timestamp() - time.time()
        region = answer.headers.get("x-amz-bucket-region") or answer.said("Region")
        if answer.status in (301, 307, 400) and region and region != self.region and not self.given:
            self.move(region)
            return True
        return answer.status >= 500 or answer.status in (408, 409, 429) or code in PASSING + EXPIRED

    def once(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes | Part, to: str) -> Answer:
        if self.secure:
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                self.host, timeout=60, context=self.secure, blocksize=PIECE
            )
        else:
            connection = http.client.HTTPConnection(self.host, timeout=60, blocksize=PIECE)
        try:
            digest = hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else body.digest()
            given = self.signed(method, path, query, headers, digest)
            given["content-length"] = str(len(body) if isinstance(body, bytes) else body.size)
            sent = body if isinstance(body, bytes) else body.begin()
            connection.request(method, path + ("?" + query if query else ""), sent, given)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            if not to or answer.status != 200:
                return Answer(answer.status, answer.read(), found)
            if write(to, answer) != int(found.get("content-length", -1)):
                raise OSError("it was cut off")
            return Answer(200, b"", found)
        finally:
            connection.close()

    def names(self, prefix: str) -> Iterator[str]:
        """The keys that begin so."""
        token = ""
        while True:
            query = {"list-type": "2", "encoding-type": "url", "prefix": prefix}
            answer = self.ask("GET", "", {**query, "continuation-token": token} if token else query)
            if answer.status != 200:
                raise Failed(f"s3://{self.bucket}/{prefix} can't be listed: {answer}")
            root = ElementTree.fromstring(answer.content)
            space = root.tag.partition("}")[0] + "}" if "}" in root.tag else ""
            for one in root.iter(space + "Contents"):
                yield urllib.parse.unquote_plus(one.findtext(space + "Key") or "")
            token = root.findtext(space + "NextContinuationToken") or ""
            if not token:
                return

    def send_parts(self, key: str, file: IO[bytes], size: int, headers: dict[str, str]) -> Answer:
        """Put a large file. Leaves nothing if that fails."""
        begun = self.ask("POST", key, {"uploads": ""}, headers)
        if begun.status != 200:
            return begun
        upload = {"uploadId": begun.said("UploadId")}
        part, tags = max(PART, -(-size // MOST_PARTS)), []
        for number, first in enumerate(range(0, size, part), 1):
            body = Part(file, first, min(part, size - first))
            answer = self.ask("PUT", key, {"partNumber": str(number), **upload}, body=body)
            if answer.status != 200:
                self.ask("DELETE", key, upload)
                return answer
            tags.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{answer.headers['etag']}</ETag></Part>")
        text = f"<CompleteMultipartUpload>{''.join(tags)}</CompleteMultipartUpload>"
        answer = self.ask("POST", key, upload, body=text.encode())
        if answer.status == 200 and not answer.said("Code"):  # an error may follow a status of success
            return answer
        self.ask("DELETE", key, upload)
        return answer._replace(status=max(answer.status, 500))


def write(path: str, answer: http.client.HTTPResponse) -> int:
    """Write the content of an answer. Returns its bytes. Raises Failed if the disk does not take it."""
    size = 0
    try:
        with open(path, "wb") as file:
            while piece := _read(answer):
                size += file.write(piece)
    except OSError as error:
        raise Failed(f"disk: {path} can't be written: {error.strerror}") from None
    return size


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read(PIECE)
    except OSError as error:  # of the connection, and not of the disk
        raise http.client.HTTPException(str(error)) from None
