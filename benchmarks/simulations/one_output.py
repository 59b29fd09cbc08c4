"""One number of a stream: what is left is what a replication costs beside its simulation."""

import numpy as np


def simulate(rng: np.random.Generator) -> float:
    return float(rng.random())
