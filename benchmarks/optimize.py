"""Whether the optimiser finds minima as fast as others, with four workers in virtual time: regrets of studies that were drawn at random.

    python benchmarks/optimize.py [studies]      12 studies take about five minutes on two cores

Branin, Hartmann 6 and a shifted Ackley 4; each evaluation takes a half-normal time. Beside it: random points, optuna's TPE with a constant
liar, scikit-learn's Gaussian process in rounds, and the optimiser itself in rounds. Then Branin with a noise that is known. optuna and
scikit-learn are installed into .venv/peers, and not into .venv. Exit code 1 when a bar is missed.
"""

import json
import os
import statistics
import subprocess
import sys
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import simferry as sf
from optimize_problems import NOISY, PROBLEMS, Peer, Problem, hartmann, study
from timing import PEERS

OTHERS, OURS, ROUNDS = ("random", "optuna", "sklearn"), ("thompson", "ei"), "thompson in rounds"
Regrets = dict[tuple[str, str], list[dict[str, float]]]  # by name and problem: one for each study
ASKS_MS, NOISY_RATIO, ROUNDS_RATIO = 100, 0.6, 1 / 5
EQUAL = 0.01  # of random's regret: differences below count as none


class Simferry(Peer):
    def __init__(self, name: str, dimensions: int, seed: int) -> None:
        space = sf.space({f"x{at}": (0.0, 1.0) for at in range(dimensions)})
        self.optimizer = sf.optimizer(space, seed=seed, method=name.split()[0])
        self.in_rounds = name == ROUNDS
        self.values: dict[str, list[float]] = {}

    def ask(self):
        return self.optimizer.ask()

    def unit(self, asked):
        return np.array(list(asked.values()))

    def tell(self, asked, value, noise):
        values = self.values.setdefault(str(asked), [])  # a point that is asked again has one more replication
        values.append(value)
        self.optimizer.tell(asked, statistics.fmean(values), noise / len(values) ** 0.5, len(values))

    def recommended(self):
        return self.unit(self.optimizer.best.point)


def milliseconds() -> float:
    """CPU time of an ask with 100 points of six parameters told; the median of 15."""
    peer, rng = Simferry("thompson", 6, 1), np.random.default_rng(1)
    for unit in rng.random((100, 6)):
        peer.tell({f"x{at}": float(v) for at, v in enumerate(unit)}, hartmann(unit), 0.0)
    peer.ask()
    taken = []
    for _ in range(15):
        begin = time.process_time()
        asked = peer.ask()
        taken.append(1000 * (time.process_time() - begin))
        peer.tell(asked, hartmann(peer.unit(asked)), 0.0)
    return statistics.median(taken)


def peers_python() -> str:
    """The interpreter of an environment with optuna and scikit-learn, which is made if it is not there."""
    folder = Path(sys.prefix) / "peers"
    python = str(folder / "bin" / "python")
    if not folder.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "optuna", "scikit-learn"], check=True)
    return python


def regrets(name: str, problem: Problem, studies: int) -> list[dict[str, float]]:
    script, python = (PEERS / "optimize.py", peers_python()) if name in OTHERS else (Path(__file__), sys.executable)
    command = [python, str(script), name, problem.name, *map(str, range(studies))]
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=one_thread)
    return list(json.loads(done.stdout))


def tasks() -> list[tuple[str, Problem]]:
    plain = [(name, problem) for name in (*OURS, *OTHERS) for problem in PROBLEMS]
    return [*plain, (ROUNDS, PROBLEMS[0]), *((name, NOISY) for name in (*OURS, "random", "optuna"))]


def middle(found: Regrets, name: str, problem: str, what: str) -> float:
    return statistics.median(one[what] for one in found[name, problem])


def report(found: Regrets, asks: float) -> list[str]:
    """Prints the table; gives the bars that are missed."""
    missed = []
    columns = ("half", "all", "time")
    print(f"{'median regret':22}" + "".join(f"{p.name:>34}" for p in PROBLEMS))
    print(f"{'':22}" + "".join(f"{'N/2':>14}{'N':>10}{'time':>10}" for _ in PROBLEMS))
    for name in (*OURS, ROUNDS, *OTHERS):
        shown = ""
        for problem in PROBLEMS:
            known = (name, problem.name) in found
            cells = [f"{middle(found, name, problem.name, one):.4f}" if known else "" for one in columns]
            shown += f"{cells[0]:>14}{cells[1]:>10}{cells[2]:>10}"
        print(f"{name:22}{shown}")
    for problem in PROBLEMS:
        for what, peers in {"half": OTHERS[:2], "all": OTHERS[:2], "time": OTHERS}.items():
            equal = EQUAL * middle(found, "random", problem.name, what)
            for peer in peers:
                limit = middle(found, peer, problem.name, what) + equal
                for name in OURS:
                    if middle(found, name, problem.name, what) > limit:
                        missed.append(f"{name} on {problem.name} at {what}: more than {peer}")
    branin = PROBLEMS[0].name
    ratio = middle(found, "thompson", branin, "time") / middle(found, ROUNDS, branin, "time")
    print(f"\nasynchronous / in rounds at equal time on Branin: {ratio:.3f}, bar {ROUNDS_RATIO:.3f}")
    means = {
        name: statistics.fmean(one["recommended"] for one in found[name, NOISY.name])
        for name, p in tasks()
        if p is NOISY
    }
    print("noisy Branin, mean regret of the recommended point: " + ", ".join(f"{n} {v:.2f}" for n, v in means.items()))
    print(f"bar: {NOISY_RATIO} x optuna's {means['optuna']:.2f} = {NOISY_RATIO * means['optuna']:.2f}")
    print(f"an ask with 100 points told: {asks:.0f} ms of CPU, bar {ASKS_MS} ms")
    missed += ["rounds on Branin"] * (ratio > ROUNDS_RATIO) + ["the time of an ask"] * (asks > ASKS_MS)
    return missed + [f"{name}: noisy Branin" for name in OURS if means[name] > NOISY_RATIO * means["optuna"]]


def main() -> None:
    if len(sys.argv) > 2:  # one of the tasks, as those of peers
        name, problem_name, *seeds = sys.argv[1:]
        problem = {one.name: one for one in (*PROBLEMS, NOISY)}[problem_name]
        print(json.dumps([study(problem, Simferry(name, problem.dimensions, int(s)), int(s)) for s in seeds]))
        return
    studies = int(sys.argv[1]) if len(sys.argv) == 2 else 12
    peers_python()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda task: regrets(*task, studies), tasks()))
    found = {(name, p.name): result for (name, p), result in zip(tasks(), results, strict=True)}
    missed = report(found, milliseconds())
    sys.exit(f"bars missed: {'; '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()
