"""Root finding over noisy means: what is asked, when it ends, what it answers."""

import json
import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from simferry.errors import UsageError
from simferry.search.roots import RootFinder
from simferry.search.searcher import Searcher
from simferry.search.sought import Sought

POWER = {"parameter": "n", "low": 10, "high": 500, "measure": "power", "target": 0.8, "kind": "rate", "whole": True}
TRUE = (2 + ndtri(0.8)) ** 2 * 4  # of probit_power


def probit_power(n, effect=0.5):
    return ndtr(math.sqrt(n) * effect - 2)


class Computing:
    """Computes what a searcher asks for, several points at once, which end in a random order."""

    def __init__(self, finder, rate=None, at_once=4, seed=1, mean=None):
        self.finder, self.rate, self.mean = finder, rate, mean
        self.rng, self.known, self.log = np.random.default_rng(seed), {}, []
        self.at_once, self.pending, self.asked = at_once, [], []

    def value(self, point):
        if self.mean:
            return self.mean(**point)
        k, n = self.known.get(str(point), (0, 0))
        k, n = k + self.rng.binomial(self.finder.sought.batch, self.rate(**point)), n + self.finder.sought.batch
        self.known[str(point)] = k, n
        return k / n, math.sqrt(k * (n - k) / n**3), n, False

    def run(self, events=10_000):
        for _ in range(events):
            while len(self.pending) < self.at_once and (point := self.finder.ask()) is not None:
                self.pending.append(point)
                self.asked.append(point)
                self.log.append((point, None))
            if not self.pending:
                break
            point = self.pending.pop(int(self.rng.integers(len(self.pending))))
            told = self.value(point)
            self.finder.tell(point, *told)
            self.log.append((point, told))
        return self.finder.roots


def test_the_sample_size_for_a_power():
    finder = RootFinder(Sought(**POWER, within=2, most=20_000, confirm=300), seed=3)
    assert isinstance(finder, Searcher)
    computing = Computing(finder, probit_power)
    (root,) = computing.run()
    assert [point["n"] for point in computing.asked[:2]] == [10, 500]
    assert finder.over == root.why == "within 2" and finder.ask() is None
    assert root.lower < TRUE < root.upper and (root.upper - root.lower) / 2 <= 2
    assert root.answer == math.ceil(root.root) and type(root.answer) is int
    assert [x for x, *_ in root.around] == [root.answer - 1, root.answer, root.answer + 1]
    assert all(n >= 300 for *_, n in root.around)
    assert abs(root.value - probit_power(root.answer)) < 4 * root.mcse
    assert root.replications == 100 * root.evaluations < 20_000
    assert set(map(tuple, map(sorted, computing.asked[-3:]))) == {("n",)}
    assert root.row("n")["n"] == root.answer


def test_intervals_cover_and_use_the_replications_well():
    """30 studies of 2,000 replications. The coverage has an MCSE of 0.04; the RMSE an error of 13 %."""
    off, inside = [], 0
    for seed in range(30):
        finder = RootFinder(Sought(**POWER, most=2000, confirm=0), seed=seed)
        (root,) = Computing(finder, probit_power, 8, seed).run()
        assert root.why == "2,000 replications" and root.replications == 2000
        off.append(root.root - TRUE)
        inside += root.lower <= TRUE <= root.upper
    slope = math.exp(-(ndtri(0.8) ** 2) / 2) / math.sqrt(2 * math.pi) / math.sqrt(TRUE) / 4
    bound = math.sqrt(0.16 / 2000) / slope
    assert np.sqrt(np.mean(np.square(off))) < 1.9 * bound
    assert inside >= 25


def test_a_log_that_is_replayed_leads_to_the_same_points():
    question = Sought(**POWER, within=3, most=3000, confirm=200)
    rows = [{"effect": 0.5, "shape": [1, 2]}, {"effect": 1.0, "shape": [1, 2]}]
    computing = Computing(RootFinder(question, rows, seed=5), lambda n, effect, shape: probit_power(n, effect))
    computing.run()
    for cut in (0, 1, 9, 30, len(computing.log)):
        again = RootFinder(question, rows, seed=5)
        for point, told in computing.log[:cut]:
            if told is None:
                again.asked({**point, "n": float(point["n"]), "effect": np.float64(point["effect"])})
            else:
                again.tell(point, *told)
        following = next((point for point, told in computing.log[cut:] if told is None), None)
        if cut < len(computing.log) and computing.log[cut][1] is None:
            assert again.ask() == following
    assert str(again.roots) == str(computing.finder.roots) and again.over == computing.finder.over


def test_an_output_of_0_and_1_is_taken_for_a_rate():
    questions = [Sought(**{**POWER, "kind": kind}, most=2000, confirm=0) for kind in ("rate", "auto")]
    (one,), (other,) = (Computing(RootFinder(question), probit_power).run() for question in questions)
    assert one == other
    level = RootFinder(Sought("x", 0.0, 1.0, "level", 0.5, most=400, batch=10, confirm=0))
    (root,) = Computing(level, mean=lambda x: (x, 0.01, 10, False)).run()
    assert root.root == pytest.approx(0.5, abs=0.01) and level.curves()[0][1].target == 0.5


