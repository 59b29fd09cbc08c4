"""Warnings of results that suggest a mistake in the simulation."""

import contextlib
import re
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ..hints import Option
from ..results import same_seeds
from ..results.collect import done
from ..results.objects import noted
from ..store.keys import key_of
from ..store.run_folder import RunFolder
from ..sweep.arrow import as_numpy
from ..words import counted
from ..worker import blocks
from ..worker.rows import an
from .row_keys import groups, kinds, overlooked, several_rows, texts
from .summary import outputs

# by the language of the simulation
_SAME = {
    "r": "call set.seed()",
    "python": "seed its generator itself, or keep an earlier result (lru_cache)",
    "octave": "set the seed of rand, randn or rng itself, or keep a result in a persistent variable",
    "command": "set its own seed",
    "image": "set its own seed, or not draw from SIMFERRY_SEED",
}
_INTO_TEXT = {
    "r": "In R c(1.5, 'a') turns both into text; list() or data.frame() keeps the number.",
    "python": "np.array([1.5, 'a']) turns both into text; a dict or a list keeps the number.",
    "octave": "[65, 'a'] turns both into text; a struct or a cell array keeps the number.",
}
# R's and Python's words
_NOT_FOUND = re.compile(r"'([^'\n]+)': No such file|No such file or directory: '([^'\n]+)'")
_OWN_FOLDER = re.compile(r".*/scratch/output-\d+/(.+)")  # of a replication of a script
_HEADER_BYTES = 65_536  # of a block: they hold its facts and its first tables


_OF_LOOPS = ". Iterations of a foreach loop have none: their values go to its .combine"


def oddities(run: RunFolder, rows: pa.Table) -> list[str]:
    """The warnings, a sentence or two each. rows: the results, with or without the parameters."""
    parameters, language = run.record.parameters, run.record.simulation["language"]
    out = []
    known = {one[0] for one in same_seeds.conditions(rows.schema.metadata)}  # these get a note
    if same := [condition for condition in same_values(rows, parameters) if condition not in known]:
        which = f"condition {same[0]}" + (f" (and {counted(len(same) - 1, 'other')})" if len(same) > 1 else "")
        out.append(
            f"{which} of run {run.id} returned the same values in every replication. Does the simulation {_SAME[language]}? "
            "simferry gives each replication its own stream: leave it out."
        )
    if run.record.simulation["kind"] == "function":
        out += kept_whole(run, rows)
    for name in beyond_64_bits(rows, parameters):
        out.append(
            f"output {name} of run {run.id} has whole numbers beyond 64 bits: it is text, with all digits, and has no mean."
        )
    for name, text in texts_among_numbers(rows, parameters).items():
        if text is None:
            out.append(
                f"output {name} of run {run.id} reads as numbers, but is text, so it has no mean. {_INTO_TEXT.get(language, '')}".strip()
            )
        else:
            out.append(
                f"output {name} of run {run.id} is a number in {counted(text.numbers, 'row')} and text in {text.rows:,} (condition "
                f"{text.condition}, replication {text.replication}: {text.value!r}), so all of it is text and has no mean. "
                "Return NA for a missing number."
            )
    return out


def kept_whole(run: RunFolder, rows: pa.Table) -> list[str]:
    """Warnings of values that are not, or not whole, in the table."""
    out, gather = [], "run.values() in Python and sim_values(run) in R gather them"
    gone, objects = without_a_row(run, rows), noted(rows.schema.metadata)
    whole = sum(one.replications for one in objects if not one.output)
    if len(gone) > whole:
        first = "" if whole else ". The first is condition {}, replication {}".format(*gone[0])
        out.append(
            f"{counted(len(gone) - whole, 'replication')} of run {run.id} did not fail, but returned no row of the table: NULL (None), or "
            f"nothing in it{first}{_OF_LOOPS if list(run.record.parameters) == ['loop'] else ''}"
        )
    for one in objects:
        where = f"condition {one.condition}, replication {one.replication}"
        if one.output:
            out.append(
                f"value {one.output!r} of run {run.id} is {an(one.kind)}, which no column of the table holds, in "
                f"{counted(one.replications, 'replication')} (the first is {where}). The other values are in the table, and all are "
                f"kept whole: {gather}"
            )
        else:
            every = "all" if not rows.num_rows and len(gone) == whole else "some"
            out.append(
                f"{every} replications of run {run.id} ({one.replications:,}) returned objects, which have no row in the table and "
                f"are kept whole (the first, {where}, is {an(one.kind)}): {gather}"
            )
    return out


