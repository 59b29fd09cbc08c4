"""Quantiles of estimates by cell, with a standard error from order statistics."""

from collections.abc import Sequence

import numpy as np

from .measure import Measured, Pieces
from .outliers import by_cell


def quantiles(pieces: Pieces, cells: int, probabilities: Sequence[float]) -> list[Measured]:
    """The quantiles of the estimates, interpolated as R's type 7. All estimates are held in memory, 8 bytes each.

    MCSE: half the distance between the order statistics at the ranks that are the 16 % and 84 % quantiles of a binomial number of
    estimates below the quantile: no density is estimated.
    """
    from scipy.stats import binom

    p = np.asarray(probabilities, dtype=np.float64)
    estimate, mcse = np.full((2, len(p), cells), np.nan)
    n = np.zeros(cells, dtype=np.int64)
    known: dict[int, np.ndarray] = {}  # ranks, by number of estimates
    for cell, values in by_cell((rows.cell, rows.features["estimate"]) for rows in pieces()):
        many = len(values)
        values.sort()
        at = p * (many - 1)
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, many - 1)
        estimate[:, cell] = values[low] + (at - low) * (values[high] - values[low])
        if many not in known:
            ranks = np.asarray(binom.ppf(np.array([[0.16], [0.84]]), many, p))
            known[many] = np.clip(ranks.astype(np.int64), 0, many - 1)
        if many > 1:
            mcse[:, cell] = (values[known[many][1]] - values[known[many][0]]) / 2
        n[cell] = many
    return [Measured(estimate[i], mcse[i], n) for i in range(len(p))]
