"""Designs with drawn values: random ones, or space-filling points."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from ..errors import DesignError, UsageError
from ..hints import Extra
from .design import Design, listed, merged
from .option_values import OptionSpec
from .options import MOST, Options, check
from .parameters import check_rows


@dataclass(frozen=True)
class DrawnOptions(Options):
    """How a design is drawn."""

    table = "design"
    owner = "a design that is drawn"

    size: Annotated[int | None, OptionSpec("how many conditions", minimum=1, maximum=MOST)] = None
    seed: Annotated[int, OptionSpec("of the design", minimum=0, maximum=2**53)] = 1


Values = Mapping[str, Any] | None  # by parameter
Types = Mapping[str, str] | None  # by parameter
Points = Callable[
    [int, int, int], np.ndarray
]  # of size, dimensions and seed: points in the unit cube, (size, dimensions)


def random(size: int, parameters: Values = None, /, *, seed: int = 1, types: Types = None, **named: Any) -> Design:
    """A design of `size` conditions with values drawn at random.

    parameters: by name a range (low, high) or a list of values to choose from, as a dict. A range between two whole numbers
        gives whole numbers, both ends included. named: the same as keyword arguments.
    seed: a whole number, the seed of this design. The run has a seed of its own.
    types: "number", "integer", "logical" or "string" by parameter; without it the values decide.

    Raises DesignError for a wrong size or seed, if there is nothing to draw or a range does not go up, and as `Design` does.
    """
    return _sampled(_uniform, size, seed, merged(parameters, named), types)


def latin_hypercube(
    size: int, parameters: Values = None, /, *, seed: int = 1, types: Types = None, **named: Any
) -> Design:
    """A design on a Latin hypercube (scipy.stats.qmc.LatinHypercube), which covers each parameter's range evenly.

    size, parameters, named, seed, types: as for `random`. Raises DesignError as `random` does, and if scipy is missing.
    """
    return _sampled(quasi_random("LatinHypercube"), size, seed, merged(parameters, named), types)


def sobol(size: int, parameters: Values = None, /, *, seed: int = 1, types: Types = None, **named: Any) -> Design:
    """A design on a scrambled Sobol' sequence (scipy.stats.qmc.Sobol), which is balanced only if the size is a power of 2.

    size, parameters, named, seed, types: as for `random`. Raises DesignError as `random` does, and if scipy is missing.
    """
    return _sampled(quasi_random("Sobol"), size, seed, merged(parameters, named), types)


def _uniform(size: int, dimensions: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((size, dimensions))


def quasi_random(engine: str) -> Points:
    """Points of an engine of scipy.stats.qmc. Raises DesignError where scipy is missing."""
    try:
        from scipy.stats import qmc
    except ImportError:
        raise DesignError("latin_hypercube and sobol need scipy, which is not installed", Extra("design")) from None
    return lambda size, dimensions, seed: getattr(qmc, engine)(d=dimensions, rng=seed).random(size)


def _sampled(points: Points, size: Any, seed: Any, sources: Mapping[str, Any], types: Types) -> Design:
    try:
        drawn = check(DrawnOptions, {"size": size, "seed": seed})
    except UsageError as error:
        raise DesignError(error.message, error.hint) from None
    if drawn.size is None:
        raise DesignError("how many conditions?", "Give size, a whole number from 1.")
    check_rows(drawn.size)
    if not sources:
        raise DesignError("no parameters to draw", "Give each a range (low, high) or a list of values.")
    cube = points(drawn.size, len(sources), drawn.seed)
    return Design({name: _scaled(name, s, cube[:, i]) for i, (name, s) in enumerate(sources.items())}, types)


def _scaled(name: str, source: Any, u: np.ndarray) -> list[Any]:
    """Points of the unit interval as values of a parameter."""
    source = listed(source) if isinstance(source, Mapping) else source
    if isinstance(source, list):
        if not source:
            raise DesignError(f"parameter {name} has no values to choose from")
        return [source[int(i)] for i in np.floor(u * len(source))]
    try:
        low, high = source
        width = float(high) - float(low)
    except (TypeError, ValueError):
        raise DesignError(
            f"parameter {name}: {source!r} is neither a range nor a choice",
            "A range is a pair such as (10, 50), a choice a list such as ['a', 'b'].",
        ) from None
    if not (width >= 0 and math.isfinite(width)):
        raise DesignError(f"parameter {name}: the range ({low}, {high}) does not go up")
    if isinstance(low, int) and isinstance(high, int):
        return [int(v) for v in low + np.floor(u * (high - low + 1))]
    return [float(v) for v in low + u * width]
