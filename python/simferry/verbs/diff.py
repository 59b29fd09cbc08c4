"""Compares two runs: code, environment, seed, design, options and numbers."""

import difflib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.comparison import Numbers, Values, compare
from ..jobs.snapshot import code_files
from ..results.collect import collect
from ..results.kept_whole import kept_whole
from ..results.table import check_memory, reading
from ..store.run_folder import RunFolder
from ..sweep.conditions import read_conditions
from ..sweep.design import Design
from ..words import counted
from .runs import Run, open

if TYPE_CHECKING:
    import pandas as pd

_IN_MEMORY = 4  # copies of the tables while they are compared
SHOWN = 60  # lines of the code's differences in a text
LARGEST = 1 << 20  # bytes of a file that is compared line by line


@dataclass(frozen=True)
class Diff:
    """How two runs differ. str() tells it as text.

    first, second: their ids. code: the difference of their code, as a unified diff; empty if there is none. settings: each other
    setting that differs, as a pandas.DataFrame of part ("environment", "seed", "design", "simulation", "options"), setting, first and
    second (texts). numbers: how their results differ, see `simferry.analysis.comparison.Numbers`.
    """

    first: str
    second: str
    code: str
    settings: "pd.DataFrame"
    numbers: Numbers

    @property
    def same(self) -> bool:
        """Whether the runs differ in nothing."""
        return not self.code and self.settings.empty and self.numbers.same

    def __str__(self) -> str:
        return "\n".join([f"--- {self.first}", f"+++ {self.second}", *_lines(self)])


def diff(first: Run | str | Path, second: Run | str | Path, store: str | Path | None = None) -> Diff:
    """How two runs differ: their code, environment, seed, design and options, and their results, replication by replication.

    Conditions are compared if their parameters are equal, whatever their numbers. Results are compared bit for bit, what was
    kept whole as files.

    first, second: runs, or names of runs as for `open`. store: where to look, as for `run`.

    Raises RunNotFound, StoreError if files can't be read.
    """
    import pandas as pd

    runs = [one if isinstance(one, Run) else open(one, store) for one in (first, second)]
    a, b = (run._folder for run in runs)
    designs = read_conditions(a), read_conditions(b)
    rows = [(part, name, *_texts(x, y)) for part, name, x, y in _settings(a, b, *designs) if x != y]
    size = sum(reading(run, lambda found: found.size) for run in (a, b))
    check_memory(
        f"the results of runs {a.id} and {b.id}", _IN_MEMORY * size,
        "They are compared in memory. run.dataset() in Python and sim_dataset(run) in R read a part of each.",
    )  # fmt: skip
    tables = collect(a), collect(b)
    numbers = compare(*tables, _matched(*designs), (_kept(a), _kept(b)))
    settings = pd.DataFrame(rows, columns=["part", "setting", "first", "second"], dtype=object)
    return Diff(a.id, b.id, "\n".join(_code(a, b)), settings, numbers)


def _matched(first: Design, second: Design) -> np.ndarray:
    """By a condition's number in the second design its number in the first, or 0."""
    return np.concatenate([[0], first.rows_of(second) + 1])


def _kept(run: RunFolder) -> Values:
    """Hashes of the values that were kept whole. Nothing in them is run."""
    if run.record.simulation["kind"] != "function":
        return {}
    found = kept_whole(run)
    return {(one.condition, one.replication): hashlib.sha256(one.data).hexdigest() for one in found}


# ---- code ----


def _code(a: RunFolder, b: RunFolder) -> Iterator[str]:
    """The lines of a unified diff."""
    files, others = code_files(a), code_files(b)
    changed = a.record.code_hash != b.record.code_hash
    objects = {run.record.simulation["objects"] for run in (a, b)}
    for name in sorted({*files, *others} - {""}):
        old, new = files.get(name), others.get(name)
        if old == new or (name in objects and not changed):  # a pickle changes from process to process
            continue
        if old is None or new is None:
            yield f"only in {(a if new is None else b).id}: {name}"
        elif name in objects:
            yield f"the function or its constants differ ({name})"
        elif b"\0" in old + new or max(len(old), len(new)) > LARGEST:
            yield f"{name} differs"
        else:
            before, after = (content.decode(errors="replace").splitlines() for content in (old, new))
            yield from difflib.unified_diff(before, after, f"{a.id}/{name}", f"{b.id}/{name}", lineterm="")
    own, other = ({one["name"]: one["hash"] for one in run.record.own_code or ()} for run in (a, b))
    yield from (f"{name} differs (your own code, outside of the snapshot)" for name in sorted({*own, *other})
                if own.get(name) != other.get(name))  # fmt: skip


