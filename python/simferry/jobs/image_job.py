"""What a job of an image does: its condition and replications, and the hyperparameters and environment that it is started with."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..aws.contracts import training as contract
from ..errors import UsageError
from ..store.run_folder import RunFolder
from ..sweep.image_program import LONGEST_VARIABLE, marks_filled
from ..toolkit.environment import TYPES, typed
from ..worker import blocks, seeds
from ..worker.job import as_python


@dataclass(frozen=True)
class ImageJob:
    """One job: `count` replications of a condition, from the number `first` on. results: the names of its results files, as a
    regular expression; empty without. Texts are as the contract has them."""

    condition: int
    first: int
    count: int
    hyperparameters: Mapping[str, str]
    environment: Mapping[str, str]
    results: str


def image_job(run: RunFolder, job: str) -> ImageJob:
    """The job with this name (0001-0003), from its file in the plan."""
    spec = run.record.simulation
    block = blocks.decode((run.job_folder(job) / "job").read_bytes())
    condition, first, count = (
        int(block.table("stretches").columns[name].values[0]) for name in ("condition", "first", "count")
    )
    columns = block.table("conditions").columns
    keys = [int(column.values[0]) for name, column in columns.items() if name.startswith("seed_key_")]
    seed = seeds.seed_of(first, keys)
    known = {"replication": first, "seed": seed, "condition": condition}

    values = {name: as_python(column)[0] for name, column in block.table("parameters").columns.items()}
    given = {name: contract.hyperparameter(value) for name, value in values.items()}
    own = {spec.get("replications_as", ""): str(count), spec.get("seed_as", ""): str(seed)}
    constant = block.table("variables").columns
    shared = {
        str(name): str(value)
        for name, value in zip(constant["name"].strings(), constant["value"].strings(), strict=True)
    }
    rendered = {name[4:]: column.strings()[0] or "" for name, column in columns.items() if name.startswith("env_")}
    environment = {
        **shared,
        **{name: marks_filled(text, known) for name, text in rendered.items()},
        "SIMFERRY_SEED": str(seed),
        "SIMFERRY_SEED_HEX": seeds.seed_hex_of(first, keys),
        **types_of(given, values, run.record.parameters),
    }
    pattern = re.escape(spec["results_file"])
    if "results_pattern" in columns:
        pattern = marks_filled(columns["results_pattern"].strings()[0] or "", known)
    hyperparameters = {**given, **{name: text for name, text in own.items() if name}}
    return ImageJob(condition, first, count, hyperparameters, environment, pattern)


def types_of(texts: Mapping[str, str], values: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, str]:
    """The variable that tells simferry's toolkit the types of hyperparameters whose text does not show them. Raises UsageError."""
    unclear = {}
    for name, text in texts.items():
        found = typed(text)
        if type(found) is not type(values[name]) or found != values[name]:
            unclear[name] = types[name]
    content = json.dumps(unclear, separators=(",", ":"))
    if len(content) > LONGEST_VARIABLE:
        raise UsageError(
            f"the types of {len(unclear)} parameters do not fit into the {LONGEST_VARIABLE} characters of a variable",
            "Texts that look like numbers, and missing numbers, take room there: give some of them as an input.",
        )
    return {TYPES: content} if unclear else {}
