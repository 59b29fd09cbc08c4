"""Whether runs that go on until a target stop where they should: 20,000 studies of a coverage, by vectorised draws.

    python benchmarks/until.py

At p = 0.95, target 0.01, at least 50, in batches of 50: fewer than 1 % stop at half of the 475 replications needed or earlier, the bias of
coverage is under 0.002, and the mean number of replications at most 560.
"""

import sys

import numpy as np
from simferry.analysis.measure import Measured
from simferry.analysis.until import distance, next_look
from simferry.sweep.stopping import Until

STUDIES, MOST, SEED = 20_000, 6_000, 20261128


def stopped(p: float, target: float) -> tuple[np.ndarray, np.ndarray]:
    """The replications and the coverage of each study."""
    rng, numbers, shares = np.random.default_rng(SEED), [], []
    rule = Until({"coverage": target}, most=MOST)
    for _ in range(20):
        covered = np.cumsum(rng.random((STUDIES // 20, MOST)) < p, axis=1, dtype=np.int32)
        studies = np.arange(len(covered))
        done, ratio = np.zeros(len(covered), dtype=np.int64), np.full(len(covered), np.nan)
        while ((further := next_look(done, ratio, rule)) > done).any():
            done = further
            share = covered[studies, done - 1] / done
            ratio = distance(
                {"coverage": Measured(share, np.sqrt(share * (1 - share) / done), done)}, {"coverage"}, rule
            )
        numbers.append(done)
        shares.append(covered[studies, done - 1] / done)
    return np.concatenate(numbers), np.concatenate(shares)


def main() -> None:
    fine = True
    for p, target, needed in ((0.95, 0.01, 475), (0.99, 0.005, 396)):
        done, share = stopped(p, target)
        early, bias = (done <= needed / 2).mean(), share.mean() - p
        print(
            f"p = {p}, target {target}: {needed} needed, mean {done.mean():.0f}; {early:.2%} stop at half of them or earlier; "
            f"bias of coverage {bias:+.5f} (MCSE {share.std(ddof=1) / len(share) ** 0.5:.5f})"
        )
        fine &= p != 0.95 or bool(early < 0.01 and abs(bias) < 0.002 and done.mean() <= 560)
    sys.exit(0 if fine else "bar missed")


if __name__ == "__main__":
    main()
