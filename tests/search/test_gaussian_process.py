"""A Gaussian process, beside its definition written out without a factorisation."""

import math

import numpy as np
import pytest
from simferry.search.gaussian_process import Data, GaussianProcess, Hyperparameters, fitted, log_density
from simferry.system.threads import one_thread

pytestmark = pytest.mark.usefixtures("on_one_thread")  # beside other tests, more are many times as slow

GROUPS = np.array([0, 1, 1, 2])  # the parameter in the middle is a choice of two
H = Hyperparameters(np.array([0.4, 0.9, 2.0]), 1.7, 0.03, centre=-2.0, spread=3.0)


@pytest.fixture(scope="module")
def on_one_thread():
    with one_thread():
        yield


def some_data(points=25, seed=1):
    rng = np.random.default_rng(seed)
    choice = np.eye(2)[rng.integers(2, size=points)] / math.sqrt(2)
    x = np.column_stack([rng.random(points), choice, rng.random(points)])
    y = 4 * np.sin(5 * x[:, 0]) + x[:, 1] + x[:, 3] ** 2
    noise = rng.random(points) * 0.2
    noise[::5] = np.nan  # unknown
    noise[1::5] = 0.0
    return Data(x, y, noise, GROUPS)


def covariance(h, a, b):
    """Constant and Matern 5/2, pair by pair."""
    out = np.empty((len(a), len(b)))
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            r = math.sqrt(sum(((u - v) / h.lengths[g]) ** 2 for u, v, g in zip(one, other, GROUPS, strict=True)))
            out[i, j] = 1 + h.variance * (1 + math.sqrt(5) * r + 5 * r * r / 3) * math.exp(-math.sqrt(5) * r)
    return out


def brute_force(h, data, at):
    """Mean and covariance of the posterior by its definition."""
    noise = np.where(np.isnan(data.noise), h.nugget, data.noise / h.spread**2) + 1e-8 * h.variance
    inverse = np.linalg.inv(covariance(h, data.x, data.x) + np.diag(noise))
    across = covariance(h, at, data.x)
    mean = h.centre + h.spread * across @ inverse @ ((data.y - h.centre) / h.spread)
    return mean, h.spread**2 * (covariance(h, at, at) - across @ inverse @ across.T)


def test_mean_and_standard_deviation_are_those_of_the_definition():
    data, at = some_data(), some_data(7, seed=2).x
    mean, matrix = brute_force(H, data, at)
    found, sd = GaussianProcess(H, data).mean_and_sd(at)
    assert found == pytest.approx(mean, abs=1e-6) and sd == pytest.approx(np.sqrt(np.diag(matrix)), rel=1e-5)
    assert GaussianProcess(H, data).mean(at) == pytest.approx(mean, abs=1e-6)


def test_points_of_unequal_noise_count_by_it():
    x = np.array([[0.5, 0.5, 0, 0.5]] * 2)
    one = GaussianProcess(H, Data(x, np.array([0.0, 10.0]), np.array([0.01, 100.0]), GROUPS)).mean(x[:1])
    assert one == pytest.approx(0.0, abs=0.05)


def test_the_density_is_that_of_the_definition_and_its_gradient_that_of_differences():
    data = some_data()
    squares = np.zeros((3, 25, 25))
    for column, group in zip(data.x.T, GROUPS, strict=True):
        squares[group] += np.subtract.outer(column, column) ** 2
    y, noise = data.y / 3, data.noise / 9

    def written_out(theta):
        h = Hyperparameters(np.exp(theta[:3]), math.exp(theta[3]), math.exp(theta[4]), 0.0, 1.0)
        own = np.where(np.isnan(noise), h.nugget, noise) + 1e-8 * h.variance
        matrix = covariance(h, data.x, data.x) + np.diag(own)
        likelihood = -0.5 * y @ np.linalg.inv(matrix) @ y - 0.5 * np.linalg.slogdet(matrix)[1]
        centres, widths = np.log([0.5, 0.5, 0.5, 2.0, 0.01]), np.array([1, 1, 1, 1, 2])
        return likelihood - 0.5 * np.sum(((theta - centres) / widths) ** 2)

    theta = np.array([-1.0, 0.2, 0.3, 0.1, -3.0])
    value, gradient = log_density(theta, squares, y, noise)
    assert value == pytest.approx(written_out(theta))
    steps = [(written_out(theta + h) - written_out(theta - h)) / 2e-5 for h in 1e-5 * np.eye(5)]
    assert gradient == pytest.approx(steps, rel=1e-4)


def test_lengths_are_found():
    """Of a function that hardly depends on its last parameter, and of one drawn with known lengths."""
    found = fitted(some_data(40))
    assert found.lengths[2] > 3 * found.lengths[0]
    rng = np.random.default_rng(3)
    x = np.column_stack([rng.random(120), np.zeros((120, 2)), rng.random(120)])
    known = Hyperparameters(np.array([0.2, 1.0, 0.6]), 1.0, 0.0, 0.0, 1.0)
    y = rng.multivariate_normal(np.zeros(120), covariance(known, x, x) + 1e-6 * np.eye(120))
    lengths = fitted(Data(x, y, np.zeros(120), GROUPS)).lengths
    assert lengths[[0, 2]] == pytest.approx([0.2, 0.6], rel=0.4)


def test_equal_values_everywhere_are_no_error():
    x = np.random.default_rng(1).random((6, 4))
    data = Data(x, np.full(6, 3.0), np.zeros(6), GROUPS)
    assert GaussianProcess(fitted(data), data).mean(x) == pytest.approx([3.0] * 6)


def test_draws_have_mean_and_covariance_of_the_posterior():
    data, at = some_data(), some_data(4, seed=2).x
    process = GaussianProcess(H, data)
    draws = np.array([process.draw(np.random.default_rng((1, i)))(at) for i in range(800)])
    mean, matrix = brute_force(H, data, at)
    assert draws.mean(axis=0) == pytest.approx(mean, abs=4 * np.sqrt(np.diag(matrix) / 800).max())
    scale = np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
    assert np.abs((np.cov(draws.T) - matrix) / scale).max() < 0.2


def test_a_draw_is_one_function():
    draw = GaussianProcess(H, some_data()).draw(np.random.default_rng(1))
    at = some_data(9, seed=2).x
    assert draw(at)[3:5] == pytest.approx(draw(at[3:5]))


def test_believed_points_change_no_mean_but_make_it_sure():
    process, at = GaussianProcess(H, some_data()), np.array([[0.9, 0.7, 0, 0.1]])
    believing = process.believing(at, 0.0)
    assert believing.mean(at) == pytest.approx(process.mean(at), abs=1e-5)
    assert believing.mean_and_sd(at)[1] < 0.01 * process.mean_and_sd(at)[1]
