"""A container that has a first task and then waits for its job, so that the engine starts one container for both.

It waits for a line on its standard input, which ends when this process does: so does the container then.
"""

import contextlib
import os
import secrets
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..aws.instances import Instance
from .engine import EngineError
from .limits import limits
from .removal import FOLDER, WAITING_FOLDER, labels_of, leftovers, remove_folder

MOUNT, HOST = "/opt/ml", "algo-1"
START_SECONDS = 120  # for a container to start


def open_to_all(folder: Path) -> None:
    """Let the user of an image, who is not this one, write in a folder. Programs stay programs."""
    for path in [folder, *(p for p in folder.rglob("*") if not p.is_symlink())]:
        path.chmod(0o777 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o666)


class WaitingContainer:
    """job, owner: of the job that may come. store: holds the run that it is of, and the container's folder until then. sets_up: whether
    it begins with a setup script, which is done for the job as well.

    Raises OSError where nothing can be written there.
    """

    def __init__(self, client: Any, image: str, job: str, owner: str, store: Path, sets_up: bool = False) -> None:
        self.client, self.image, self.job, self.store, self.sets_up = client, image, job, store, sets_up
        self.is_new_store = not store.exists()
        store.mkdir(exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=WAITING_FOLDER, dir=store))
        self.labels = labels_of(owner, job)
        self.container: Any = None
        self.status: int | None = None  # exit status, where it is known
        self.ended, self._started = threading.Event(), threading.Event()
        self._input: Any = None

    @property
    def mount(self) -> Path:
        """The folder that the container has as /opt/ml."""
        return self.folder / HOST

    def start(self, command: list[str], environment: Mapping[str, str], kind: Instance, inputs: Path) -> None:
        """Start it, in another thread. inputs: a folder, of which it gets a copy as /opt/ml/processing/input."""
        shutil.copytree(inputs, self.mount / "processing" / "input", symlinks=True)
        open_to_all(self.mount)
        options = {
            "entrypoint": command, "command": [], "environment": environment, "hostname": HOST, "stdin_open": True,
            "name": f"{self.job}-{HOST}-{secrets.token_hex(4)}", "labels": {**self.labels, FOLDER: str(self.folder)},
            "volumes": {str(self.mount): {"bind": MOUNT, "mode": "rw"}}, **limits(kind),
        }  # fmt: skip
        threading.Thread(target=self._live, args=(options,), daemon=True).start()

    def _live(self, options: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):  # who needs it starts another container, and hears of the error
            try:
                self.container = self.client.containers.create(self.image, **options)
                self._input = self.client.api.attach_socket(self.container.id, params={"stdin": 1, "stream": 1})
                self.container.start()
            finally:
                self._started.set()
            self.status = self.client.api.wait(self.container.id, timeout=None)["StatusCode"]
        self.ended.set()

    def is_waiting(self, mark: str, meanwhile: Callable[[], None], seconds: float) -> bool:
        """Returns True when the container has made the file `mark` in /opt/ml/processing and waits, False when it has ended.

        meanwhile: is called first. Raises TimeoutError after so many seconds.
        """
        until = time.monotonic() + seconds
        meanwhile()
        path = self.mount / "processing" / mark
        while not os.path.lexists(path) and not self.ended.wait(0.002):
            if time.monotonic() > until:
                raise TimeoutError(f"{self.job} does not wait yet")
        return not self.ended.is_set()

    def printed(self) -> str:
        """What it has printed."""
        with contextlib.suppress(Exception):
            return bytes(self.container.logs()).decode(errors="replace")
        return ""

    def put_aside(self, inputs: Path) -> bool:
        """Take away the files of its first task, where it no longer sees them. Returns whether nothing else is left in its folder.

        inputs: as `start` got them. A setup script may have left files beside the code, which the job would not find.
        """
        with contextlib.suppress(OSError):
            if self.sets_up and _stamps(inputs) != _stamps(self.mount / "processing" / "input"):
                return False
            os.rename(self.mount / "processing", self.folder / "before")
            return not os.listdir(self.mount)
        return False

    def move(self, folder: Path) -> None:
        """Move its folder; the container keeps it mounted."""
        os.rename(self.folder, folder)
        self.folder = folder

    def run(self) -> None:
        """Let it run the job that is in its folder by now. Raises OSError if it has ended."""
        if self.ended.is_set():
            raise ChildProcessError("the container has ended")
        with contextlib.closing(self._input):
            self._input._sock.sendall(b"/opt/ml/processing\n")

    def end(self) -> None:
        """Remove it, and its folder."""
        self._started.wait(START_SECONDS)
        with contextlib.suppress(Exception):
            self._input.close()
        with contextlib.suppress(EngineError):
            leftovers(self.client, self.labels)
        remove_folder(self.client, self.image, self.folder)
        if self.is_new_store:
            with contextlib.suppress(OSError):  # it holds runs by now
                self.store.rmdir()


def _stamps(folder: Path) -> dict[str, tuple[int, ...]]:
    """By the path of each file and folder in a folder: kind, size, and time of change. No link is followed."""
    found = {}
    for inside, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(inside, name)
            one = os.lstat(path)
            is_file = stat.S_ISREG(one.st_mode)
            found[os.path.relpath(path, folder)] = (
                stat.S_IFMT(one.st_mode),
                *((one.st_size, one.st_mtime_ns) if is_file else ()),
            )
    return found
