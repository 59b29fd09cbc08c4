"""Searches with a searcher that needs no mathematics."""

import math

import numpy as np
import pytest
from simferry.sweep.sweep import Sweep
from simferry.verbs import objective, searching
from sweeps import write

PYTHON = """
import time
def simulate(x, rng):
    return {"y": (x - 0.3) ** 2 + rng.normal(0, 0.01), "big": x > 0.5}
"""


class Spread:
    """Asks for points of an interval that depend on the log: the n-th on the mean of what was told so far. Every third again."""

    over = ""

    def __init__(self, arguments):
        self.log, self.points, self.seed = [], [], arguments.get("seed", 1)
        self.stop = arguments.get("stop", 10**9)

    def _next(self):
        told = sum(float(mean) for _, mean, *_ in self.log if math.isfinite(mean))
        rng = np.random.default_rng([self.seed, len(self.points)])
        if len(self.points) % 3 == 2:
            return self.points[-2]
        return {"x": float(rng.uniform() + told) % 1}

    def ask(self):
        if len(self.points) >= self.stop:
            self.over = "it has enough"
            return None
        point = self._next()
        self.points.append(point)
        return point

    def asked(self, point):
        self.points.append(dict(point))

    def tell(self, point, mean, mcse, replications, failed):
        self.log.append((dict(point), mean, mcse, replications, failed))


def begin(folder, code=PYTHON, name="simulate.py", aim="y", n=4, arguments=None, store=None, options=None, **how):
    sweep = Sweep(write(folder, name, code), replications=n, seed=3, store=store or folder / "runs", **(options or {}))
    how = {"at_once": 2, "evaluations": 7, **how}
    return searching.begin(sweep, "spread", arguments or {}, {"x": "number"}, aim, **how)


def log_of(run):
    """Asks and tells in order, as the plans have them."""
    out = []
    for plan in run._folder.plans():
        out += [("told", told) for told in plan.step.told]
        if plan.step.condition:
            out.append(("asked", plan.number, plan.step.condition, plan.replications))
    return out


def check(run, n=4):
    """What is true of each search: its table, and that what was told is what the rows give."""
    frame, trace = run.results(), searching.trace(run._folder)
    design = run.design()
    assert design["x"].is_unique and (frame.groupby("condition")["replication"].max() % n == 0).all()
    assert not frame.duplicated(["condition", "replication"]).any()
    numbers = [told.evaluation for kind, told, *_ in log_of(run) if kind == "told"]
    assert len(set(numbers)) == len(numbers)
    last = trace.sort_values("told").groupby("condition").last()
    means = frame.groupby("condition")["y"].mean()
    assert np.allclose(last["mean"], means[last.index], rtol=1e-12)
    # replaying the log gives the same asks, bit for bit
    again, points = Spread(run.record["search"]["arguments"]), dict(zip(design["condition"], design["x"], strict=True))
    evaluations = {}
    for kind, *rest in log_of(run):
        if kind == "told":
            (told,) = rest
            again.tell(
                {"x": points[evaluations[told.evaluation]]}, told.mean, told.mcse, told.replications, told.failed
            )
        else:
            evaluations[rest[0]] = rest[1]
            assert again.ask()["x"] == points[rest[1]]


@pytest.fixture
def spread(monkeypatch):
    """Searches of the kind "spread" are known."""
    monkeypatch.setitem(objective.BUILDERS, "spread", Spread)