def test_a_record_can_be_json():
    finder = RootFinder(Sought(**POWER, within=2), [{"effect": np.float64(0.5), "beta": np.array([1, 2])}], seed=4)
    again = RootFinder.from_record(json.loads(json.dumps(finder.record())))
    assert again.sought == finder.sought and again.record() == finder.record()
    again.asked(finder.ask())
    assert again.ask() == finder.ask() == {"effect": 0.5, "beta": [1, 2], "n": 500}


def test_rows_share_the_workers():
    rows = [{"effect": 0.4}, {"effect": 1.0}]
    finder = RootFinder(Sought(**{**POWER, "low": 2}, within=3, most=40_000, confirm=0), rows)
    computing = Computing(finder, probit_power)
    small, large = computing.run()
    assert {point["effect"] for point in computing.asked[:4]} == {0.4, 1.0}
    assert small.why == large.why == "within 3" and finder.over == "2 searches: within 3"
    assert small.replications > large.replications
    assert large.lower < TRUE / 4 < large.upper


def test_a_measure_without_a_target_between_its_ends():
    finder = RootFinder(Sought(**POWER))
    (root,) = Computing(finder, lambda n: 0.05).run()
    assert len(finder.curves()[0][2]) == 2 and root.answer is None and math.isnan(root.root)
    assert root.why.startswith("no change of sign: power is 0.0") and "at n = 10 and 0.0" in root.why
    assert "(MCSE 0.0" in root.why and root.why.endswith("the target 0.8")


def test_an_end_near_the_target_is_asked_until_its_side_is_clear():
    finder = RootFinder(Sought(**POWER, most=6000))
    computing = Computing(finder, lambda n: 0.75 if n == 500 else 0.1)
    (root,) = computing.run()
    assert root.why.startswith("no change of sign") and 200 < root.replications < 6000
    assert {point["n"] for point in computing.asked[2:]} <= {500}


def test_a_width_on_the_log_scale_and_falling():
    def width(n):
        mean = 4 / math.sqrt(n)
        return rng.normal(mean, mean * 0.02), mean * 0.02, 100, False

    rng = np.random.default_rng(2)
    question = Sought("n", 10, 1000, "width", 0.5, "positive", within=2, most=20_000, confirm=100, whole=True)
    (root,) = Computing(RootFinder(question), mean=width).run()
    assert root.why == "within 2" and root.lower - 1 < 64 < root.upper + 1
    assert root.answer >= root.root


@pytest.mark.parametrize("kind", ["mean", "positive"])
def test_a_function_without_noise(kind):
    question = Sought("x", 0.0, 10.0, "level", 20.0, kind, within=0.001, most=100, batch=1, confirm=1)
    (root,) = Computing(RootFinder(question), mean=lambda x: (math.exp(x) + 1, 0.0, 1, False)).run()
    assert root.root == pytest.approx(math.log(19), abs=0.002) and root.why == "within 0.001"
    assert root.value == pytest.approx(20, abs=0.05)


def test_failures():
    at_end = RootFinder(Sought(**POWER))
    (root,) = Computing(at_end, mean=lambda n: (math.nan, math.nan, 100, n == 10)).run()
    assert root.why == "no value of power at n = 10"
    inside = RootFinder(Sought(**POWER))
    (root,) = Computing(inside, mean=lambda n: (float(n == 500), 0.0, 100, 10 < n < 500), at_once=1).run()
    assert root.why.startswith("5 evaluations failed, the first at n = ")


def test_a_curve_that_is_no_line_is_told():
    finder = RootFinder(Sought(**POWER, most=6000, confirm=0))
    (root,) = Computing(finder, lambda n: 0.9 * ndtr(math.sqrt(n) - 6)).run()
    assert root.note.startswith("probit of power against √n is no straight line (p = ")
    assert abs(root.root - (6 + ndtri(0.8 / 0.9)) ** 2) < 5


def test_what_is_refused():
    question = Sought(**POWER)
    with pytest.raises(UsageError, match="n is sought, but the design has it as well"):
        RootFinder(question, [{"n": 5}])
    with pytest.raises(UsageError, match=r"the design has the row \{'d': 1\.0\} twice"):
        RootFinder(question, [{"d": 1}, {"d": 1.0}])
    with pytest.raises(UsageError, match="no rows"):
        RootFinder(question, [])
    finder = RootFinder(question)
    with pytest.raises(UsageError, match="is no point of this search"):
        finder.tell({"n": 10, "d": 1}, 0.5, 0.1, 10)
    with pytest.raises(UsageError, match=r"power is 1.3 at n = 10, but a rate is from 0 to 1"):
        finder.tell({"n": 10}, 1.3, 0.1, 10)