def without_means(run: RunFolder, results: pa.Table) -> list[str]:
    """A warning where a summary leaves out outputs that hold lists."""
    if not any(pa.types.is_list(kind) for _, kind in kinds(results)):
        return []
    names = [name for name, kind in kinds(outputs(run, results)) if pa.types.is_list(kind)]
    some, hold = ("output", "holds") if len(names) == 1 else ("outputs", "hold")
    shown = f"{', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
    return [f"{some} {shown} of run {run.id} {hold} lists, which have no mean: the summary leaves them out."]


def averaged_keys(run: RunFolder, results: pa.Table, by: Collection[str] | None) -> list[str]:
    """A warning where a summary by these outputs averages rows that another output seems to distinguish.

    results: condition, replication and the outputs.
    """
    if not several_rows(results):
        return []
    rows = outputs(run, results)
    found = groups(rows, by)
    names = overlooked(rows, found)
    if not names:
        return []
    asked = run.command("summary", by=[*found.keys, names[0]])
    some, seem = ("output", "seems") if len(names) == 1 else ("outputs", "seem")
    return [
        f"{some} {', '.join(names)} of run {run.id} {seem} to distinguish the rows of a replication, and those rows are "
        f"averaged: {asked}  keeps them apart"
    ]


def files_not_kept(run: RunFolder, plans: int = 0) -> str:
    """A note if files that a function wrote were dropped; empty if none were. plans: number of plans whose blocks are not looked at.

    A block has its table of dropped files among its first.
    """
    record = run.record
    if record.simulation["kind"] != "function" or record.options.keep_files:
        return ""
    for _, data in run.read_blocks([b.name for b in run.block_names() if int(b.plan) > plans]):
        with contextlib.suppress(zlib.error, blocks.DamagedBlock, LookupError):
            if b"\ntable: dropped " not in zlib.decompressobj(31).decompress(data, _HEADER_BYTES):
                continue
            found = blocks.decode(data).table("dropped").columns
            name, replication = found["file"].strings()[0], found["replication"].values[0]
            if list(record.parameters) == ["loop"]:
                return (
                    f"files that iterations wrote into their working directory are not kept (first {name}, by iteration {replication}); "
                    "write files that you need to an absolute path"
                )
            return (
                f"files that replications wrote into their working directory are not kept (first {name}, by condition "
                f"{found['condition'].values[0]}, replication {replication}); {Option('keep_files', True)} keeps them as artifacts"
            )
    return ""


def files_not_found(run: RunFolder, plans: int = 0) -> str:
    """A note if replications failed without a file that is beside the script, but did not come along; else empty.

    plans: number of plans whose blocks are not looked at.
    """
    path = run.record.simulation["path"]
    home = Path(path).absolute().parent if path else Path.cwd()  # of a function object
    folder = run.record.simulation.get("folder", "")  # of the script, in its project
    for found in _NOT_FOUND.finditer("\n".join(said_by_failures(run, plans))):
        name = found[1] or found[2]
        if own := _OWN_FOLDER.match(name):  # the script asked where it is
            name = own[1].removeprefix(f"{folder}/")
        name = name.removeprefix("./")
        with contextlib.suppress(OSError):
            if not name.startswith(("/", "~")) and (home / name).exists() and not (run.code / folder / name).exists():
                above = name.startswith("..") and len(Path(name).parts) > 1
                brought = Option("include", ["/".join(Path(name).parts[:2]) if above else name.partition("/")[0]])
                return f"replications of run {run.id} failed because {name} was not there: {brought}  brings it along"
    return ""


def said_by_failures(run: RunFolder, plans: int = 0) -> list[str]:
    """Errors and warnings of the first blocks with failed replications. plans: number of plans whose blocks are not looked at."""
    said: list[str | None] = []
    failed = [b.name for b in run.block_names() if b.failed and int(b.plan) > plans]
    for _, data in run.read_blocks(failed[:3]):
        with contextlib.suppress(zlib.error, blocks.DamagedBlock, LookupError):
            for part in blocks.decode(data).tables:
                if part.name in ("failures", "warnings"):
                    said += part.columns["message"].strings()
    return list(dict.fromkeys(filter(None, said)))


