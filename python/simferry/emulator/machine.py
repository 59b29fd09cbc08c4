"""What emulated jobs run on: this machine's Docker engine, its cores, and a folder for what containers see."""

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

from ..containers import job as container_job
from ..containers.engine import EngineError, connect
from ..processes import alive, identity

OWNER = "simferry-emulator"


class Cores:
    """This machine's cores, lent to one job after the other in the order in which they ask."""

    def __init__(self, count: int) -> None:
        self.count = self.free = count
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def lent(self, wanted: int, given_up: Callable[[], bool]) -> Iterator[bool]:
        """Waits until so many are free (or all, where more are wanted); False if whoever waits gives up first."""
        wanted, me, mine = min(wanted, self.count), object(), 0
        with self._changed:
            self._waiting.append(me)
            self._changed.wait_for(lambda: given_up() or (self._waiting[0] is me and self.free >= wanted))
            self._waiting.remove(me)
            if not given_up():
                mine = wanted
                self.free -= mine
            self._changed.notify_all()
        try:
            yield bool(mine)
        finally:
            with self._changed:
                self.free += mine
                self._changed.notify_all()

    def look_again(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Machine:
    def __init__(self) -> None:
        self.cores = Cores(os.cpu_count() or 1)
        self.owner = f"{OWNER}-{os.getpid()}"
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.owner}-"))
        (self.folder / "emulator.json").write_text(json.dumps(identity(os.getpid())))

    @cached_property
    def client(self) -> Any:
        """The Docker engine's client. Raises EngineError."""
        return connect()

    def clean_up(self) -> None:
        """Remove what this emulator's jobs left behind."""
        with contextlib.suppress(EngineError):
            container_job.leftovers(self.client, {container_job.OWNER: self.owner})
        shutil.rmtree(self.folder, ignore_errors=True)


def clean_up_after_killed_ones() -> None:
    """Remove containers and folders of emulators of this user that have ended without doing it."""
    for record in Path(tempfile.gettempdir()).glob(f"{OWNER}-*/emulator.json"):
        with contextlib.suppress(OSError, ValueError, EngineError):
            found = record.parent.lstat()  # others may put there what they like: a link to a folder of the host's, say
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            if not alive(json.loads(record.read_bytes())):
                client = connect()
                container_job.leftovers(client, {container_job.OWNER: "-".join(record.parent.name.split("-")[:3])})
                for folder in record.parent.glob("*/"):
                    image = (folder / "image").read_text() if (folder / "image").is_file() else ""
                    container_job.remove_folder(client, image, folder)
                shutil.rmtree(record.parent)