# ---- settings ----


def _settings(a: RunFolder, b: RunFolder, first: Design, second: Design) -> Iterator[tuple[str, str, Any, Any]]:
    """(part, setting, value of the first, value of the second)."""
    for part, old, new in zip(_PARTS, _values(a), _values(b), strict=True):
        yield from ((part, name, old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new]))
    for name, own, other in (("first", first, second), ("second", second, first)):
        alone = np.flatnonzero(other.rows_of(own) < 0).tolist()
        if alone:
            shown = "; ".join(", ".join(f"{k} {v}" for k, v in own.condition(i).items()) for i in alone[:3])
            text = f"{counted(len(alone), 'condition')} ({shown}{'; ...' if alone[3:] else ''})"
            yield "design", f"only in the {name}", *((text, None) if name == "first" else (None, text))


_PARTS = ("environment", "seed", "design", "simulation", "options")


def _values(run: RunFolder) -> tuple[Mapping[str, Any], ...]:
    record = run.record
    git = record.git or {}
    state = {True: "clean", False: "with changes", None: "clean or not"}[git.get("clean")]
    environment = {
        "simferry": record.version, **record.environment, "image": record.image,
        "git commit": f"{git['commit']} ({state})" if git else None, "streams": record.streams,
    }  # fmt: skip
    simulation = {
        name: value for name, value in record.simulation.items() if name not in ("path", "objects", "private_mount")
    }
    inputs = {f"input {name}": f"{one['place']} ({one['version'][:12]})" for name, one in record.inputs.items()}
    options = vars(record.options)
    options = {**{n: v for n, v in options.items() if n != "backend_options"}, **record.options.backend_options}
    design = {"parameters": record.parameters, "common": record.common or None}
    return (
        environment,
        {"seed": record.seed},
        design,
        {**simulation, **inputs},
        {"replications": run.replications, **options},
    )


def _texts(first: Any, second: Any) -> tuple[str, str]:
    """Two values as texts; of lists such as "a 1, b 2" only what differs."""
    if isinstance(first, str) and isinstance(second, str) and ", " in first + second:
        parts, others = first.split(", "), second.split(", ")
        alone = [", ".join(p for p in own if p not in there) for own, there in ((parts, others), (others, parts))]
        first, second = alone if any(alone) else (first, second)  # in another order
    x, y = ("none" if one in (None, "") else str(one) for one in (first, second))
    return x, y


# ---- text ----


def _lines(found: Diff) -> Iterator[str]:
    code = found.code.splitlines()
    yield from code[:SHOWN]
    if code[SHOWN:]:
        yield f"... and {counted(len(code) - SHOWN, 'more line')}"
    for row in found.settings.to_dict("records"):
        name = row["part"] if row["part"] == row["setting"] else f"{row['part']}, {row['setting']}"
        yield f"{name}: {row['first']} | {row['second']}"
    yield from _of_numbers(found.numbers)


def _of_numbers(numbers: Numbers) -> Iterator[str]:
    only = [
        f"{n:,} only in the {which}"
        for n, which in ((numbers.first_only, "first"), (numbers.second_only, "second"))
        if n
    ]
    differ = len(numbers.replications)
    same = "none differ" if not differ else f"{differ:,} of them differ"
    yield "; ".join([f"numbers: {counted(numbers.both, 'replication')} in both, {same} (compared bit for bit)", *only])
    for row in numbers.outputs.to_dict("records"):
        size = row["largest_difference"]
        by = (
            ""
            if size != size
            else f", by at most {size:.6g}, in condition {row['condition']}, replication {row['replication']}"
        )
        yield f"  {row['output']}: in {counted(row['replications'], 'replication')}{by}"
    if differ:
        pairs = [f"{row['condition']}/{row['replication']}" for row in numbers.replications.head(10).to_dict("records")]
        yield f"  condition/replication: {', '.join(pairs)}{', ...' if differ > 10 else ''}"
