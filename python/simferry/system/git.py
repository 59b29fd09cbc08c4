"""What git knows of a folder: the commit, whether the files there are as in it, and which files it does not ignore."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import SimulationError

AT_ONCE = 500  # files that git is asked about in one command
SECONDS = 5  # that git may take; a run starts without an answer, too
LISTING_SECONDS = 120  # where a run needs the answer
# git writes nothing, asks nothing, and starts no program that the repository names
_GIT = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


def asked_ahead(folder: Path, files: Sequence[Path] = ()) -> Callable[[], dict[str, Any] | None]:
    """Ask for `commit_of` in the background; what is returned waits for the answer. git takes tens of milliseconds."""
    answer: list[dict[str, Any] | None] = []
    thread = threading.Thread(target=lambda: answer.append(commit_of(folder, files)), daemon=True)
    thread.start()

    def wait() -> dict[str, Any] | None:
        thread.join()
        return answer[0]

    return wait


def commit_of(folder: Path, files: Sequence[Path] = ()) -> dict[str, Any] | None:
    """The commit that is checked out in a folder: {"commit": its hash, "clean": whether all files that git knows are as in it}.

    files: they have to be in the commit as well. clean is None if git takes too long to say. None where there is no commit or no git.
    """
    commit = _said(folder, "rev-parse", "--verify", "HEAD")
    if not commit:
        return None
    changed = _said(folder, "status", "--porcelain", "--untracked-files=no")
    clean = None if changed is None else changed == "" and all(_knows(folder, files))
    return {"commit": commit.strip(), "clean": clean}


def _knows(folder: Path, files: Sequence[Path]) -> Iterator[bool]:
    for first in range(0, len(files), AT_ONCE):
        names = [str(file.resolve()) for file in files[first : first + AT_ONCE]]
        yield _said(folder, "--literal-pathspecs", "ls-files", "--error-unmatch", "--", *names) is not None


def _said(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails, takes too long or is not there."""
    try:
        done = _run(folder, *arguments, seconds=SECONDS)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return None if done.returncode else done.stdout.decode(errors="replace")


def files_known(folder: Path) -> list[str] | None:
    """The names, relative to the folder, of the files that git does not ignore there: those in the commit, and new ones. A repository
    in this one is one name. None where no repository is, or where the folder itself is ignored.

    Raises SimulationError where there is a repository, and git can't be asked.
    """
    if not any((around / ".git").exists() for around in (folder, *folder.parents)):
        return None
    try:
        ignored = _run(folder, "check-ignore", "--quiet", ".", seconds=LISTING_SECONDS)
        if ignored.returncode == 0 and not (folder / ".git").exists():
            return None
        listing = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        done = _run(folder, *listing, seconds=LISTING_SECONDS)
        said = done.stderr.decode(errors="replace").strip() if done.returncode else ""
    except FileNotFoundError:
        done, said = None, "git is not installed"
    except (OSError, subprocess.SubprocessError) as error:
        done, said = None, str(error)
    if done is None or done.returncode:
        raise SimulationError(
            f"project: git can't tell which files of {folder} it ignores: {said.splitlines()[0] if said else 'it gives no reason'}",
            "Run  git status  there, and mend what it says.",
        )
    return sorted({os.fsdecode(name) for name in done.stdout.split(b"\0") if name})


def _run(folder: Path, *arguments: str, seconds: float) -> "subprocess.CompletedProcess[bytes]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        [*_GIT, "-C", str(folder), *arguments], env={**environment, "GIT_TERMINAL_PROMPT": "0"},
        stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False,
    )  # fmt: skip
