"""Environment variables of a simulation's conditions: which names and values they may have."""

import re
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from ..errors import UsageError
from ..hints import Literal, Option, Text

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
# names of credentials: their values would be stored in the run, and shown
_CREDENTIAL = re.compile(
    r"AWS_.*|(.*_)?(TOKEN|PAT|PASS|AUTH|CREDENTIALS?)|.*SECRET.*|.*PASSWORD.*|.*PASSWD.*|.*PASSPHRASE.*|(.*_)?(API|ACCESS)?KEY(_ID)?|PGPASS.*",
    re.IGNORECASE,
)
# what simferry sets itself in its processes
_OURS = re.compile(r"SIMFERRY_.*|PYTHONPATH|PYTHONHASHSEED|R_PROFILE_USER")


def variables(given: Mapping[str, Any]) -> dict[str, str]:
    """Environment variables, whose values are texts with placeholders as in `args`, or numbers, by name.

    Raises UsageError for a name that is none, that looks like a credential, or that simferry sets itself, and for other values.
    """
    if not isinstance(given, Mapping):
        message = Text(Option("env"), " is ", Literal(given), "; it has to be values by the names of variables")
        raise UsageError(message, Option("env", {"SLURM_ARRAY_TASK_ID": "{condition}"}))
    out = {}
    for name, value in given.items():
        if not isinstance(name, str) or not re.fullmatch(NAME, name):
            raise UsageError(f"env: {name!r} is no name of an environment variable", "Names are letters, digits and _.")
        if _CREDENTIAL.fullmatch(name):
            raise UsageError(
                f"env: {name} looks like a credential, and values of env are stored in the run, where others can read them",
                "Jobs on this machine have the environment in which simferry was started: set it there. "
                "In the cloud, let the role of the jobs allow what they need.",
            )
        if _OURS.fullmatch(name):
            raise UsageError(
                f"env: simferry sets {name} in its jobs",
                Text("Bring modules with ", Option("include", ["src"]), ".") if name == "PYTHONPATH" else "",
            )
        if isinstance(value, Real) and not isinstance(value, (str, bool)):
            number = float(value)
            value = (
                f"{value}" if isinstance(value, Integral) else f"{number:.0f}" if number.is_integer() else repr(number)
            )
        if not isinstance(value, str) or "\0" in value:
            raise UsageError(f"env: {name} is {value!r}; it has to be a text or a number")
        out[name] = value
    return out
