"""Runs that are as awkward as a number makes them: copies, failures, columns that differ, kinds that mix."""

import dataclasses

import numpy as np
from hand_made import block_of, column
from simferry.worker import blocks

NA = blocks.NA_DOUBLE
TEXTS = ["a", "b", None, "", "\u00e9", "1.5", "\udcff"]  # the last is a byte that is not UTF-8


FAMILIES = (
    "double", "whole", "none", "integer", "logical", "NA", "string", "no string", "factor", "factor'", "no factor", "ordered", "date",
    "no date", "time", "time'", "seconds", "long", "exact", "lists", "lists'", "texts",
)  # fmt: skip


def formed(form, values, levels=()):
    kind = blocks.FORMS[form.partition(" ")[0]]
    return dataclasses.replace(
        blocks.strings(values) if kind == "string" else blocks.numbers(kind, values), form=form, levels=levels
    )


def lists(values, elements):
    lengths = [-1 if v is None else len(v) for v in values]
    return blocks.lists(lengths, elements([one for v in values for one in v or ()]))


def cells(family, draw, rows):
    """A column of a family."""
    pick = lambda some: [some[i] for i in draw.integers(len(some), size=rows)]  # noqa: E731
    kinds = {
        "double": lambda: blocks.numbers("double", pick([0.5, np.nan, NA, np.inf, -0.0, 1e300, 2.0])),
        "whole": lambda: blocks.numbers("double", pick([1.0, 2.0, NA, -3.0])),
        "none": lambda: blocks.numbers("double", [NA] * rows),
        "integer": lambda: blocks.numbers("integer", pick([1, 2, blocks.NA_INTEGER, -7])),
        "logical": lambda: blocks.numbers("logical", pick([0, 1, blocks.NA_INTEGER])),
        "NA": lambda: blocks.numbers("logical", [blocks.NA_INTEGER] * rows),
        "string": lambda: blocks.strings(pick(TEXTS)),
        "no string": lambda: blocks.strings([None] * rows),
        "factor": lambda: formed("factor", pick(["u", "v", None]), ("u", "v")),
        "factor'": lambda: formed("factor", pick(["w", "v"]), ("w", "v")),
        "no factor": lambda: formed("factor", [None] * rows, ("x",)),
        "ordered": lambda: formed("ordered", pick(["u", "v"]), ("u", "v")),
        "date": lambda: formed("date", pick([0.0, 19000.5, NA])),
        "no date": lambda: formed("date", [NA] * rows),
        "time": lambda: formed("time Europe/Berlin", pick([0.5, 1.7e9, NA])),
        "time'": lambda: formed("time UTC", pick([0.25, 1.6e9])),
        "seconds": lambda: formed("seconds", pick([0.25, 60.0, NA])),
        "long": lambda: formed("long", pick([str(2**60), str(2**60 + 1), None])),
        "lists": lambda: lists(pick([None, (), (0.5,), (NA, 2.0)]), lambda v: blocks.numbers("double", v)),
        "lists'": lambda: lists(pick([None, (1,), (2, 3)]), lambda v: blocks.numbers("integer", v)),
        "texts": lambda: lists(pick([None, ("a", None), ()]), blocks.strings),
        "exact": lambda: formed("long", pick([str(2**60), str(-(2**55))])),
    }
    return kinds[FAMILIES[family]]()


def made_by(seed):
    """Blocks of a run that is as awkward as this number makes it: copies, failures, columns that differ, kinds that mix."""
    draw = np.random.default_rng(seed)
    sets = [("x", "y"), ("y", "x", "z"), ("x",), ("z", "w")][: draw.integers(1, 5)]
    families = {name: draw.integers(len(FAMILIES), size=draw.integers(1, 4)) for name in "xyzw"}
    out = []
    for _ in range(draw.integers(1, 12)):
        pairs = draw.permutation([(c, r) for c in (1, 2, 3) for r in range(1, 9)])[: draw.integers(1, 20)].tolist()
        pairs = sorted(map(tuple, pairs)) if draw.random() < 0.5 else list(map(tuple, pairs))
        ok = draw.random(len(pairs)) < 0.8
        good = [pair for pair, fine in zip(pairs, ok, strict=True) if fine]
        results = []
        for i, names in enumerate(sets):
            rows = [p for p in good if (p[0] + p[1]) % len(sets) == i for _ in range(int(draw.integers(1, 3)))]
            if rows:
                ids = {"condition": [c for c, _ in rows], "replication": [r for _, r in rows]}
                chosen = {name: cells(draw.choice(families[name]), draw, len(rows)) for name in names}
                results.append({**ids, **chosen})
        bad = [(*pair, f"no {seed}", "f()", "") for pair, fine in zip(pairs, ok, strict=True) if not fine]
        warned = [(*pair, "careful", int(draw.integers(1, 5))) for pair in pairs if draw.random() < 0.2]
        made = block_of([(*p, bool(k)) for p, k in zip(pairs, ok, strict=True)], results, bad, warned)
        some = [pair for pair in good if draw.random() < 0.2]
        for name, texts in (("objects", ("output", "kind")), ("seeds", ("seed",))):
            ids = {"condition": column([c for c, _ in some]), "replication": column([r for _, r in some])}
            if some:
                values = {text: column([f"{text} {c}" for c, _ in some]) for text in texts}
                made.tables.append(blocks.Table(name, len(some), ids | values))
        out.append(made)
    return out
