"""The command `simferry`. The worker of a new run on this machine starts before the command line is loaded (jobs/waiting.py)."""

import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command, and exit with its code."""
    if sys.argv[1:2] != ["run"]:
        from .cli import main as command

        command()
        return
    from .jobs import waiting

    try:
        if spec := simulation_of(sys.argv[2:]):
            store = option("--store", sys.argv) or os.environ.get("SIMFERRY_STORE") or "simferry-runs"
            waiting.start(spec, Path(store).expanduser().absolute())
        from .cli import main as command

        command()
    finally:
        waiting.end()


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
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return ""


if __name__ == "__main__":
    main()
