"""The command `simferry`. The worker of a new run on this machine starts before the command line is loaded (jobs/waiting.py)."""

import atexit
import os
import sys
import threading
from pathlib import Path


def main() -> None:
    """Run the command, and exit with its code."""
    _open_streams()
    try:
        if sys.argv[1:2] == ["run"]:
            _run()
        else:
            from .cli import main as command

            command()
    except KeyboardInterrupt:  # while it was being loaded
        sys.stderr.write("simferry: stopped\n")
        sys.exit(4)


def _open_streams() -> None:
    """Let a stream that was closed before the start lead nowhere. A file would get its number, and take what is printed."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "r" if name == "stdin" else "w")  # noqa: SIM115
            os.set_inheritable(stream.fileno(), True)  # what this process starts needs it too
            setattr(sys, name, stream)


def _run() -> None:
    from .jobs import waiting

    try:
        if spec := simulation_of(sys.argv[2:]):
            store = option("--store", sys.argv) or os.environ.get("SIMFERRY_STORE") or "simferry-runs"
            waiting.start(spec, Path(store).expanduser().absolute())
            _load_numpy()
        from .cli import main as command

        command()
    except SystemExit as end:
        waiting.end()
        _leave(end.code)
        raise
    finally:
        waiting.end()


def _load_numpy() -> None:
    """Load numpy without a thread of OpenBLAS for each core: these take half of the time, and this process has no use for them."""
    name = "OPENBLAS_NUM_THREADS"
    if name in os.environ:
        return
    os.environ[name] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ[name]  # what this process starts has its own settings


def _leave(code: object) -> None:
    """Exit, unless other threads work yet, without taking all modules apart first, which takes as long as a short job."""
    if isinstance(code, int) and threading.active_count() == 1:
        atexit._run_exitfuncs()
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:  # nobody reads it: the usual exit says so
            return
        os._exit(code)


def simulation_of(arguments: list[str]) -> dict[str, str]:
    """What can be seen of a simulation that is to run on this machine: language, kind, objects. Empty where no worker is to start.

    It may be wrong: the simulation then gets another worker.
    """
    names = {word.partition("=")[0] for word in arguments}
    elsewhere = option("--backend", arguments) not in ("", "local")
    if elsewhere or names & {"-h", "--help", "--detach", "--env"}:
        return {}
    known = {".r": "r", ".py": "python"}
    files = (word for word in arguments if Path(word).suffix.lower() in known and os.path.isfile(word))
    if not (script := next(files, "")):
        return {}
    kind = "script" if "--args" in names else "function"
    return {"language": known[Path(script).suffix.lower()], "kind": kind, "objects": ""}


def option(name: str, arguments: list[str]) -> str:
    """The value of an option in a command line; empty if it is not there."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""


if __name__ == "__main__":
    main()
