"""Carries the files of a job where the service moves none (AWS Batch): brings its inputs from S3, sends its results as they are finished.

It runs in the job's container and starts the worker, or, where the image has no Python, in a container beside it that shares
/opt/ml/processing. It needs Python's standard library only, from version 3.8 on: it is the text of a command.

    SIMFERRY_CARRIED   what it carries, as JSON: run (its address), plan, jobs (the address of the object with the files of the plan's
                       jobs), region, kms_key (encrypts what is sent; may be empty), command (of the worker; empty: beside it),
                       inputs (address by name; of a folder it ends in a slash)
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import re
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import IO, Any

from .s3 import S3, Failed, Part, Role

ROOT = "/opt/ml/processing"
READY = "carried"  # for the container beside it: the number of the attempt; 0 if there is nothing to do
ENDED = "ended"  # from there: the worker's exit code
ALIVE = "alive"  # the container beside it touches it as long as it lives
STOP = "scratch/stop"  # the worker is to write what it has, and to end
SILENT_SECONDS, STARTS_SECONDS = 60, 600
EACH_SECONDS = 2.0
PATIENCE_SECONDS = 120  # for the last files
AT_ONCE = 8
MOST_AT_ONCE = 1 << 30  # bytes; a larger file is sent in parts
LONGEST_KEY = 1024
MOST_LISTED = 100


class Carrier:
    """carried: what SIMFERRY_CARRIED says."""

    def __init__(self, carried: dict[str, Any], root: str = ROOT) -> None:
        self.carried, self.given_root = carried, root
        self.beside = not carried["command"]
        index = int(os.environ.get("AWS_BATCH_JOB_ARRAY_INDEX", "0"))
        self.number = f"{index + 1:04d}"
        self.job = f"{carried['plan']}-{self.number}"
        self.attempt = int(os.environ.get("AWS_BATCH_JOB_ATTEMPT", "1"))
        self.role = Role()
        self.s3, self.run = self.place(carried["run"])
        self.encryption = {}
        if key := carried.get("kms_key"):
            self.encryption = {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": key,
            }
        self.root = ""
        self.stopped = False
        self.sent: dict[str, tuple[int, int]] = {}
        self.left_out: set[str] = set()
        self.worker: subprocess.Popen[bytes] | None = None
        self.heard: tuple[int, float] = (0, 0.0)  # when the container beside was last touched, and when this was seen

    def place(self, address: str) -> tuple[S3, str]:
        """The bucket and the key of s3://bucket/key."""
        bucket, _, key = address[len("s3://") :].partition("/")
        return S3(bucket, self.carried["region"], self.role), key

    # ---- before the worker ----

    def claim(self) -> bool:
        """Whether this job may compute its part of the plan: the first that asks, in all its attempts, unless the plan was cancelled."""
        mine = os.environ["AWS_BATCH_JOB_ID"].encode()
        answer = self.s3.ask("GET", f"{self.run}/plan/{self.carried['plan']}/cancelled")
        if answer.status == 200:
            return self.idle("its plan was cancelled")
        if answer.status != 404:
            raise Failed(f"{self.carried['run']} can't be read: {answer}")
        key = f"{self.run}/jobs/{self.job}/claim"
        answer = self.s3.ask("PUT", key, headers={"if-none-match": "*", **self.encryption}, body=mine)
        if answer.status == 200:
            return True
        there = self.s3.ask("GET", key)
        if there.status != 200:
            raise Failed(f"the job can't be claimed: {answer}")
        # it is ours if the answer was lost, and in later attempts
        return there.content == mine or self.idle("an earlier submission computes it")

    def idle(self, why: str) -> bool:
        print(f"simferry: job {self.job} does nothing: {why}", flush=True)
        return False

    def bring(self) -> None:
        """Code, plan and inputs. Where an earlier attempt has finished blocks, these too: the worker leaves out what they have."""
        for folder in ("input/code", "input/plan", "done", "blocks", "artifacts", "output", "scratch"):
            os.makedirs(os.path.join(self.root, folder), exist_ok=True)
        wanted = self.below(self.carried["run"] + "/code/", "input/code")
        self.bring_job()
        for name, address in self.carried["inputs"].items():
            wanted += self.below(address, "input/" + name)
        if self.attempt > 1:
            for key in self.s3.names(f"{self.run}/blocks/{self.job}-"):
                wanted.append((self.s3, key, "done/" + key.rpartition("/")[2]))
        self.fetch_all(wanted)

    def fetch_all(self, wanted: list[tuple[S3, str, str]]) -> None:
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(self.fetch, wanted):
                pass

    def bring_job(self) -> None:
        """The job's file, which is a part of one object: its index has the begin of each file and the end of the last, of 8 bytes each."""
        place = self.place(self.carried["jobs"])
        index = self.part(place, 8 * (int(self.number) - 1), 8 * (int(self.number) + 1))
        content = self.part(place, *struct.unpack("<2Q", index))
        try:
            with open(os.path.join(self.root, "input/plan/job"), "wb") as file:
                file.write(content)
        except OSError as error:
            raise Failed(f"disk: the job's file can't be written: {error.strerror}") from None

    def part(self, place: tuple[S3, str], start: int, end: int) -> bytes:
        s3, key = place
        answer = s3.ask("GET", key, headers={"range": f"bytes={start}-{end - 1}"})
        if answer.status != 206 or len(answer.content) != end - start:
            raise Failed(f"{self.carried['jobs']} can't be read: {answer}")
        return answer.content

    def below(self, address: str, folder: str) -> list[tuple[S3, str, str]]:
        """What to fetch from an address: one object, or all in a folder."""
        s3, prefix = self.place(address)
        if prefix and not prefix.endswith("/"):
            return [(s3, prefix, folder + "/" + prefix.rpartition("/")[2])]
        found = [(s3, key, folder + "/" + key[len(prefix) :]) for key in s3.names(prefix) if not key.endswith("/")]
        if not found:
            raise Failed(f"there is nothing at {address}")
        return found

    def fetch(self, one: tuple[S3, str, str]) -> None:
        s3, key, name = one
        if ".." in name.split("/") or "\0" in name:
            raise Failed(f"s3://{s3.bucket}/{key} is no file's name")
        path = os.path.join(self.root, name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "wb").close()
        except OSError as error:
            raise Failed(f"disk: {path} can't be written: {error.strerror}") from None
        answer = s3.ask("GET", key, to=path)
        if answer.status != 200:
            raise Failed(f"s3://{s3.bucket}/{key} can't be read: {answer}")

    # ---- beside the worker ----

    def send(self) -> None:
        """Send what is new: the blocks that are there now, after the artifacts of their replications, which are there too."""
        blocks = [*self.new("blocks")]
        for found in ([*self.new("artifacts")], blocks):
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                for _ in pool.map(self.put, found):
                    pass

    def new(self, name: str) -> Iterator[str]:
        """The plain files of a folder that are not sent, or have changed since."""
        for folder, folders, files in os.walk(os.path.join(self.root, name)):
            for file in [*files, *folders]:
                path = os.path.join(folder, file)
                try:
                    now = os.lstat(path)
                except OSError:  # it was moved meanwhile
                    continue
                key = os.fsencode(path[len(self.root) :])
                if stat.S_ISDIR(now.st_mode):
                    continue
                if not stat.S_ISREG(now.st_mode):
                    self.leave_out(path, "it is a link, or no plain file")
                elif re.search(rb"[\x00-\x1f\x7f]", key):
                    self.leave_out(path, "its name has a control character, with which lists of objects can't be read")
                elif len(key) + len(self.run) > LONGEST_KEY:
                    self.leave_out(path, f"its name in S3 would have more than {LONGEST_KEY:,} bytes")
                elif self.sent.get(path) != (now.st_size, now.st_mtime_ns):
                    yield path

    def leave_out(self, path: str, why: str) -> None:
        if path not in self.left_out and len(self.left_out) < MOST_LISTED:
            self.left_out.add(path)
            print(f"simferry: {path!r} is left out: {why}", flush=True)

    def put(self, path: str) -> None:
        with self.opened(path) as (file, now):
            if file is None:
                return
            self.put_as(self.key_of(path), file, now.st_size)
        self.sent[path] = (now.st_size, now.st_mtime_ns)

    @contextlib.contextmanager
    def opened(self, path: str) -> Iterator[Any]:
        """A plain file below the root, and what is known of it; (None, None) if it is gone, or may be another one."""
        try:
            file = open(path, "rb", opener=no_link)  # noqa: SIM115
        except FileNotFoundError:  # it was moved meanwhile
            yield None, None
            return
        except OSError as error:
            raise Failed(f"{path!r} can't be read: {error.strerror}") from None
        with file:
            now = os.fstat(file.fileno())
            # where a folder above it has become a link, it may be any file
            same = os.readlink(f"/proc/self/fd/{file.fileno()}") == path and stat.S_ISREG(now.st_mode)
            yield (file, now) if same else (None, None)

    def key_of(self, path: str) -> str:
        """The key of a file of the job's folders. Bytes that are not UTF-8 become \\x and two digits."""
        return self.run + os.fsencode(path[len(self.root) :]).decode(errors="backslashreplace")

    def put_as(self, key: str, file: IO[bytes], size: int) -> None:
        if size <= MOST_AT_ONCE:
            answer = self.s3.ask("PUT", key, headers=self.encryption, body=Part(file, 0, size))
        else:
            answer = self.s3.send_parts(key, file, size, self.encryption)
        if answer.status != 200:
            raise Failed(f"{file.name!r} can't be sent: {answer}")

    def leave_message(self) -> None:
        """Send the worker's reason why it could not go on."""
        text = self.read("message")
        if text is not None:
            self.tell(text or b"disk: it is full")  # where it is, there may be no room for words

    def tell(self, text: bytes) -> None:
        """Leave the reason why the job could not go on in the store."""
        with contextlib.suppress(Failed):  # without credentials
            self.s3.ask("PUT", f"{self.run}/jobs/{self.job}/message", headers=self.encryption, body=text)

    def read(self, name: str) -> bytes | None:
        """The beginning of a file that the worker's container may have written; None if there is none."""
        try:
            with open(os.path.join(self.root, name), "rb", opener=no_link) as file:
                return file.read(1024)
        except OSError:
            return None

    # ---- the whole ----

    def start(self) -> None:
        environment = {**os.environ, "SIMFERRY_ATTEMPT": str(self.attempt)}
        environment.pop("SIMFERRY_CARRIED", None)
        command = self.carried["command"]
        try:
            self.worker = subprocess.Popen(command, env=environment, cwd=os.path.join(self.root, "input/code"))
        except OSError as error:
            raise Failed(f"the image can't run {command[0]}: {error.strerror}") from None

    def stop(self, *_: Any) -> None:
        """The service ends the job: the worker writes what it has, which is sent within 30 s."""
        if not self.heard[1]:  # it has not begun
            os._exit(143)
        self.stopped = True
        with contextlib.suppress(OSError):  # the worker has ended
            os.close(os.open(os.path.join(self.root, STOP), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666))
        if self.worker is not None:
            self.worker.send_signal(signal.SIGINT)

    def over(self) -> int | None:
        """The exit code of the worker; None while it works."""
        if self.worker is not None:
            code = self.worker.poll()
            return code if code is None or code >= 0 else 128 - code
        said = self.read(ENDED)
        if said is not None and re.fullmatch(rb"[0-9]+\s*", said):
            return int(said)
        try:
            touched = os.lstat(os.path.join(self.root, ALIVE)).st_mtime_ns
        except OSError:
            touched = 0
        if touched != self.heard[0]:
            self.heard = (touched, time.monotonic())
        silent = time.monotonic() - self.heard[1]
        if not touched and silent > STARTS_SECONDS:
            raise Failed("the worker's container has not started: its image needs a shell, sh")
        if touched and silent > SILENT_SECONDS:
            print("simferry: the worker's container was killed, perhaps because its memory was full", flush=True)
            return 137
        return None

    def carry(self) -> int:
        """The exit code of the job."""
        signal.signal(signal.SIGTERM, self.stop)
        try:
            return self.carried_out()
        except Failed as error:
            print(f"simferry: {error}", flush=True)
            text = str(error)
            kind = "" if text.startswith("disk: ") else "worker: "
            self.tell((kind + text).encode(errors="backslashreplace"))
            return 1

    def carried_out(self) -> int:
        before = os.umask(0)  # the container beside this one may have another user
        self.enter()
        mine = self.claim()
        if mine:
            os.chmod(self.root, 0o777)
            self.bring()
        os.umask(before)
        if mine and not self.beside:
            self.start()
        self.heard = (0, time.monotonic())
        ready = os.path.join(self.root, READY)
        with open(ready + ".part", "w") as file:
            file.write(str(self.attempt if mine else 0))
        os.replace(ready + ".part", ready)
        return self.accompany() if mine else 0

    def enter(self) -> None:
        os.makedirs(self.given_root, exist_ok=True)
        self.root = os.path.realpath(self.given_root)

    def accompany(self) -> int:
        code = self.wait()
        self.send_last()
        self.leave_message()
        return 143 if self.stopped else code

    def wait(self) -> int:
        """Send what there is until the worker has ended. Returns its exit code."""
        while (code := self.over()) is None:
            try:
                self.send()
            except Failed as error:
                print(f"simferry: {error}", flush=True)  # it is tried again
            until = time.monotonic() + EACH_SECONDS
            while time.monotonic() < until and self.over() is None:
                time.sleep(0.1)
        return code

    def send_last(self) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self.send()
                break
            except Failed:
                if time.monotonic() > until:
                    raise
                time.sleep(EACH_SECONDS)


def no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


if __name__ == "__main__":
    sys.exit(Carrier(json.loads(os.environ["SIMFERRY_CARRIED"])).carry())
