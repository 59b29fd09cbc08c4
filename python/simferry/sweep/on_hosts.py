"""Scripts and commands that run in several processes or on several hosts: the options mpi, mpi_options and each_host of a backend.

They are part of the simulation, as numbers depend on how many ranks there are. On how many hosts these are, they do not depend.
"""

import copy
import shlex
from collections.abc import Mapping
from typing import Annotated, Any

from ..errors import SimulationError, UsageError
from ..hints import Option, Text
from .option_values import OptionSpec

NAMES = ("mpi", "mpi_options", "each_host")


def _fit(text: str) -> str:
    """What options of mpirun have to be, in words, if a text is none; empty if it is right. text: as in a shell. Raises nothing."""
    from ..toolkit import mpi

    try:
        problem = mpi.problem_of(shlex.split(text))
    except ValueError as error:
        problem = f"these can't be split into words: {error}"
    return f"options of mpirun, such as -x NAME ({problem})" if problem else ""


# the options, of backends whose jobs may have several hosts
Mpi = Annotated[
    int | None,
    OptionSpec("run a script or a command with MPI, in so many processes on each host", "N", "processes", minimum=1, maximum=2**31 - 1),
]  # fmt: skip
MpiOptions = Annotated[str | None, OptionSpec('options of mpirun, such as "-x NAME"', "OPTIONS", fits=_fit)]
EachHost = Annotated[bool | None, OptionSpec("run a script or a command on each host, not on the first one alone")]
# why other backends have none of them
LACK_HERE = dict.fromkeys(
    NAMES, Text("A command can call mpirun itself. Containers have it: ", Option("backend", "docker"), ".")
)
LACK_ON_BATCH = dict.fromkeys(
    NAMES,
    Text(
        "A job of AWS Batch is one process of a script, on one machine: ", Option("backend", "sagemaker"), " has more."
    ),
)


def with_hosts(simulation: Any, backend: Any, cores: int | None = None) -> Any:
    """The simulation with what a backend's options say of its processes and hosts.

    simulation: a `Simulation`. backend: its options. cores: of a replication, if they are given.
    Raises UsageError or SimulationError where they do not go together.
    """
    given = {name: getattr(backend, name, None) or None for name in (*NAMES, "hosts")}
    if given["mpi"] and cores:
        raise UsageError(
            Text(Option("cores"), " goes not with ", Option("mpi"), ": a replication has all cores of a job")
        )
    on_hosts = _on_hosts(simulation, given) if any(given[name] for name in NAMES) else {}
    if on_hosts == simulation.on_hosts:
        return simulation
    out = copy.copy(simulation)
    out.on_hosts = on_hosts
    return out


def _on_hosts(simulation: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What run.json has of it."""
    hosts, option = given["hosts"] or 1, next(name for name in NAMES if given[name])
    if simulation.kind == "image":
        raise SimulationError(
            Text(Option(option), f" is for scripts and commands, and {simulation.target} is an image"),
            "Its program runs on each host, and starts MPI itself.",
        )
    if simulation.kind == "function":
        raise SimulationError(
            Text(Option(option), " is for scripts and commands, and a function is called in one process"),
            Text("A whole script has arguments: ", Option("args", "{n}"), ". A function can use more jobs: ", Option("jobs", 2)),
        )  # fmt: skip
    if simulation.language == "octave":
        raise SimulationError(
            Text(Option(option), " is not for scripts of Octave, which would draw the same numbers in all processes")
        )
    if given["each_host"]:
        if given["mpi"] or given["mpi_options"]:
            raise UsageError(
                Text(Option("each_host"), " runs a script once on each host, without MPI: give it or ", Option("mpi"))
            )
        if hosts == 1:
            raise UsageError(Text(Option("each_host"), " is for several hosts"), Option("hosts", 2))
        return {"each_host": hosts}
    if not given["mpi"]:
        raise UsageError(Text(Option("mpi_options"), " is for programs with MPI"), Option("mpi", 4))
    return {"mpi": {"ranks": given["mpi"] * hosts, "hosts": hosts, "options": shlex.split(given["mpi_options"] or "")}}


def decides(on_hosts: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of it decides the results: not on how many hosts the ranks are."""
    if "mpi" not in on_hosts:
        return on_hosts
    return {"mpi": {name: value for name, value in on_hosts["mpi"].items() if name != "hosts"}}
