"""Carries the files of a job of an image on AWS Batch: its program is the image's own, `train`, under the contract of SageMaker Training.

It runs in two containers with a volume at /opt/ml that the image's container shares. The first one ends before the image's container
starts: it claims the job and brings what a training job finds. The other one sends checkpoints as they grow, and at the end what the
program has left: archives/NAME/output/model.tar.gz and output.tar.gz, and archives/NAME/ended, JSON with its exit code and its failure.

    SIMFERRY_CARRIED   as for the carrier; and number (of the job in its plan, 0001), name (of the training job)
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tarfile
import time
import urllib.request
from typing import Any

from .carrier import Carrier
from .s3 import Failed

MOUNT = "/opt/ml"
OWN = "/simferry"  # a volume that the image's container does not have
WORK = "work"  # the image's container
IDLE = 93  # exit code: another submission has this job, or its plan was cancelled
NOT_STARTED = 127
SILENT_ECS_SECONDS = 60
END_SECONDS = 90  # after SIGTERM, for the program; of the contract's 120
FOLDERS = ("input/config", "input/data", "model", "output/data", "checkpoints")
FAILURES = ("failure", "failure.txt")
MOST_FAILURES, LONGEST_FAILURE = 10, 1024


class ImageCarrier(Carrier):
    """own: a folder of the carrier's own."""

    def __init__(self, carried: dict[str, Any], root: str = MOUNT, own: str = OWN) -> None:
        super().__init__({**carried, "command": []}, root)
        self.number, self.own = carried["number"], own
        self.job = f"{carried['plan']}-{self.number}"
        self.archives = f"{self.run}/archives/{carried['name']}"
        self.stopped_at = 0.0
        self.answered = time.monotonic()  # when ECS has last said how the image's container is
        self.code: int | None = None

    # ---- before the program ----

    def begin(self, text: str) -> int:
        """text: of this program, which is left for the container beside the image's."""
        os.umask(0)  # the image's container may have another user
        self.enter()
        if not self.claim():
            return IDLE
        os.chmod(self.root, 0o777)
        self.bring()
        with open(os.path.join(self.own, "carrier.py"), "w") as file:
            file.write(text)
        return 0

    def bring(self) -> None:
        for folder in FOLDERS:
            os.makedirs(os.path.join(self.root, folder), exist_ok=True)
        asked = self.s3.ask("GET", f"{self.run}/jobs/{self.job}/request")
        if asked.status != 200:
            raise Failed(f"the job's request can't be read: {asked}")
        for name, content in json.loads(asked.content.decode()).items():
            with open(os.path.join(self.root, "input/config", name + ".json"), "w") as file:
                json.dump(content, file)
        wanted = []
        for name, address in self.carried["inputs"].items():
            wanted += self.below(address, "input/data/" + name)
        begin = self.restarts()
        for key in self.s3.names(begin):
            if not key.endswith("/"):
                wanted.append((self.s3, key, "checkpoints/" + key[len(begin) :]))
        self.fetch_all(wanted)

    def restarts(self) -> str:
        return f"{self.run}/restarts/{self.job}/"

    # ---- beside it ----

    def follow(self) -> int:
        self.enter()
        self.heard = (1, time.monotonic())  # it has begun: from now on SIGTERM does not end this at once
        began = time.monotonic()
        code = self.wait()
        seconds = time.monotonic() - began
        self.send_last()
        said = self.failure()
        failed = bool(code or said)
        for name, folder in (("model", "model"), ("output", "output/data")):
            if name == "output" or self.stopped or not failed:
                self.send_packed(name, folder)
        ended = {"code": code, "failure": said, "seconds": seconds, "attempt": self.attempt, "stopped": self.stopped}
        self.s3.ask("PUT", f"{self.archives}/ended", headers=self.encryption, body=json.dumps(ended).encode())
        return 143 if self.stopped else code or int(failed)

    def over(self) -> int | None:
        """The exit code of the image's container; None while it runs."""
        if self.stopped and time.monotonic() - self.stopped_at > END_SECONDS:
            return 143
        if self.code is None:
            self.code = self.asked_of_ecs()
        return self.code

    def asked_of_ecs(self) -> int | None:
        url = os.environ["ECS_CONTAINER_METADATA_URI_V4"] + "/task"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=5) as answer:
                containers = json.loads(answer.read().decode())["Containers"]
            one = next(one for one in containers if one["Name"] == WORK)
        except (OSError, ValueError, KeyError, StopIteration) as error:
            if time.monotonic() - self.answered > SILENT_ECS_SECONDS:
                raise Failed(f"ECS does not say how the image's container is: {error!r}") from None
            return None
        self.answered = time.monotonic()
        return int(one.get("ExitCode", NOT_STARTED)) if one.get("KnownStatus") == "STOPPED" else None

    def send(self) -> None:
        for path in self.new("checkpoints"):
            self.put(path)

    def key_of(self, path: str) -> str:
        below = os.fsencode(path[len(self.root) + len("/checkpoints/") :])
        return self.restarts() + below.decode(errors="backslashreplace")

    def stop(self, *_: Any) -> None:
        if not self.stopped:
            self.stopped_at = time.monotonic()
        super().stop()

    # ---- its end ----

    def failure(self) -> dict[str, Any]:
        """What the program says of its failure: text, or inside (texts of the files in a folder), or neither, where there is something
        else; empty if it says nothing."""
        for name in FAILURES:
            path = os.path.join(self.root, "output", name)
            if os.path.isdir(path) and not os.path.islink(path):
                some = sorted(os.listdir(path))[:MOST_FAILURES]
                return {"name": name, "inside": [self.text_of(os.path.join(path, one)) or "" for one in some]}
            if os.path.lexists(path):
                text = self.text_of(path)
                return {"name": name} if text is None else {"name": name, "text": text}
        return {}

    def text_of(self, path: str) -> str | None:
        with contextlib.suppress(Failed), self.opened(path) as (file, _):
            if file is not None:
                content: bytes = file.read(4 * LONGEST_FAILURE)
                return content.decode(errors="replace")
        return None

    def send_packed(self, name: str, folder: str) -> None:
        """Pack the plain files of a folder, and send the archive."""
        start = os.path.join(self.root, folder)
        path = os.path.join(self.own, name + ".tar.gz")
        try:
            with tarfile.open(path, "w:gz", compresslevel=1) as archive:
                for one in self.new(folder):
                    with self.opened(one) as (file, now):
                        if file is None:
                            continue
                        member = tarfile.TarInfo(one[len(start) + 1 :])
                        member.size, member.mtime = now.st_size, int(now.st_mtime)
                        archive.addfile(member, file)
        except OSError as error:
            raise Failed(f"disk: {path} can't be written: {error.strerror or error}") from None
        with open(path, "rb") as packed:
            self.put_as(f"{self.archives}/output/{name}.tar.gz", packed, os.path.getsize(path))
        os.unlink(path)


def carry_image(carried: dict[str, Any], text: str = "") -> int:
    """The exit code of one of the two containers. text: of this program, as the first one has it in its command; the other has none."""
    carrier = ImageCarrier(carried)
    carrier.carried_out = (lambda: carrier.begin(text)) if text else carrier.follow  # type: ignore[method-assign]
    return carrier.carry()


if __name__ == "__main__":
    sys.exit(carry_image(json.loads(os.environ["SIMFERRY_CARRIED"]), globals().get("text", "")))
