"""The git commit of a folder, and whether the files there are as in it."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

AT_ONCE = 500  # files that git is asked about in one command
SECONDS = 5  # that git may take; a run starts without an answer, too
# git writes nothing, asks nothing, and starts no program that the repository names
_SAFELY = ("--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_GIT = ("git", "--literal-pathspecs", *_SAFELY)


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
        yield _said(folder, "ls-files", "--error-unmatch", "--", *names) is not None


def _said(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails, takes too long or is not there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            [*_GIT, "-C", str(folder), *arguments], env={**environment, "GIT_TERMINAL_PROMPT": "0"}, check=True,
            stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", timeout=SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return done.stdout
