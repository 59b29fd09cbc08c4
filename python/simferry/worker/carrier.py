"""Carries the files of a job where the service moves none (AWS Batch): brings its inputs from S3, sends its results as they are finished.

It runs in the job's container and starts the worker, or, where the image has no Python, in a container beside it that shares
/opt/ml/processing. It needs Python's standard library only, from version 3.8 on: it is the text of a command, and is never imported.

    SIMFERRY_CARRIED   what it carries, as JSON: run (its address), plan, jobs (the address of the object with the files of the plan's
                       jobs), command (of the worker; empty: beside it), inputs (address by name)
"""

from __future__ import annotations

import concurrent.futures
import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, NoReturn
from xml.etree import ElementTree

ROOT = "/opt/ml/processing"
READY = ROOT + "/carried"  # for the container beside it: the number of the attempt; 0 if there is nothing to do
ENDED = ROOT + "/ended"  # from there: the worker's exit code
SENT = ("artifacts", "blocks")  # in this order: a block is sent after the artifacts of its replications
ALIVE = ROOT + "/alive"  # the container beside it touches it as long as it lives
SILENT_SECONDS, STARTS_SECONDS = 60, 600
EACH_SECONDS = 2.0
AT_ONCE = 8
ATTEMPTS = 8
METADATA = "169.254.170.2"
EMPTY = hashlib.sha256(b"").hexdigest()


