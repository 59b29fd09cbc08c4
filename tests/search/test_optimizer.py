"""The optimiser: what it finds, that it follows its log, and what it refuses."""

import json
import math
from collections import deque

import numpy as np
import pytest
import simferry as sf
from simferry.errors import DesignError, UsageError
from simferry.search.optimizer import log_improvement
from simferry.search.searcher import Searcher

LINE = sf.space(x=(0.0, 1.0))
MIXED = sf.space(lam=(1e-3, 10, "log"), k=(1, 20, int), kernel=["a", "b"], n=100)


def mixed(p):
    return math.log10(p["lam"] / 0.03) ** 2 + abs(p["k"] - 7) / 5 + (p["kernel"] == "b")


def search(opt, objective, at_once=3, mcse=0.0, seed=1, evaluations=25):
    """Points that end in the order in which they began, `at_once` pending; gives all asked."""
    rng, pending, asked = np.random.default_rng(seed), deque(), []
    while len(asked) < evaluations and (pending or not opt.over):
        while len(pending) < at_once and (point := opt.ask()):
            pending.append(point)
            asked.append(point)
        if not pending:
            break
        point = pending.popleft()
        opt.tell(point, objective(point) + mcse * rng.standard_normal(), mcse)
    return asked


@pytest.mark.parametrize("method", ["thompson", "ei"])
def test_finds_the_minimum_of_mixed_parameters(method):
    opt = sf.optimizer(MIXED, seed=3, method=method)
    asked = search(opt, mixed)
    assert isinstance(opt, Searcher)
    best = opt.best
    assert best.point["kernel"] == "a" and best.point["n"] == 100 and mixed(best.point) < 0.5
    assert best.mean == pytest.approx(best.told, abs=0.05) and best.told == mixed(best.point)
    assert {type(p["k"]) for p in asked} == {int} and len({json.dumps(p) for p in asked}) == 25


def test_maximises_rates_on_the_probit_scale():
    opt = sf.optimizer(LINE, seed=1, minimize=False, scale="probit")
    rng = np.random.default_rng(1)
    for _ in range(20):
        point = opt.ask()
        rate = rng.binomial(400, 0.9 - (point["x"] - 0.3) ** 2) / 400
        opt.tell(point, rate, math.sqrt(rate * (1 - rate) / 400), 400)
    assert opt.best.point["x"] == pytest.approx(0.3, abs=0.15)
    assert opt.best.mean == pytest.approx(0.9, abs=0.03) and 0 < opt.best.standard_error < opt.best.mcse


@pytest.mark.parametrize("method", ["thompson", "ei"])
def test_the_log_alone_decides_what_comes_next(method):
    """An optimiser that is told the log, through JSON, goes on as the one that wrote it, bit for bit; another seed does not."""
    opt, log = sf.optimizer(MIXED, seed=5, method=method), []
    for number in range(14):
        log.append(("asked", opt.ask()))
        if number > 1:
            point = [p for what, p, *_ in log if what == "asked"][number - 2]
            log.append(("tell", point, mixed(point), 0.1, 50, number == 7))
            opt.tell(*log[-1][1:])
    again, other = (sf.optimizer(MIXED, seed=seed, method=method) for seed in (5, 6))
    for what, *arguments in json.loads(json.dumps(log)):
        for one in (again, other):
            getattr(one, what)(*arguments)
    assert again.best == opt.best
    following = [opt.ask(), opt.ask()]
    assert [again.ask(), again.ask()] == following and other.ask() != following[0]


def test_an_ask_does_not_depend_on_questions_in_between():
    one, two = (sf.optimizer(LINE, seed=2) for _ in range(2))
    for _ in range(8):
        point = one.ask()
        assert two.ask() == point and two.best == two.best
        for opt in (one, two):
            opt.tell(point, (point["x"] - 0.4) ** 2, 0.05)


def test_the_start_is_a_sequence_that_covers_the_space():
    opt = sf.optimizer(sf.space(x=(0, 1), y=(0, 1), where=lambda p: p["x"] + p["y"] < 1.5), seed=1)
    points = [opt.ask() for _ in range(8)]  # none told
    assert all(p["x"] + p["y"] < 1.5 for p in points)
    assert min(abs(a["x"] - b["x"]) for i, a in enumerate(points) for b in points[:i]) > 0.01


def test_points_that_are_known_already_are_the_start():
    opt = sf.optimizer(LINE, seed=1)
    for x in np.linspace(0, 1, 9):
        opt.tell({"x": float(x)}, (x - 0.4) ** 2)
    assert abs(opt.ask()["x"] - 0.4) < 0.1


