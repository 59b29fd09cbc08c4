"""The data of figures, which R draws."""

from ..r.serialization import Vector
from .arguments import Arguments, verb
from .measures import data_of


@verb
def figure_data(given: Arguments) -> Arguments:
    """What a figure shows: data frames data, panels and loops (NULL but for a nested loop plot), as report/figure_data.py describes
    them, and methods: the names of all methods in the order of their colours. Takes kind, conditions, methods, and either run (and
    store) or table, with the options of measures."""
    from ..verbs.plot import figure_data

    data, options = data_of(given)
    found = figure_data(data, **options)
    parts = {"data": found.data, "panels": found.panels, "loops": found.loops}
    return {**parts, "methods": Vector("string", found.methods), "kind": Vector("string", [found.kind])}
