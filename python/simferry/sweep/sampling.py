"""Designs with drawn values: random ones, or space-filling points."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from ..errors import DesignError
from ..hints import Extra
from .design import Design
from .options import MOST, Option, Options


@dataclass(frozen=True)
class DrawnOptions(Options):
    """How a design is drawn."""

    table = "design"
    owner = "a design that is drawn"

    size: Annotated[int | None, Option("how many conditions", minimum=1, maximum=MOST)] = None
    seed: Annotated[int, Option("of the design", minimum=0, maximum=MOST)] = 1


def random(
    size: int,
    parameters: Mapping[str, Any] | None = None,
    /,
    *,
    seed: int = 1,
    types: Mapping[str, str] | None = None,
    **named: Any,
) -> Design:
    """A design of `size` conditions with values drawn at random.

    parameters: by name a range (low, high) or a list of values to choose from, as a dict. A range between two whole numbers
        gives whole numbers, both ends included. named: the same as keyword arguments.
    seed: a whole number, the seed of this design. The run has a seed of its own.
    types: "number", "integer", "logical" or "string" by parameter; without it the values decide.

    Raises DesignError if there is nothing to draw or a range does not go up, and as `Design` does.
    """
    return _sampled(size, parameters, named, types, lambda d: np.random.default_rng(seed).random((size, d)))


def latin_hypercube(
    size: int,
    parameters: Mapping[str, Any] | None = None,
    /,
    *,
    seed: int = 1,
    types: Mapping[str, str] | None = None,
    **named: Any,
) -> Design:
    """A design on a Latin hypercube (scipy.stats.qmc.LatinHypercube), which covers each parameter's range evenly.

    size, parameters, named, seed, types: as for `random`. Raises DesignError as `random` does, and if scipy is missing.
    """
    return _sampled(size, parameters, named, types, lambda d: _qmc().LatinHypercube(d=d, rng=seed).random(size))


def sobol(
    size: int,
    parameters: Mapping[str, Any] | None = None,
    /,
    *,
    seed: int = 1,
    types: Mapping[str, str] | None = None,
    **named: Any,
) -> Design:
    """A design on a scrambled Sobol' sequence (scipy.stats.qmc.Sobol), which is balanced only if the size is a power of 2.

    size, parameters, named, seed, types: as for `random`. Raises DesignError as `random` does, and if scipy is missing.
    """
    return _sampled(size, parameters, named, types, lambda d: _qmc().Sobol(d=d, rng=seed).random(size))


def _qmc() -> Any:
    try:
        from scipy.stats import qmc
    except ImportError:
        raise DesignError("latin_hypercube and sobol need scipy, which is not installed", Extra("design")) from None
    return qmc


def _sampled(
    size: int,
    parameters: Mapping[str, Any] | None,
    named: Mapping[str, Any],
    types: Mapping[str, str] | None,
    points: Callable[[int], np.ndarray],
) -> Design:
    if size < 1:
        raise DesignError(f"a design of {size} conditions has no rows")
    sources = {**(parameters or {}), **named}
    if not sources:
        raise DesignError("no parameters to draw", "Give each a range (low, high) or a list of values.")
    cube = points(len(sources))
    return Design({name: _scaled(name, s, cube[:, i]) for i, (name, s) in enumerate(sources.items())}, types)


def _scaled(name: str, source: Any, u: np.ndarray) -> list[Any]:
    """Points of the unit interval as values of a parameter."""
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
