"""Optimisers of others on the problems of benchmarks/optimize.py: prints the regrets of each study as JSON.

python optimize.py PEER PROBLEM SEED ...     PEER: random, optuna, sklearn; needs optuna and scikit-learn
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from optimize_problems import NOISY, PROBLEMS, WORKERS, Peer, study


class Random(Peer):
    def __init__(self, dimensions: int, seed: int) -> None:
        self.rng, self.dimensions = np.random.default_rng(seed), dimensions

    def ask(self):
        return self.rng.random(self.dimensions)

    def tell(self, asked, value, noise):
        pass


class Optuna(Peer):
    """Its TPE, with a constant liar for what is pending."""

    def __init__(self, dimensions: int, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore")  # the constant liar is experimental
        self.space = {f"x{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(dimensions)}
        self.study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True))

    def ask(self):
        return self.study.ask(self.space)

    def unit(self, asked):
        return np.array([asked.params[name] for name in self.space])

    def tell(self, asked, value, noise):
        self.study.tell(asked, value)


class ScikitLearn(Peer):
    """Its Gaussian process, with Thompson sampling in rounds: as a loop that is often written by hand."""

    in_rounds = True

    def __init__(self, dimensions: int, seed: int) -> None:
        from scipy.stats import qmc
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern

        warnings.filterwarnings("ignore")  # lengths that reach their bounds
        self.dimensions, self.seed, self.rng = dimensions, seed, np.random.default_rng(seed)
        self.x: list[np.ndarray] = []
        self.y: list[float] = []
        self.round: list[np.ndarray] = []
        count = -(-max(2 * dimensions, 5) // WORKERS) * WORKERS  # whole rounds
        self.start = list(qmc.Sobol(dimensions, rng=seed).random(1 << (count - 1).bit_length())[:count])
        kernel = ConstantKernel(1.0) * Matern(np.full(dimensions, 0.5), (0.01, 100), nu=2.5)
        self.model = GaussianProcessRegressor(kernel, alpha=1e-6, normalize_y=True, random_state=seed)

    def ask(self):
        if self.start:
            return self.start.pop(0)
        if not self.round:
            self.model.fit(np.array(self.x), np.array(self.y))
            best = np.array(self.x)[np.argsort(self.y)[:5]]
            near = best[self.rng.integers(5, size=250)] + 0.05 * self.rng.standard_normal((250, self.dimensions))
            candidates = np.vstack([self.rng.random((500, self.dimensions)), np.clip(near, 0, 1)])
            draws = self.model.sample_y(candidates, WORKERS, random_state=int(self.rng.integers(2**31)))
            self.round = list(candidates[np.argmin(draws, axis=0)])
        return self.round.pop(0)

    def tell(self, asked, value, noise):
        self.x.append(asked)
        self.y.append(value)


PEERS = {"random": Random, "optuna": Optuna, "sklearn": ScikitLearn}


def main() -> None:
    name, problem_name, *seeds = sys.argv[1:]
    problem = {one.name: one for one in (*PROBLEMS, NOISY)}[problem_name]
    print(json.dumps([study(problem, PEERS[name](problem.dimensions, int(s)), int(s)) for s in seeds]))


if __name__ == "__main__":
    main()