class S3:
    """Requests to S3, signed with the job's role (AWS Signature Version 4)."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        self.region = os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"]
        given = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        domain = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        self.base = ""
        if given or "." in bucket:
            self.base = "/" + bucket
            given = given or "https://s3." + self.region + "." + domain
        at = urllib.parse.urlsplit(given or "https://" + bucket + ".s3." + self.region + "." + domain)
        self.secure, self.host = at.scheme == "https", at.netloc
        self.keys, self.until = ("", "", ""), 0.0

    def credentials(self) -> tuple[str, str, str]:
        """Access key, secret and token, of the environment or of the container's role; new ones before these expire."""
        if time.time() < self.until:
            return self.keys
        if os.environ.get("AWS_ACCESS_KEY_ID"):
            key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
            self.keys, self.until = (key, secret, os.environ.get("AWS_SESSION_TOKEN", "")), float("inf")
            return self.keys
        relative = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        url = "http://" + METADATA + relative if relative else os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        request = urllib.request.Request(url, headers={"Authorization": token} if token else {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            got = json.loads(answer.read().decode())
        ends = datetime.datetime.strptime(got["Expiration"][:19], "%Y-%m-%dT%H:%M:%S")
        seconds = (ends - datetime.datetime.utcnow()).total_seconds()
        self.keys = (got["AccessKeyId"], got["SecretAccessKey"], got["Token"])
        self.until = time.time() + max(seconds - 300, seconds / 2)
        return self.keys

    def signed(self, method: str, path: str, query: str, headers: dict[str, str], payload: str) -> dict[str, str]:
        """The headers of a request. payload: the SHA-256 of its body."""
        key, secret, token = self.credentials()
        now = datetime.datetime.utcnow().strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": self.host, "x-amz-content-sha256": payload, "x-amz-date": now, **headers}
        if token:
            headers["x-amz-security-token"] = token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        asked = "\n".join([method, path, query, lines, names, payload])
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(asked.encode()).hexdigest()])
        made = ("AWS4" + secret).encode()
        for part in (now[:8], self.region, "s3", "aws4_request"):
            made = hmac.new(made, part.encode(), "sha256").digest()
        signature = hmac.new(made, text.encode(), "sha256").hexdigest()
        signed = f"SignedHeaders={names}, Signature={signature}"
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, {signed}"
        del headers["host"]
        return headers

    def ask(
        self,
        method: str,
        key: str,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | str | None = None,
        to: str = "",
    ) -> tuple[int, bytes]:
        """Status and body of the answer. body: bytes, or a path to send. to: a path for the answer. Tries again what may succeed."""
        path = self.base + "/" + urllib.parse.quote(key, safe="/~")
        asked = "&".join(f"{n}={urllib.parse.quote(v, safe='~')}" for n, v in sorted((query or {}).items()))
        attempt = 0
        while True:
            try:
                status, answer = self.once(method, path, asked, headers or {}, body, to)
            except (OSError, http.client.HTTPException) as error:
                status, answer = 599, str(error).encode()
            if (status < 500 and status not in (403, 408, 409, 429)) or attempt == ATTEMPTS - 1:
                return status, answer
            if status == 403:
                if b"ExpiredToken" not in answer and b"RequestTimeTooSkewed" not in answer:
                    return status, answer
                self.until = 0.0
            time.sleep(min(20, 0.1 * 2**attempt))

    def once(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes | str | None, to: str
    ) -> tuple[int, bytes]:
        kind = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
        connection = kind(self.host, timeout=60)
        try:
            if isinstance(body, str):
                with open(body, "rb") as file:
                    size = os.fstat(file.fileno()).st_size
                    payload = _digest(file)
                    file.seek(0)
                    given = {**self.signed(method, path, query, headers, payload), "content-length": str(size)}
                    connection.request(method, path + ("?" + query if query else ""), file, given)
                    answer = connection.getresponse()
                    return answer.status, answer.read()
            payload = hashlib.sha256(body).hexdigest() if body else EMPTY
            given = self.signed(method, path, query, headers, payload)
            connection.request(method, path + ("?" + query if query else ""), body, given)
            answer = connection.getresponse()
            if not to or answer.status != 200:
                return answer.status, answer.read()
            with open(to + ".part", "wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
                whole = file.tell() == int(answer.headers.get("content-length", file.tell()))
            if not whole:
                raise OSError("the answer was cut off")
            os.replace(to + ".part", to)
            return 200, b""
        finally:
            connection.close()

    def names(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix."""
        token: str | None = None
        while True:
            query = {"list-type": "2", "prefix": prefix}
            if token:
                query["continuation-token"] = token
            status, answer = self.ask("GET", "", query)
            if status != 200:
                fail(f"s3://{self.bucket}/{prefix} can't be listed: {_said(status, answer)}")
            root = ElementTree.fromstring(answer)
            space = root.tag.partition("}")[0] + "}" if "}" in root.tag else ""
            for one in root.iter(space + "Contents"):
                yield str(one.findtext(space + "Key"))
            token = root.findtext(space + "NextContinuationToken")
            if not token:
                return


def _digest(file: Any) -> str:
    made = hashlib.sha256()
    for piece in iter(lambda: file.read(1 << 20), b""):
        made.update(piece)
    return made.hexdigest()


def _said(status: int, answer: bytes) -> str:
    found = re.search(rb"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", answer, re.S)
    text = b": ".join(found.groups()) if found else answer[:200]
    return f"{status} {text.decode(errors='replace')}"


def fail(text: str) -> NoReturn:
    print("simferry: " + text, flush=True)
    sys.exit(1)


def write_whole(path: str, text: str) -> None:
    with open(path + ".part", "w") as file:
        file.write(text)
    os.replace(path + ".part", path)


def place(address: str) -> tuple[S3, str]:
    """The bucket and the key of s3://bucket/key."""
    bucket, _, key = address[len("s3://") :].partition("/")
    return S3(bucket), key.rstrip("/")


class Carrier:
    """carried: what SIMFERRY_CARRIED says."""

    def __init__(self, carried: dict[str, Any]) -> None:
        self.carried = carried
        index = int(os.environ.get("AWS_BATCH_JOB_ARRAY_INDEX", "0"))
        self.number = f"{index + 1:04d}"
        self.job = f"{carried['plan']}-{self.number}"
        self.attempt = int(os.environ.get("AWS_BATCH_JOB_ATTEMPT", "1"))
        self.s3, self.run = place(carried["run"])
        self.began = 0.0
        self.sent: dict[str, tuple[int, int]] = {}
        self.worker: subprocess.Popen[bytes] | None = None

    # ---- before the worker ----

    def claim(self) -> bool:
        """Whether this job may compute its part of the plan: the first that asks, in all its attempts, unless the plan was cancelled."""
        mine = os.environ.get("AWS_BATCH_JOB_ID", "").encode()
        status, answer = self.s3.ask("GET", f"{self.run}/plan/{self.carried['plan']}/cancelled")
        if status == 200:
            return self.idle("its plan was cancelled")
        key = f"{self.run}/jobs/{self.job}/claim"
        status, answer = self.s3.ask("PUT", key, headers={"if-none-match": "*"}, body=mine)
        if status in (200, 204):
            return True
        said = _said(status, answer)
        status, answer = self.s3.ask("GET", key)
        if status != 200:
            fail("the job can't be claimed: " + said)
        return answer == mine or self.idle("an earlier submission computes it")

    def idle(self, why: str) -> bool:
        print(f"simferry: job {self.job} does nothing: {why}", flush=True)
        return False

    def bring(self) -> None:
        """Code, plan and inputs. Where an earlier attempt has finished blocks, these too: the worker leaves out what they have."""
        code = f"{self.run}/code"
        wanted = self.below(self.s3, code, "input/code")
        for name, address in self.carried["inputs"].items():
            s3, key = place(address)
            wanted += self.below(s3, key, "input/" + name)
        if self.attempt > 1:
            blocks = f"{self.run}/blocks/{self.job}-"
            for key in self.s3.names(blocks):
                wanted.append((self.s3, key, "input/done/" + key.rpartition("/")[2]))
        os.chmod(ROOT, 0o777)
        for folder in ("input/code", "input/plan", "input/done", "blocks", "artifacts", "output", "scratch"):
            os.makedirs(os.path.join(ROOT, folder), exist_ok=True)
        self.bring_job()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for failed in pool.map(self.fetch, wanted):
                if failed:
                    fail(failed)

    def bring_job(self) -> None:
        """The job's file, which is a part of one object: its index has the begin of each file and the end of the last, of 8 bytes each."""
        _, key = place(self.carried["jobs"])
        index = self.part(key, 8 * (int(self.number) - 1), 8 * (int(self.number) + 1))
        content = self.part(key, *struct.unpack("<2Q", index))
        with open(ROOT + "/input/plan/job", "wb") as file:
            file.write(content)

    def part(self, key: str, start: int, end: int) -> bytes:
        status, answer = self.s3.ask("GET", key, headers={"range": f"bytes={start}-{end - 1}"})
        if status != 206 or len(answer) != end - start:
            fail(f"s3://{self.s3.bucket}/{key} can't be read: {_said(status, answer)}")
        return answer

    def below(self, s3: S3, prefix: str, folder: str) -> list[tuple[S3, str, str]]:
        """What to fetch from a prefix: one file, or all that are below it."""
        found = []
        for key in s3.names(prefix):
            if key == prefix:
                found.append((s3, key, folder + "/" + key.rpartition("/")[2]))
            elif key.startswith(prefix + "/") and not key.endswith("/"):
                found.append((s3, key, folder + key[len(prefix) :]))
        return found

    def fetch(self, one: tuple[S3, str, str]) -> str:
        """What went wrong; empty if nothing did."""
        s3, key, name = one
        path = os.path.normpath(os.path.join(ROOT, name))
        if not path.startswith(ROOT + "/"):
            return f"{key} leads out of the job's folder"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        status, answer = s3.ask("GET", key, to=path)
        return "" if status == 200 else f"s3://{s3.bucket}/{key} can't be read: {_said(status, answer)}"

    # ---- beside the worker ----

    def send(self) -> str:
        """Send what is new, artifacts before blocks. What went wrong; empty if nothing did. Links and special files are left out."""
        for name in SENT:
            found = []
            for folder, _, files in os.walk(os.path.join(ROOT, name)):
                for file in files:
                    path = os.path.join(folder, file)
                    try:
                        now = os.lstat(path)
                    except OSError:
                        continue
                    stamp = (now.st_size, now.st_mtime_ns)
                    if stat.S_ISREG(now.st_mode) and self.sent.get(path) != stamp:
                        found.append((path, stamp))
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                for path, stamp, failed in pool.map(self.put, found):
                    if failed:
                        return failed  # no block without its artifacts
                    self.sent[path] = stamp
        return ""

    def put(self, one: tuple[str, tuple[int, int]]) -> tuple[str, tuple[int, int], str]:
        path, stamp = one
        key = f"{self.run}/{os.path.relpath(path, ROOT)}"
        try:
            status, answer = self.s3.ask("PUT", key, body=path)
        except OSError as error:
            return path, stamp, f"{path} can't be read: {error}"
        return path, stamp, "" if status == 200 else f"{path} can't be sent: {_said(status, answer)}"

    def leave_message(self) -> None:
        """Send the reason why the worker could not go on."""
        try:
            with open(ROOT + "/message", "rb") as file:
                text = file.read(1024)
        except OSError:
            return
        self.s3.ask("PUT", f"{self.run}/jobs/{self.job}/message", body=text)

    # ---- the whole ----

    def start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "SIMFERRY_ATTEMPT": str(self.attempt)}
        environment.pop("SIMFERRY_CARRIED", None)
        return subprocess.Popen(self.carried["command"], env=environment, cwd=ROOT + "/input/code")

    def stop(self, number: int, _: Any) -> None:
        """The service ends the job: the worker writes what it has, which is sent within 30 s."""
        with open(ROOT + "/scratch/stop", "w"):
            pass
        if self.worker is not None:
            self.worker.send_signal(signal.SIGINT)

    def over(self) -> int | None:
        """The exit code of the worker; None while it works."""
        if self.worker is not None:
            code = self.worker.poll()
            return code if code is None or code >= 0 else 128 - code
        try:
            with open(ENDED) as file:
                return int(file.read())
        except (OSError, ValueError):
            pass
        try:
            silent = time.time() - os.stat(ALIVE).st_mtime
        except OSError:  # it has not begun
            silent = time.time() - self.began - STARTS_SECONDS
        return 137 if silent > SILENT_SECONDS else None  # it was killed, for example for want of memory

    def carry(self) -> int:
        if not self.claim():
            write_whole(READY, "0")
            return 0
        self.bring()
        signal.signal(signal.SIGTERM, self.stop)
        if self.carried["command"]:
            self.worker = self.start()
        self.began = time.time()
        write_whole(READY, str(self.attempt))
        while (code := self.over()) is None:
            self.send()
            until = time.time() + EACH_SECONDS
            while time.time() < until and self.over() is None:
                time.sleep(0.1)
        failed = self.send() and self.send()
        self.leave_message()
        if failed:
            fail(failed)
        return code


if __name__ == "__main__":
    os.umask(0)  # the container beside this one may have another user
    sys.exit(Carrier(json.loads(os.environ["SIMFERRY_CARRIED"])).carry())
