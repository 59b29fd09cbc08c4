"""The machine on which emulated jobs run: its Docker engine, its cores, and a folder for the files of containers."""

import contextlib
import json
import os
import shutil
import stat
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from ..containers import removal
from ..containers.engine import EngineError, connect
from ..system.processes import alive, identity, process_of

OWNER = "simferry-emulator"


class Cores:
    """The machine's cores. Jobs reserve them in the order in which they ask."""

    def __init__(self, count: int) -> None:
        self.count = self.free = count
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def reserve(self, wanted: int, given_up: Callable[[], bool]) -> Iterator[bool]:
        """Waits until `wanted` cores are free (or all, if the machine has fewer). Yields False if `given_up` becomes true first."""
        wanted, ticket, reserved = min(wanted, self.count), object(), 0
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: given_up() or (self._waiting[0] is ticket and self.free >= wanted))
            self._waiting.remove(ticket)
            if not given_up():
                reserved = wanted
                self.free -= reserved
            self._changed.notify_all()
        try:
            yield bool(reserved)
        finally:
            with self._changed:
                self.free += reserved
                self._changed.notify_all()

    def wake(self) -> None:
        """Let all that wait look whether they have given up."""
        with self._changed:
            self._changed.notify_all()


class Machine:
    """registry: the host of the registry behind ECR. bring_back: pulls an image that was pushed there, by repository and tag or digest,
    and returns its id, or nothing. The registry sets both."""

    def __init__(self) -> None:
        self.registry = ""
        self.bring_back: Callable[[str, str], str] = lambda repository, reference: ""
        self.cores = Cores(os.cpu_count() or 1)
        self.owner = f"{OWNER}-{os.getpid()}"
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.owner}-"))
        (self.folder / "emulator.json").write_text(json.dumps(identity(os.getpid())))

    @cached_property
    def client(self) -> Any:
        """The client of the Docker engine. Raises EngineError."""
        return connect()

    def clean_up(self) -> None:
        """Remove containers and folders of this emulator's jobs."""
        with contextlib.suppress(EngineError):
            removal.leftovers(self.client, {removal.OWNER: self.owner})
        shutil.rmtree(self.folder, ignore_errors=True)


def end_process(record: Path) -> None:
    """End the process whose identity a file has, if it runs."""
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        if process := process_of(json.loads(record.read_bytes())):
            process.terminate()


def clean_up_killed_emulators() -> None:
    """Remove containers and folders of this user's emulators that were killed."""
    for record in Path(tempfile.gettempdir()).glob(f"{OWNER}-*/emulator.json"):
        with contextlib.suppress(OSError, ValueError, EngineError):
            found = record.parent.lstat()  # in a shared folder others may have made this, for example as a link
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            if not alive(json.loads(record.read_bytes())):
                end_process(record.parent / "registry" / "registry.json")
                client = connect()
                removal.leftovers(client, {removal.OWNER: "-".join(record.parent.name.split("-")[:3])})
                for folder in record.parent.glob("*/"):
                    image = (folder / "image").read_text() if (folder / "image").is_file() else ""
                    removal.remove_folder(client, image, folder)
                shutil.rmtree(record.parent)
