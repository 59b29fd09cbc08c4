"""Number, mean and variance of values by cell, in one pass over rows that come in pieces."""

import numpy as np


class Moments:
    """Sums by cell. They are added row by row, so that the same rows in the same order give the same bits, in whatever pieces they
    come; and rows that come later go on from there. Values are taken from the cell's first value on, which keeps their digits where
    the mean is large beside the standard deviation, and gives a constant the variance 0."""

    def __init__(self, cells: int) -> None:
        self.n = np.zeros(cells, dtype=np.int64)
        self._origin, self._sum, self._squares = np.zeros(cells), np.zeros(cells), np.zeros(cells)

    def add(self, cell: np.ndarray, values: np.ndarray) -> None:
        """Add values. cell: the number of each one's cell. NaN is passed over."""
        there = ~np.isnan(values)
        if not there.all():
            cell, values = cell[there], values[there]
        new = np.flatnonzero(self.n[cell] == 0)[::-1]
        self._origin[cell[new]] = values[new]  # of several rows of a cell the first one stays
        with np.errstate(over="ignore", invalid="ignore"):
            values = values - self._origin[cell]
            np.add.at(self._sum, cell, values)
            np.add.at(self._squares, cell, values * values)
        self.n += np.bincount(cell, minlength=len(self.n))

    @property
    def mean(self) -> np.ndarray:
        """NaN where there is no value."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self._origin + self._sum / self.n)

    @property
    def squares(self) -> np.ndarray:
        """The sums of squared deviations from the mean."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.maximum(self._squares - self._sum * self._sum / self.n, 0.0)

    @property
    def variance(self) -> np.ndarray:
        """With n - 1; NaN where there are less than two values."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.n > 1, self.squares / (self.n - 1), np.nan)
