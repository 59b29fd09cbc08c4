"""Whether a run has enough replications, by the Monte Carlo standard errors of its measures, and where to look next."""

import math
from collections.abc import Mapping

import numpy as np

from ..sweep.stopping import Until
from .measure import Measured


def cautious(measured: Measured, is_share: bool) -> np.ndarray:
    """The MCSE that a rule looks at. Of a share it is that of Agresti and Coull, with two successes and two failures more
    (10.1080/00031305.1998.10480550): the plain formula is 0 where all replications agree, and stops by luck."""
    if not is_share:
        return measured.mcse
    n = measured.n + 4.0
    share = (measured.estimate * measured.n + 2) / n
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt(share * (1 - share) / n))


def distance(measured: Mapping[str, Measured], shares: set[str], until: Until) -> np.ndarray:
    """How many times as large as its target the MCSE of each cell is, by the rule that is furthest from it; NaN where there is none."""
    ratios = [cautious(measured[name], name in shares) / target for name, target in until.targets.items()]
    return np.asarray(np.max(ratios, axis=0))


def next_look(done: np.ndarray, ratio: np.ndarray, until: Until) -> np.ndarray:
    """The number of replications of each condition at which it is looked at next; what it has where it needs no more.

    done: replications. ratio: of the method that is furthest from its target, see `distance`. An MCSE falls with the square root of n.
    Half of what seems missing is done before the next look, because an early MCSE is uncertain. It depends on
    results alone, so it is the same wherever they are computed.
    """
    out = np.maximum(done, min(until.least, until.most)).astype(np.int64)
    for i in np.flatnonzero(out == done):
        if not ratio[i] > 1 and not math.isnan(ratio[i]):
            continue
        missing = done[i] * (ratio[i] ** 2 - 1) if math.isfinite(ratio[i]) else done[i]
        step = until.batch * max(1, math.ceil(missing / 2 / until.batch))
        out[i] = min(until.most, (done[i] // until.batch) * until.batch + step)
    return np.asarray(np.maximum(out, done))
