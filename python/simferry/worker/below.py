"""The stream of a Python process that a command, script or function starts. below.R explains how such processes are numbered."""

import atexit
import os
import sys
from _blake2 import blake2b

PROCESSES, PARENT = "SIMFERRY_PROCESSES", "SIMFERRY_PARENT"


def key_below() -> str:
    """The key of the stream of this process, in hexadecimal digits. If the process can't be numbered, prints a message and returns ""."""
    folder = os.environ[PROCESSES]
    same = _digest("Python", os.environ.get(PARENT, ""), *known_arguments(sys.orig_argv[1:]))
    try:
        count = sum(name.startswith(same) for name in os.listdir(folder)) + 1
        while not _made(os.path.join(folder, f"{same}-{count}")):
            count += 1
    except OSError as error:
        print(f"simferry: this Python process has no random numbers of its own: {error}", file=sys.stderr)
        return ""
    own = _digest(same, str(count))
    os.environ[PARENT] = own
    return own


def count_processes(folder: str, profile: str) -> None:
    """Give the processes that this one starts streams of their own; each Popen is a parent (see hooks.py)."""
    os.environ[PROCESSES] = folder
    if "R_PROFILE_USER" in os.environ:
        os.environ["SIMFERRY_R_PROFILE_USER"] = os.environ["R_PROFILE_USER"]
    os.environ["R_PROFILE_USER"] = profile


def report_own_code() -> None:
    """When this process exits, report its modules to the worker: they may be the user's own code (own.py)."""
    folder, process, library = os.environ[PROCESSES], os.getpid(), os.path.dirname(os.__file__)

    def report_loaded() -> None:
        lines = []
        for name, module in list(sys.modules.items()):
            path = getattr(module, "__dict__", {}).get("__file__")
            if isinstance(path, str) and not path.startswith(library) and name != "__main__":
                lines.append(f"{name}\t{os.path.abspath(path)}\n")
        if lines and os.getpid() == process:
            with open(os.path.join(folder, "modules"), "a", encoding="utf-8", errors="surrogateescape") as file:
                file.write("".join(lines))

    atexit.register(report_loaded)


def known_arguments(arguments: list[str]) -> list[str]:
    """The arguments without parts that differ between workers, machines and runs: paths of folders, names of temporary files."""
    root = os.path.dirname(os.path.dirname(os.environ[PROCESSES]))
    code = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for folder in (os.environ.get("SIMFERRY_OUTPUT"), code, os.path.join(root, "input", "code"), root):
        arguments = [text.replace(folder, ".") for text in arguments] if folder else arguments
    import re  # imported late: few processes need it

    arguments = [re.sub(r"tmp[.][A-Za-z0-9]{6,}", "tmp", text) for text in arguments]  # mktemp's
    arguments = [re.sub(r"/tmp[a-z0-9_]{8}(?![A-Za-z0-9_])", "/tmp", text) for text in arguments]  # Python's
    return [re.sub(r"Rtmp[A-Za-z0-9]{6}(/[^/\s]*?[0-9a-f]{7,})?", "Rtmp", text) for text in arguments]  # R's


def _digest(*parts: str) -> str:
    return blake2b("\n".join(parts).encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _made(folder: str) -> bool:
    try:
        os.mkdir(folder)
    except FileExistsError:
        return False
    return True
