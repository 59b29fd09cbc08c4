"""About 30 microseconds of numpy: location and spread of 50 values."""

import numpy as np


def simulate(rng: np.random.Generator) -> dict[str, float]:
    x = np.sort(rng.standard_normal(50))
    return {"mean": x.mean(), "sd": x.std(ddof=1), "median": np.median(x)}
