"""Quantiles of estimates by cell, with a standard error from order statistics."""

from collections.abc import Sequence

import numpy as np

from .measure import Measured, Pieces
from .outliers import by_cell


def quantiles(pieces: Pieces, cells: int, probabilities: Sequence[float]) -> list[Measured]:
    """The quantiles of the estimates, interpolated as R's type 7. All estimates are held in memory, 8 bytes each.

    MCSE: half the distance between the order statistics at the ranks that are the 16 % and 84 % quantiles of a binomial number of
    estimates below the quantile: no density is estimated. NaN where there are too few estimates beyond the quantile for that.
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
            known[many] = ranks.astype(np.int64)
        if many > 1:
            first, last = known[many]
            half = (values[np.minimum(last, many - 1)] - values[first]) / 2
            mcse[:, cell] = np.where(last < many, half, np.nan)
        n[cell] = many
    return [Measured(estimate[i], mcse[i], n) for i in range(len(p))]
