"""Starts a run that searches, and what it has found."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..analysis.own_measures import Function, Functions, PythonFunctions
from ..backends import backend_of
from ..errors import UsageError
from ..hints import Option, Text
from ..store import steps
from ..store.run_folder import RunFolder
from ..sweep.conditions import read_conditions
from ..sweep.design import Design
from ..sweep.sweep import Sweep
from .objective import FUNCTIONS, searcher_of
from .run import started

if TYPE_CHECKING:
    import pandas as pd

    from .compute import ProgressCallback
    from .runs import Run


def begin(
    sweep: Sweep,
    kind: str,
    arguments: Mapping[str, Any],
    types: Mapping[str, str],
    objective: str | Function | Functions,
    *,
    method: Any = None,
    at_once: int | None = None,
    rounds: bool = False,
    evaluations: int | None = None,
    most: int | None = None,
    seconds: float | None = None,
    on_progress: "ProgressCallback | None" = None,
    on_start: "Callable[[Run, int, bool], None] | None" = None,
    detach: "bool | Callable[[Run], Any]" = False,
) -> "Run":
    """A new run that searches, once it is over.

    sweep: without a design; its replications are those of an evaluation. kind, arguments: of the searcher (objective.BUILDERS), which the
    run's record keeps as JSON. types: of the parameters, by name. objective: an output or a measure by its name, or a function of the
    rows. method: of several in the rows. at_once: evaluations under way [local, docker: one for each core; else as many as jobs].
    rounds: so many together, when all of the last ones have ended. evaluations, most, seconds: no further point is asked after so many
    evaluations or replications, or so long.

    Raises what `run` does, and SimulationError where every evaluation fails.
    """
    function = PythonFunctions({"objective": objective}) if callable(objective) else objective
    if not isinstance(function, str) and detach:
        raise UsageError("a search whose objective is a function can't go on in the background")
    if sweep.until is not None:
        raise UsageError(
            Text(Option("until"), " is not for a search: its evaluations have so many replications each"),
            Option("replications", 100),
        )
    backend = backend_of(sweep.backend)
    here = not backend.traits.outlives_driver
    cores = os.cpu_count() or 1
    at_once = at_once or (cores if here else backend.traits.jobs)
    record = {
        "kind": kind, "arguments": dict(arguments), "objective": function if isinstance(function, str) else None,
        "replications": sweep.replications, "at_once": at_once, "rounds": rounds,
    }  # fmt: skip
    limits = {"method": method, "evaluations": evaluations, "most": most, "seconds": seconds}
    record |= {name: value for name, value in limits.items() if value is not None}
    first = searcher_of(record).ask()
    if first is None:
        raise UsageError("the search has nothing to ask")
    if here and sweep.backend.given().get("workers") is None:  # evaluations share this machine
        sweep = sweep.replace(workers=max(1, cores // at_once))
    design = Design({name: [first[name]] for name in types}, types)

    def starts(run: "Run", taken_over: int, drawn: bool) -> None:
        if not isinstance(function, str):
            FUNCTIONS[run.address] = function
        if on_start:
            on_start(run, taken_over, drawn)

    return started(sweep.replace(design=design), on_progress, starts, detach, record)


def trace(run: RunFolder) -> "pd.DataFrame":
    """The evaluations of a search in the order in which they were asked, as a pandas.DataFrame: evaluation (from 1), condition, the
    parameters, replications (of the condition, when it was told), mean, mcse, failed, and told: as which it was told, missing where it
    was not yet."""
    import pandas as pd

    run.look()
    plans = run.plans()
    run.wanted(plans)  # raises where they do not fit
    asked = list(steps.evaluations(plans).values())
    order = [told.evaluation for plan in plans if plan.step for told in plan.step.told]
    place = {number: i + 1 for i, number in enumerate(order)}
    points = read_conditions(run).to_pandas().iloc[[one.condition - 1 for one in asked]].reset_index(drop=True)
    told = [one.told for one in asked]
    points.insert(0, "evaluation", range(1, len(asked) + 1))
    points.insert(1, "condition", [one.condition for one in asked])
    columns = {
        "replications": [one.replications if one else None for one in told],
        "mean": [one.mean if one else None for one in told],
        "mcse": [one.mcse if one else None for one in told],
        "failed": [one.failed if one else None for one in told],
        "told": [place.get(one.number) for one in asked],
    }
    types = {"replications": "Int64", "mean": "float64", "mcse": "float64", "failed": "boolean", "told": "Int64"}
    return pd.concat([points, pd.DataFrame(columns).astype(types)], axis=1)
