"""python numpy_joblib.py FOLDER REPLICATIONS: its numpy_simulation.py in hand-made batches of 1,000, kept in memory."""

import sys

import joblib
import numpy as np
import pandas as pd

BATCH = 1_000
COLUMNS = ["mean", "sd", "median"]

sys.path.insert(0, sys.argv[1])
from numpy_simulation import simulate  # noqa: E402


def batch(seed: np.random.SeedSequence) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.empty((BATCH, len(COLUMNS)))
    for row in values:
        outcome = simulate(rng)
        row[:] = [outcome[column] for column in COLUMNS]
    return values


if __name__ == "__main__":
    replications = int(sys.argv[2])
    seeds = np.random.SeedSequence(1).spawn(replications // BATCH)
    batches = joblib.Parallel(n_jobs=2)(joblib.delayed(batch)(seed) for seed in seeds)
    results = pd.DataFrame(np.concatenate(batches), columns=COLUMNS)
    assert len(results) == replications
