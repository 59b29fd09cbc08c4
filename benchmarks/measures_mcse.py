"""Whether Monte Carlo standard errors are right: the mean MCSE of many studies beside the standard deviation of their measures.

    python benchmarks/measures_mcse.py [studies]     10,000 studies of 1,000 replications take some minutes

Prints for each distribution and measure the ratio of the two, by jackknife and by published formula.
"""

import sys

import numpy as np
from simferry.analysis.contrast import Pairs, differences, relative_precision
from simferry.analysis.features import Raw
from simferry.analysis.measure import Rows, measures
from simferry.analysis.statistics import available

N, SEED = 1_000, 20261128
MEASURES = ("bias", "empirical_se", "mse", "rmse", "coverage", "model_se", "relative_error", "rejection")


def drawn(name: str, rng: np.random.Generator, studies: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of two methods, correlated by what they share: of mean 0 and variance 1."""
    shape = (2, studies, N)
    x = {
        "normal": lambda: rng.normal(size=shape),
        "uniform": lambda: rng.uniform(-(3**0.5), 3**0.5, size=shape),
        "exponential": lambda: rng.exponential(size=shape) - 1,
        "t(5)": lambda: rng.standard_t(5, size=shape) * 0.6**0.5,
        "correlated": lambda: rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=(studies, N)).transpose(
            2, 0, 1
        ),
    }[name]()
    return x[0], x[1]


def ratios(name: str, studies: int) -> dict[str, float]:
    rng = np.random.default_rng(SEED)
    found: dict[str, list[np.ndarray]] = {}
    for some in np.array_split(np.arange(studies), max(1, studies // 500)):
        b, other = (values.ravel() for values in drawn(name, rng, len(some)))
        cell = np.repeat(np.arange(len(some)), N)
        truth, se = np.full(len(b), 0.1), np.sqrt(rng.chisquare(20, len(b)) / 20)
        other_se = np.sqrt(rng.chisquare(20, len(b)) / 20)
        raw, raw_other = Raw(b, truth, se), Raw(other, truth, other_se)
        rows, others = (Rows(cell, one.features((0.05,), one.ends(0.05)), one.ends(0.05)) for one in (raw, raw_other))
        pairs = Pairs(rows, others)
        known = {one: of for one, of in available(rows.features).items() if one in MEASURES}
        out = measures(lambda rows=rows: [rows], len(some), known)
        formula = measures(lambda rows=rows: [rows], len(some), known, formula=True)
        for one in known:
            found.setdefault(one, []).append(np.array([out[one].estimate, out[one].mcse]))
            if known[one].jackknife:
                found.setdefault(f"{one} (formula)", []).append(np.array([formula[one].estimate, formula[one].mcse]))
        for by_formula in (False, True):
            precision = relative_precision(lambda pairs=pairs: [pairs], len(some), by_formula)
            title = "relative_precision" + " (formula)" * by_formula
            found.setdefault(title, []).append(np.array([precision.estimate, precision.mcse]))
        for one, of in differences(lambda pairs=pairs: [pairs], len(some), known).items():
            found.setdefault(f"difference of {one}", []).append(np.array([of.estimate, of.mcse]))
    joined = {one: np.concatenate(parts, axis=1) for one, parts in found.items()}
    return {one: float(mcse.mean() / estimate.std(ddof=1)) for one, (estimate, mcse) in joined.items()}


def main() -> None:
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    names = ("normal", "uniform", "exponential", "correlated", "t(5)")
    table = {name: ratios(name, studies) for name in names}
    print(f"mean MCSE / sd of the measure, {studies:,} studies of {N:,} replications")
    print(f"{'':34}" + "".join(f"{name:>13}" for name in names))
    worst = {name: 0.0 for name in names}
    for measure in table["normal"]:
        print(f"{measure:34}" + "".join(f"{table[name][measure]:13.3f}" for name in names))
        if "formula" not in measure:
            worst = {name: max(worst[name], abs(table[name][measure] - 1)) for name in names}
    missed = [name for name, off in worst.items() if off > (0.12 if name == "t(5)" else 0.05)]
    print("furthest from 1:", ", ".join(f"{name} {off:.1%}" for name, off in worst.items()))
    sys.exit(f"bar missed: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