def test_recommends_by_the_posterior_mean_and_not_the_best_value_seen():
    opt = sf.optimizer(LINE, seed=1)
    for x in np.linspace(0, 1, 11):
        opt.tell({"x": float(x)}, (x - 0.3) ** 2, 0.01)
    opt.tell({"x": 0.9}, -0.5, 0.5)  # lowest by luck
    assert opt.best.point["x"] == pytest.approx(0.3, abs=0.15) and opt.best.standard_error < 0.02


def test_noise_is_met_by_more_replications_of_points_that_are_known():
    noisy, exact = (sf.optimizer(LINE, seed=1) for _ in range(2))
    again = search(noisy, lambda p: (p["x"] - 0.4) ** 2, mcse=0.3)
    once = search(exact, lambda p: (p["x"] - 0.4) ** 2)
    assert len({p["x"] for p in again}) < 20 and len({p["x"] for p in once}) == 25


def test_failed_points_are_avoided():
    opt = sf.optimizer(sf.space(x=(0.0, 1.0), y=(0.0, 1.0)), seed=1)
    failures = []
    for _ in range(25):
        point = opt.ask()
        failures.append(point["x"] > 0.5)
        opt.tell(point, math.nan if failures[-1] else -point["x"] - point["y"], 0.0, 0, failures[-1])
    assert sum(failures[15:]) <= 5 and 0.35 < opt.best.point["x"] <= 0.5


def test_all_failed_is_an_end_that_says_so():
    opt = sf.optimizer(LINE, seed=1)
    while not opt.over:
        opt.tell(opt.ask(), 0.0, failed=True)
    assert opt.over == "all of the 10 evaluations failed" and opt.ask() is None and opt.best is None


def test_ends_after_the_evaluations_or_when_no_point_is_left():
    opt = sf.optimizer(LINE, seed=1, evaluations=7)
    asked = search(opt, lambda p: p["x"])
    assert len(asked) == 7 and opt.over == "7 evaluations" and opt.ask() is None
    small = sf.optimizer(sf.space(k=(1, 4, int), m=["a", "b"]), seed=1)
    asked = search(small, lambda p: p["k"])
    assert len(asked) == 8 and small.over == "all 8 points of the space" and small.best.point["k"] == 1


def test_ends_when_the_expected_improvement_is_below_the_mcse():
    opt = sf.optimizer(LINE, seed=1, until_mcse=True)
    asked = search(opt, lambda p: 0.01 * p["x"], mcse=0.5, evaluations=60)
    assert 10 <= len(asked) < 60 and "is below the MCSE of the best" in opt.over


def test_an_unknown_noise_is_estimated():
    opt, rng = sf.optimizer(LINE, seed=1), np.random.default_rng(1)
    for x in np.linspace(0, 1, 30):
        opt.tell({"x": float(x)}, (x - 0.3) ** 2 + rng.normal(0, 0.05), math.nan)
    assert opt.best.point["x"] == pytest.approx(0.3, abs=0.15) and 0.002 < opt.best.standard_error < 0.05


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"method": "thomson"}, "method='thomson' is no method\nDid you mean thompson?"),
        ({"seed": -1}, "seed=-1 is no whole number from 0"),
        ({"scale": "logit"}, "scale='logit' is no scale"),
        ({"evaluations": 5}, "evaluations=5 is too few: the first 5 points only cover the space\nGive 6 or more."),
    ],
)
def test_arguments_that_are_refused(arguments, says):
    with pytest.raises(UsageError) as error:
        sf.optimizer(LINE, **arguments)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "told, says",
    [
        (({"x": 2.0}, 1.0), "x=2.0 is not from 0 to 1"),
        (({"x": 0.5}, math.nan), "the objective is nan at {'x': 0.5}"),
        (({"x": 0.5}, 1.0, -0.1), "mcse=-0.1"),
    ],
)
def test_what_can_not_be_told(told, says):
    with pytest.raises((UsageError, DesignError)) as error:
        sf.optimizer(LINE).tell(*told)
    assert says in str(error.value)


def test_a_space_is_needed():
    with pytest.raises(UsageError, match="is no space"):
        sf.optimizer({"x": (0, 1)})


def test_the_expected_improvement_is_right_near_and_far():
    from scipy.integrate import quad
    from scipy.stats import norm

    for mean in (-1.0, 0.5, 3.0):
        wanted = quad(lambda f, mean=mean: max(0.3 - f, 0) * norm.pdf(f, mean, 0.7), -8, 0.3)[0]
        assert math.exp(log_improvement(0.3, np.array([mean]), np.array([0.7]))[0]) == pytest.approx(wanted, rel=1e-6)
    far = log_improvement(0.0, np.linspace(5, 50, 400), np.ones(400))
    assert (np.diff(far) < 0).all() and np.isfinite(far).all()
