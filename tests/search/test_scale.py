"""Objectives on the scale of a model."""

import math

import numpy as np
import pytest
from simferry.errors import UsageError
from simferry.search.scale import Scale


def forth(scale, *values):
    mean, mcse, n = (np.array([float(v) for v in column]) for column in zip(*values, strict=True))
    return scale.forth(mean, mcse, n)


def test_log_has_the_noise_of_the_logarithm():
    rng = np.random.default_rng(1)
    y, noise = forth(Scale("log", True), (2.0, 0.1, 0))
    assert y[0] == pytest.approx(math.log(2)) and math.sqrt(noise[0]) == pytest.approx(
        np.log(rng.normal(2.0, 0.1, 20_000)).std(), rel=0.02
    )


def test_probit_has_the_noise_of_the_probit():
    from scipy.special import ndtri

    rng, n, p = np.random.default_rng(1), 400, 0.9
    y, noise = forth(Scale("probit", True), (p, math.sqrt(p * (1 - p) / n), n))
    simulated = ndtri((rng.binomial(n, p, 20_000) + 0.5) / (n + 1))
    assert y[0] == pytest.approx(simulated.mean(), abs=0.01)
    assert math.sqrt(noise[0]) == pytest.approx(simulated.std(), rel=0.03)


def test_rates_of_none_and_all_are_not_taken_as_sure():
    y, noise = forth(Scale("probit", True), (0.0, 0.0, 100), (1.0, 0.0, 100), (0.5, 0.05, 100))
    assert (
        np.isfinite(y).all()
        and y[0] == pytest.approx(-y[1])
        and noise[0] == pytest.approx(noise[1])
        and noise[0] > noise[2]
    )


def test_replications_that_are_unknown_follow_from_the_mcse():
    known, unknown = (forth(Scale("probit", True), (0.8, math.sqrt(0.16 / 50), n)) for n in (50, 0))
    assert unknown[0] == pytest.approx(known[0]) and unknown[1] == pytest.approx(known[1])


def test_no_noise_beside_noise_is_not_believed():
    _, noise = forth(Scale("linear", True), (1.0, 0.0, 5), (2.0, 0.3, 5), (2.0, 0.2, 5), (3.0, math.nan, 1))
    assert noise[:3] == pytest.approx([0.04, 0.09, 0.04]) and math.isnan(noise[3])
    assert forth(Scale("linear", True), (1.0, 0.0, 5), (3.0, math.nan, 1))[1][0] == 0


def test_zero_has_a_logarithm_that_is_unsure():
    y, noise = forth(Scale("log", True), (0.0, 0.0, 100), (0.5, 0.01, 100))
    assert y[0] == pytest.approx(math.log(0.25)) and noise[0] == 1


@pytest.mark.parametrize("name, mean", [("linear", -3.0), ("log", 0.2), ("probit", 0.7)])
@pytest.mark.parametrize("minimize", [True, False])
def test_back_again(name, mean, minimize):
    scale = Scale(name, minimize)
    y, noise = forth(scale, (mean, 1e-3, 10**9))
    value, sd = scale.back(float(y[0]), math.sqrt(noise[0]))
    assert value == pytest.approx(mean, rel=1e-6) and sd == pytest.approx(1e-3, rel=1e-3)
    better, _ = forth(scale, (mean + (-0.01 if minimize else 0.01), 1e-3, 10**9))
    assert better[0] < y[0]


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: Scale("lgo", True), "scale='lgo' is no scale"),
        (lambda: Scale("log", True).check(-1.0, {"n": 3}), "the objective is -1 at {'n': 3}, which has no logarithm"),
        (lambda: Scale("probit", True).check(1.2, {"n": 3}), "a rate is from 0 to 1"),
    ],
)
def test_values_that_a_scale_has_not(make, says):
    with pytest.raises(UsageError) as error:
        make()
    assert says in str(error.value)
