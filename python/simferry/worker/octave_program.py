"""Which program runs MATLAB's language here, and how it runs a whole script."""

import shutil
from pathlib import Path

PROGRAMS = ("octave-cli", "octave", "matlab")


def program() -> str:
    """The interpreter on this machine; empty if there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), "")


def script_command(path: str, seed: int) -> list[str]:
    """The command that runs a whole script. seed: for MATLAB; Octave's generators are seeded by seed.m."""
    one = program() or PROGRAMS[0]
    if Path(one).name == "matlab":
        quoted = path.replace("'", "''")
        return [one, "-nodisplay", "-nosplash", "-nodesktop", "-r", f"rng({seed}); run('{quoted}'); exit"]
    return [one, "--no-gui", "--no-init-file", "--no-history", path]
