"""Simulations that are images: programs under the contract of SageMaker Training, `docker run IMAGE train`.

The functions take a `Simulation` (simulation.py, which imports this module) and check what only images have.
"""

import re
from collections.abc import Mapping
from typing import Any

from ..aws.contracts import training as contract
from ..errors import SimulationError, UsageError
from ..hints import Option, Text
from ..store import counts
from ..store.counts import Counts
from ..store.records import MOST_JOBS
from ..worker.job import MARKS
from .design import Design
from .template import rendered_variables, results_patterns

PREFIX = "image:"
FEW_JOBS = 100  # that are started without being asked
LONGEST_VARIABLE = 512  # characters of an environment variable's value
# the folders that results files may be in, as users may name them
FOLDERS = {"model": f"{contract.ROOT}/model/", "output": f"{contract.ROOT}/output/data/"}
_OF_R = (".rds", ".rdata", ".rda")


def is_called(simulation: Any) -> bool:
    """Whether a simulation's target is image:NAME. Raises SimulationError for another with what only images have."""
    target = simulation.target
    if isinstance(target, str) and target.startswith(PREFIX):
        return True
    if wrong := next((name for name in ("replications_as", "seed_as") if getattr(simulation, name)), None):
        raise SimulationError(f"{wrong} is for images, and {target} is none", "An image is named image:NAME.")
    return False


def spec_of(simulation: Any) -> dict[str, Any]:
    """What run.json has of metrics and of an image's call, beside what every simulation has."""
    given = {
        "metric": dict(simulation.metric),
        "replications_as": simulation.replications_as,
        "seed_as": simulation.seed_as,
    }
    return {name: value for name, value in given.items() if value}


def check_call(simulation: Any) -> None:
    """Check how an image is called. Raises SimulationError."""
    name = simulation.image
    if not name or re.search(r"\s", name):
        raise SimulationError(f"{simulation.target!r} names no image", "Write image:NAME, as Docker calls it.")
    given: dict[str, Any] = {"args": simulation.args, "include": simulation.include, "constants": simulation.constants}
    given["project"] = simulation.project
    if wrong := next((one for one, value in given.items() if value not in (None, (), {}, False)), None):
        raise SimulationError(
            f"{wrong} is not for an image, which brings its program along",
            "The design's columns are its hyperparameters; files are inputs.",
        )
    converted = simulation.metric or simulation.replications_as
    if converted and simulation.results_file.lower().endswith(_OF_R):
        raise SimulationError(
            f"results_file {simulation.results_file} is R's, which goes neither with metrics nor with replications_as",
            "Let the program write CSV or JSON.",
        )
    if simulation.replications_as and not simulation.results_file:
        raise SimulationError(
            "replications_as makes one job a condition, and without a results file it has nothing for its replications",
            Option("results_file", "result.csv"),
        )


def check_metrics(simulation: Any) -> None:
    """Check the metrics of a simulation. Raises SimulationError."""
    if simulation.metric and simulation.kind == "function":
        raise SimulationError(
            "metric is for images, whole scripts and commands: a function returns its results",
            Text(
                "A whole script has ", Option("args", "{n}"), ", or ", Option("args", ""), " if it takes no arguments."
            ),
        )
    for metric, text in simulation.metric.items():
        check_metric(metric, text)
    if len(simulation.metric) > contract.MOST_METRICS:
        raise SimulationError(f"there are {len(simulation.metric)} metrics; a job takes {contract.MOST_METRICS}")


def check_metric(name: str, text: str) -> None:
    """Check the regular expression of a metric. Raises SimulationError."""
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise SimulationError(f"metric {name}: {text} is no regular expression: {error}") from None
    if groups == 0:
        raise SimulationError(
            f"metric {name}: the expression {text} has no group",
            "Put the number into parentheses: " + name + "=([0-9.]+)",
        )
    if len(text) > contract.LONGEST_EXPRESSION:
        raise SimulationError(
            f"metric {name}: the expression has {len(text)} characters, more than {contract.LONGEST_EXPRESSION}"
        )


def results_place(given: str) -> str:
    """The name of a results file without the folder model/ or output/data/, if it was given with its path in the container."""
    return next((given[len(folder) :] for folder in FOLDERS.values() if given.startswith(folder)), given)


def check_design(simulation: Any, design: Design) -> None:
    """Check that an image can take each condition. Raises UsageError or SimulationError."""
    spec = simulation.spec()
    results_patterns(spec, design)
    own = {"replications_as": simulation.replications_as, "seed_as": simulation.seed_as}
    for option, name in own.items():
        if name and (name in design.types or list(own.values()).count(name) > 1):
            raise SimulationError(f"{option}: {name} is the name of another hyperparameter", "Choose another name.")
    columns = {name: design.table[name].to_pylist() for name in design.names}
    for row in range(len(design)):
        given = {name: contract.hyperparameter(column[row]) for name, column in columns.items()}
        contract.check_hyperparameters(given | {name: "1" for name in own.values() if name}, f" of condition {row + 1}")
    for name, texts in rendered_variables(spec, design).items():
        if longest := max((text for text in texts if len(text) > LONGEST_VARIABLE), key=len, default=""):
            raise UsageError(f"env: {name} has {len(longest):,} characters; a training job takes {LONGEST_VARIABLE}")


def number_of_jobs(spec: Mapping[str, Any], replications: Counts, conditions: int) -> int:
    """The jobs of a run: one a condition if the image is told the replications, else one a replication. Raises UsageError."""
    jobs = conditions if spec.get("replications_as") else counts.total(replications, conditions)
    if jobs > MOST_JOBS:
        raise UsageError(
            f"an image is a job for each condition and replication, {jobs:,} jobs here; a run has at most {MOST_JOBS:,}",
            "An image that does several replications in one job is told their number: "
            + Option("replications_as", "n"),
        )
    return jobs


def many_jobs(jobs: int, what: str, service: str) -> str:
    """What a user has to agree to before so many jobs start that cost money each; empty if they are few. what: begins the sentence."""
    return f"{what}{jobs:,} jobs of {service}, each of which costs money to start" if jobs > FEW_JOBS else ""


def marks_filled(text: str, known: Mapping[str, Any]) -> str:
    """A rendered text with the numbers of the condition and replication, and the seed, in place of their marks."""
    for name, value in known.items():
        text = text.replace(MARKS[name], str(value))
    return text
