"""The script that each container runs before the worker, the option `before`: it installs what the image lacks.

It travels with the code, as simferry_worker/before, beside worker/start.sh, which runs it and then becomes the worker.
"""

import codecs
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import SimulationError
from ..hints import Command, Text, Words

PLACE = "simferry_worker/before"  # in the folder of the code
_START = "simferry_worker/start.sh"
_FAILED = "before: "  # how a message begins that start.sh has left: exit code and user, then the last lines


def content_of(path: Path) -> bytes:
    """A setup script as containers get it: with line ends of Unix, without a byte order mark. A file requirements.txt becomes
    a script that pip runs. Raises SimulationError."""
    if path.is_dir():
        raise SimulationError(
            f"before: {path} is a folder, not a script", f"Name the script in it: {path / 'setup.sh'}"
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SimulationError(f"before: {path} can't be read: {error.strerror or error}") from None
    content = content.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
    if content.strip() and re.fullmatch(r"requirements.*\.txt", path.name):  # the first line is a comment to pip
        content = b"#!python3 -m pip install --disable-pip-version-check -r\n" + content
    if b"\0" in content:
        raise SimulationError(f"before: {path} is not a text file: it holds null bytes", "Scripts are UTF-8 text.")
    if not content.strip():
        raise SimulationError(
            f"before: {path} is empty", "It is a shell script, such as:  apt-get install -y libgsl-dev"
        )
    return content


def files_of(content: bytes) -> dict[str, Path | bytes]:
    """The files of the snapshot for a setup script, by name."""
    return {PLACE: content, _START: Path(__file__).parents[1] / "worker" / "start.sh"}


def command_after(spec: Mapping[str, Any], code: str, command: list[str]) -> list[str]:
    """The command of a container: it runs the simulation's setup script, if there is one, and then becomes the given command.

    spec: the simulation, as in run.json. code: the folder of the code there.
    """
    return ["sh", f"{code}/{_START}", spec.get("folder") or ".", *command] if spec.get("before") else command


def note(spec: Mapping[str, Any], isolated: bool) -> str:
    """What to know of a simulation's setup script before it runs; empty for nothing. isolated: containers have no network."""
    if not (spec.get("before") and isolated):
        return ""
    return f"{spec['before']} can't download anything: with network isolation containers have no network"


def has_failed(message: str) -> bool:
    """Whether the message that a job has left is of its setup script."""
    return message.startswith(_FAILED)


def failure(name: str, message: str, more: Words = "") -> SimulationError:
    """The error for such a message. name: of the script, as users know it. more: a hint at all that it has printed."""
    first, _, printed = message.removeprefix(_FAILED).partition("\n")
    status, _, user = first.partition(" ")
    printed = re.sub(rf"\S*/{PLACE}\b", name.replace("\\", r"\\"), printed)
    lines = [line for line in printed.splitlines() if line.strip()]
    shown = "".join(f"\n  {line}" for line in lines)
    hint = more
    if user not in ("", "0", "root") and re.search(
        r"(?i)permission denied|are you root|not writable|superuser", printed
    ):
        hint = Text(
            f"It ran as {user}, the image's user. Use an image whose user is root, or install this while the image is built: ",
            Command("image build for", "simulate.R"), "  runs a setup.sh beside the script as root.",
        )  # fmt: skip
    return SimulationError(
        f"{name} failed with exit code {status}, before the simulation{':' if shown else ''}{shown}", hint
    )