def same_values(rows: pa.Table, parameters: Collection[str] = ()) -> list[int]:
    """Conditions whose replications all returned the same random-looking values, as after set.seed()."""
    names = [n for n, kind in kinds(rows) if n not in parameters and pa.types.is_floating(kind)]
    if rows.num_rows == 0 or not names:
        return []
    condition, replication = as_numpy(rows["condition"]), as_numpy(rows["replication"])
    begins = np.r_[0, np.flatnonzero(condition[1:] != condition[:-1]) + 1]  # of each condition
    of = np.repeat(np.arange(len(begins)), np.diff(np.r_[begins, len(condition)]))
    new = np.r_[True, (of[1:] != of[:-1]) | (replication[1:] != replication[:-1])]
    starts = np.flatnonzero(new)  # of each replication
    position = np.arange(len(condition)) - np.repeat(starts, np.diff(np.r_[starts, len(condition)]))
    constant = np.bincount(of[starts]) >= 3
    if not constant.any():
        return []
    # compare each row with the row at this position of the condition's first replication
    like = np.minimum(begins[of] + position, len(condition) - 1)
    random_looking = np.zeros(len(begins), dtype=bool)
    for name in names:
        values = as_numpy(rows[name], np.nan)
        constant[of[values.view("<i8") != values[like].view("<i8")]] = False
        if not constant.any():
            return []
    ends = np.r_[starts[1:], len(condition)][np.searchsorted(starts, begins)]  # of each condition's first replication
    for name in names:
        values = as_numpy(rows[name], np.nan)
        for c in np.flatnonzero(constant):
            random_looking[c] |= any(f"{v:.6g}" != f"{v:.15g}" for v in values[begins[c] : ends[c]].tolist())
    return [int(c) for c in condition[begins[constant & random_looking]]]


def without_a_row(run: RunFolder, rows: pa.Table) -> list[tuple[int, int]]:
    """(condition, replication) of replications that did not fail and have no row."""
    there = np.unique(key_of(as_numpy(rows["condition"]), as_numpy(rows["replication"])))
    if sum(b.replications - b.failed for b in run.block_names()) <= len(there):  # which reads no block
        return []
    gone = np.setdiff1d(key_of(*done(run, failed=False)), there)
    return [divmod(key, 2**32) for key in gone.tolist()]


class Text(NamedTuple):
    """An output's rows that hold text where others hold a number: how many there are of either, and the first text."""

    rows: int
    numbers: int
    condition: int
    replication: int
    value: str


def texts_among_numbers(rows: pa.Table, parameters: Collection[str] = ()) -> dict[str, Text | None]:
    """Text outputs of which most values are decimal numbers, or some with as many digits as only results have; None where all are."""
    import pyarrow.compute as pc

    out: dict[str, Text | None] = {}
    for name in texts(rows):
        kind = rows.schema.field(name).type
        if name in parameters or name == "row_name" or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            continue
        encoded = rows[name].combine_chunks().dictionary_encode()
        # of a million names none has a point: the others are not looked at one by one
        dotted = encoded.dictionary.filter(pc.match_substring(encoded.dictionary, ".")).to_pylist()
        if not (decimals := [text for text in dotted if _is_number(text)]):
            continue
        values = encoded.dictionary.to_pylist()
        at = encoded.indices.drop_null().to_numpy()
        numbers = np.array([_is_number(value) for value in values], dtype=bool)
        if not (numbers[at].mean() > 0.5 or any(len(v) > 12 for v in decimals)):
            continue
        out[name] = None
        if not numbers.all():
            among = np.flatnonzero(
                ~numbers[encoded.indices.fill_null(0).to_numpy()] & encoded.is_valid().to_numpy(zero_copy_only=False)
            )
            first = int(among[0])
            condition, replication = (int(rows[key][first].as_py()) for key in ("condition", "replication"))
            value = rows[name][first].as_py()
            value = value if len(value) <= 100 else f"{value[:100]} ..."
            out[name] = Text(len(among), int(numbers[at].sum()), condition, replication, value)
    return out


def beyond_64_bits(rows: pa.Table, parameters: Collection[str] = ()) -> list[str]:
    """Text outputs that are whole numbers, some of which do not fit 64 bits."""
    out = []
    for name, kind in kinds(rows):
        if name not in parameters and pa.types.is_string(kind) and (column := rows[name]).null_count < len(column):
            first = column.drop_null()[0].as_py()
            if first.lstrip("-").isdecimal() and len(first) > 15:
                texts = column.drop_null().to_pylist()
                if all(text.lstrip("-").isdecimal() for text in texts) and max(map(len, texts)) >= 19:
                    out.append(name)
    return out


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
