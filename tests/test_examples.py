"""The ready-to-run examples in simulations/, checked against what is known to be true of their answers."""

import importlib.util
import io
import math
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import simferry as sf
from click.testing import CliRunner
from common import require
from r_fixtures import lacking_packages
from scipy import integrate, stats
from scipy.spatial.distance import pdist
from simferry.cli import main

SIMULATIONS = Path(__file__).resolve().parents[1] / "simulations"
DISTANCING = SIMULATIONS / "social_distancing"
COVERAGE = SIMULATIONS / "interval_coverage"
TRAINING = SIMULATIONS / "model_training"
SURVIVAL = SIMULATIONS / "survival_methods"
POWER = SIMULATIONS / "power"


def _require_r():
    require("r", shutil.which("Rscript") is not None, "Rscript is not installed")


def _require_survival():
    require("r", not (lacking := lacking_packages(("survival",))), lacking)


def load(path):
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_r(code, folder):
    """Run R code in a folder; what it prints is CSV."""
    _require_r()
    script = folder / "test.R"
    script.write_text(code)
    done = subprocess.run(["Rscript", "--vanilla", script], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return pd.read_csv(io.StringIO(done.stdout))


def assert_mean(values, expected):
    """The mean of independent replications lies within 4 Monte Carlo standard errors of the expected value."""
    values = np.asarray(values, dtype=float)
    mcse = values.std(ddof=1) / math.sqrt(len(values))
    assert abs(values.mean() - expected) < 4 * mcse, f"{values.mean():.6g} (MCSE {mcse:.2g}), expected {expected:.6g}"


exact = load(DISTANCING / "expected.py")
distancing = load(DISTANCING / "simulate.py")
coverage = load(COVERAGE / "simulate.py")
survival = load(SURVIVAL / "simulate.py")


# Social distancing: the exact expectation ------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), [(1000, 1000), (100, 60), (20, 13), (8, 6.5), (6, 6)])
def test_probability_of_a_close_pair_agrees_with_numerical_integration(a, b):
    # |x1 - x2| has density 2 (a - u) / a^2, and the pair is close where (u, v) lies in a quarter disc.
    integral, _ = integrate.dblquad(
        lambda v, u: 4 * (a - u) * (b - v) / (a * b) ** 2, 0, 6, 0, lambda u: math.sqrt(36 - u * u)
    )
    assert exact.close_pair_probability(a, b, 6) == pytest.approx(integral, rel=1e-6)


def test_a_thousand_people_in_a_thousand_feet_squared():
    assert exact.expected_per_person(1000, 1000, 1000) == pytest.approx(0.1124095, abs=1e-7)
    assert exact.expected_violations(1000, 1000, 1000) == pytest.approx(56.2047, abs=1e-4)


def test_the_formula_refuses_rooms_where_it_does_not_hold():
    with pytest.raises(ValueError, match=r"a distance of 6\.0 .* 1000 x 4"):
        exact.close_pair_probability(1000, 4)


# Social distancing: counting pairs -------------------------------------------------------------------------------


def layouts():
    """Places of people, by name: two arrays of feet each."""
    rng = np.random.default_rng(2026)

    def room(x_length, y_length, num_people):
        return rng.uniform(0, x_length, num_people), rng.uniform(0, y_length, num_people)

    lattice_x, lattice_y = (side.ravel().astype(float) for side in np.meshgrid(np.arange(25), np.arange(31)))
    x, y = room(100, 60, 400)
    strip = 6.006 * rng.integers(0, 12, 300)  # exactly where close_pairs cuts the room
    far = rng.uniform(1e4, 1e5, 200)
    fence = 6.0 * rng.integers(1, 16_000, 200)
    return {
        "one person": room(1000, 1000, 1),
        "two people closer than 6 feet": (np.array([10.0, 15.9]), np.array([3.0, 3.0])),
        "two people exactly 6 feet apart": (np.array([0.0, 6.0]), np.array([3.0, 3.0])),
        "a hundred people in one spot": (np.full(100, 7.3), np.full(100, 1.9)),
        "the corners of a room": (np.array([0.0, 5, 0, 5]), np.array([0.0, 0, 5, 5])),
        "along a wall": (np.zeros(200), rng.uniform(0, 300, 200)),
        "along the other wall": (rng.uniform(0, 300, 200), np.zeros(200)),
        "every foot of a lattice": (lattice_x, lattice_y),
        "on the edges of the strips": (rng.uniform(0, 100, 300), strip),
        "far from the origin": (x + 1e6, y - 1e6),
        "a hair closer than 6 feet in a huge room": (
            np.concatenate([[0], far, far + 6 - 1e-8]),
            np.concatenate([[0], fence - 1e-6, fence + 1e-6]),
        ),
        "room smaller than 6 feet": room(2, 2, 60),
        "room about 6 feet": room(6, 7, 60),
        "narrow room": room(1000, 3, 300),
        "narrow room, turned": room(3, 1000, 300),
        "large room": room(1000, 1000, 1500),
        "crowded room": room(100, 60, 1500),
        "everyone twice": (np.tile(x, 2), np.tile(y, 2)),
    }


def brute_force(x, y):
    return np.count_nonzero(pdist(np.column_stack([x, y])) < 6)


@pytest.mark.parametrize("name", layouts())
def test_python_counts_every_close_pair(name):
    x, y = layouts()[name]
    assert distancing.close_pairs(x, y) == brute_force(x, y)


def test_r_counts_every_close_pair(tmp_path):
    places = [pd.DataFrame({"layout": name, "x": x, "y": y}) for name, (x, y) in layouts().items()]
    pd.concat(places).to_csv(tmp_path / "places.csv", index=False)
    counts = run_r(
        f"""
        source("{DISTANCING}/simulate.R")
        places <- read.csv("places.csv")
        counts <- lapply(split(places, places$layout), function(p) data.frame(
          layout = p$layout[1], counted = close_pairs(p$x, p$y), naive = sum(dist(cbind(p$x, p$y)) < 6)))
        write.csv(do.call(rbind, counts), stdout(), row.names = FALSE)
        """,
        tmp_path,
    ).set_index("layout")
    assert counts["counted"].to_dict() == counts["naive"].to_dict()
    assert counts["counted"].to_dict() == {name: brute_force(x, y) for name, (x, y) in layouts().items()}
    assert counts.loc["a hundred people in one spot", "counted"] == 100 * 99 / 2
    assert counts.loc["two people exactly 6 feet apart", "counted"] == 0


ROOMS = [(1000, 1000, 1), (1000, 1000, 2), (3, 2, 2), (3, 2, 40), (5, 200, 100), (100, 60, 300), (1000, 1000, 800)]


@pytest.mark.parametrize("room", ROOMS)
def test_python_simulation_counts_the_people_that_it_placed(room):
    x_length, y_length, num_people = room
    outcome = distancing.simulate(x_length, y_length, num_people, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    x, y = rng.uniform(0, x_length, num_people), rng.uniform(0, y_length, num_people)
    assert outcome == {"violations": brute_force(x, y), "per_person": 2 * brute_force(x, y) / num_people}


def test_r_simulation_counts_the_people_that_it_placed(tmp_path):
    pd.DataFrame(ROOMS, columns=["x_length", "y_length", "num_people"]).to_csv(tmp_path / "rooms.csv", index=False)
    outcomes = run_r(
        f"""
        source("{DISTANCING}/simulate.R")
        one <- function(x_length, y_length, num_people) {{
          set.seed(5)
          outcome <- simulate(x_length, y_length, num_people)
          set.seed(5)
          x <- runif(num_people, 0, x_length)
          y <- runif(num_people, 0, y_length)
          data.frame(num_people, t(outcome), naive = sum(dist(cbind(x, y)) < 6))
        }}
        rooms <- read.csv("rooms.csv")
        outcomes <- Map(one, rooms$x_length, rooms$y_length, rooms$num_people)
        write.csv(do.call(rbind, outcomes), stdout(), row.names = FALSE)
        """,
        tmp_path,
    )
    assert list(outcomes["violations"]) == list(outcomes["naive"])
    assert list(outcomes["per_person"]) == pytest.approx(list(2 * outcomes["naive"] / outcomes["num_people"]))
    assert outcomes["violations"][3] == 40 * 39 / 2


# Social distancing: replications against the expectation ---------------------------------------------------------


@pytest.mark.parametrize(("room", "replications"), [((100, 60, 200), 4000), ((1000, 1000, 1000), 3000)])
def test_python_mean_agrees_with_the_exact_expectation(room, replications):
    rng = np.random.default_rng(2026)
    outcomes = pd.DataFrame([distancing.simulate(*room, rng) for _ in range(replications)])
    assert_mean(outcomes["violations"], exact.expected_violations(*room))
    assert_mean(outcomes["per_person"], exact.expected_per_person(*room))


@pytest.mark.parametrize(("room", "replications"), [((100, 60, 200), 4000), ((1000, 1000, 1000), 3000)])
def test_r_mean_agrees_with_the_exact_expectation(room, replications, tmp_path):
    outcomes = run_r(
        f"""
        source("{DISTANCING}/simulate.R")
        set.seed(2026)
        outcomes <- t(replicate({replications}, simulate({room[0]}, {room[1]}, {room[2]})))
        write.csv(outcomes, stdout(), row.names = FALSE)
        """,
        tmp_path,
    )
    assert len(outcomes) == replications
    assert_mean(outcomes["violations"], exact.expected_violations(*room))
    assert_mean(outcomes["per_person"], exact.expected_per_person(*room))


def test_the_replications_can_tell_that_walls_matter():
    rng = np.random.default_rng(2026)
    per_person = np.array([distancing.simulate(100, 60, 200, rng)["per_person"] for _ in range(4000)])
    without_walls = 199 * math.pi * 36 / (100 * 60)
    assert without_walls - per_person.mean() > 10 * per_person.std() / math.sqrt(4000)


# Social distancing: the whole script -----------------------------------------------------------------------------


def run_parallel_r(folder, *arguments, output=None):
    _require_r()
    packages = 'quit(status = !all(c("foreach", "doParallel") %in% rownames(installed.packages())))'
    there = subprocess.run(["Rscript", "-e", packages]).returncode == 0
    require("r", there, "foreach and doParallel are not installed")
    environment = {name: value for name, value in os.environ.items() if name != "SIMFERRY_OUTPUT"}
    if output is not None:
        environment["SIMFERRY_OUTPUT"] = str(output)
    command = ["Rscript", DISTANCING / "parallel.R", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def check_result(file, num_people, iterations):
    (result,) = pd.read_csv(file).to_dict("records")
    measured = result.pop("violations_per_person")
    assert result == {"x_length": 1000, "y_length": 1000, "num_people": num_people, "iterations": iterations}
    # A count of rare pairs is nearly Poisson: its variance is its mean.
    pairs = exact.expected_violations(1000, 1000, num_people) * iterations
    assert abs(measured * num_people * iterations / 2 - pairs) < 5 * math.sqrt(pairs)


def test_parallel_script_writes_its_result_to_the_output_folder(tmp_path):
    output = tmp_path / "output folder"
    output.mkdir()
    done = run_parallel_r(tmp_path, "--args", 1000, 1000, 500, 100, output=output)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("500 people in 1000 x 1000 feet, 100 iterations: ")
    assert done.stdout.count("\n") == 1
    check_result(output / "result.csv", 500, 100)


@pytest.mark.skipif(Path("/opt/ml/processing/output").exists(), reason="the script would write to /opt/ml here")
def test_parallel_script_writes_to_the_working_directory_elsewhere(tmp_path):
    done = run_parallel_r(tmp_path, "1000", "1000", "300", "50", "0")  # no --args, and one argument too many
    assert done.returncode == 0, done.stderr
    check_result(tmp_path / "result.csv", 300, 50)


def test_parallel_script_says_how_it_is_called(tmp_path):
    done = run_parallel_r(tmp_path, "--args", 1000, 1000, output=tmp_path)
    assert done.returncode == 1
    assert "usage: Rscript parallel.R --args x_length y_length num_people max_iterations" in done.stderr
    assert not (tmp_path / "result.csv").exists()


# Interval coverage -----------------------------------------------------------------------------------------------


def expected_width_t(n, level=0.95):
    """Expected width of the t interval for a normal sample with standard deviation 1."""
    mean_sd = math.sqrt(2 / (n - 1)) * math.gamma(n / 2) / math.gamma((n - 1) / 2)
    return 2 * stats.t.ppf((1 + level) / 2, n - 1) * mean_sd / math.sqrt(n)


def python_coverage(n, distribution, replications, bootstrap):
    rng = np.random.default_rng(2026)
    return pd.DataFrame([coverage.simulate(n, rng, distribution, bootstrap=bootstrap) for _ in range(replications)])


def r_coverage(n, distribution, replications, bootstrap, folder):
    return run_r(
        f"""
        source("{COVERAGE}/simulate.R")
        set.seed(2026)
        outcomes <- t(replicate({replications}, simulate({n}, "{distribution}", bootstrap = {bootstrap})))
        write.csv(outcomes, stdout(), row.names = FALSE)
        """,
        folder,
    )


@pytest.mark.parametrize("n", [5, 20])
def test_t_interval_is_exact_for_normal_samples_in_python(n):
    outcomes = python_coverage(n, "normal", 6000, bootstrap=1)
    assert_mean(outcomes["covered_t"], 0.95)
    assert_mean(outcomes["width_t"], expected_width_t(n))


@pytest.mark.parametrize("n", [5, 20])
def test_t_interval_is_exact_for_normal_samples_in_r(n, tmp_path):
    outcomes = r_coverage(n, "normal", 6000, 1, tmp_path)
    assert_mean(outcomes["covered_t"], 0.95)
    assert_mean(outcomes["width_t"], expected_width_t(n))


def test_one_interval_against_scipy_and_order_statistics():
    outcome = coverage.simulate(12, np.random.default_rng(8), "exponential", level=0.9, bootstrap=99)
    rng = np.random.default_rng(8)
    sample = rng.standard_exponential(12)
    low, high = stats.t.interval(0.9, 11, loc=sample.mean(), scale=stats.sem(sample))
    means = np.sort([sample[rows].mean() for rows in rng.integers(12, size=(99, 12))])
    assert outcome["width_t"] == pytest.approx(high - low)
    assert outcome["covered_t"] == (low <= 1 <= high)
    assert outcome["width_bootstrap"] == pytest.approx(means[94] - means[4])  # the 5th and the 95th of 99
    assert outcome["covered_bootstrap"] == (means[4] <= 1 <= means[94])


def test_one_interval_against_t_test_and_order_statistics_in_r(tmp_path):
    (row,) = run_r(
        f"""
        source("{COVERAGE}/simulate.R")
        set.seed(8)
        outcome <- simulate(12, "exponential", level = 0.9, bootstrap = 99)
        set.seed(8)
        x <- rexp(12)
        t_interval <- t.test(x, conf.level = 0.9)$conf.int
        means <- sort(replicate(99, mean(x[sample.int(12, 12, replace = TRUE)])))
        write.csv(data.frame(t(outcome),
          t_covered = t_interval[1] <= 1 && 1 <= t_interval[2], t_width = diff(t_interval),
          bootstrap_covered = means[5] <= 1 && 1 <= means[95], bootstrap_width = means[95] - means[5]),
          stdout(), row.names = FALSE)
        """,
        tmp_path,
    ).to_dict("records")
    assert row["width_t"] == pytest.approx(row["t_width"])
    assert row["covered_t"] == row["t_covered"]
    assert row["width_bootstrap"] == pytest.approx(row["bootstrap_width"])
    assert row["covered_bootstrap"] == row["bootstrap_covered"]


@pytest.mark.parametrize("distribution", ["normal", "exponential"])
def test_r_and_python_agree_and_small_samples_undercover(distribution, tmp_path):
    python = python_coverage(10, distribution, 4000, bootstrap=199)
    r = r_coverage(10, distribution, 4000, 199, tmp_path)
    assert list(r.columns) == list(python.columns)
    for name in python.columns:
        difference_mcse = math.sqrt((python[name].var() + r[name].var()) / 4000)
        assert abs(python[name].mean() - r[name].mean()) < 4 * difference_mcse, name
    for outcomes in (python, r):
        assert outcomes["covered_bootstrap"].mean() < 0.92
        if distribution == "exponential":
            assert outcomes["covered_bootstrap"].mean() < outcomes["covered_t"].mean() < 0.92


@pytest.mark.parametrize(
    ("name", "value"), [("n", 1), ("n", 10.5), ("distribution", "cauchy"), ("level", 1.0), ("bootstrap", 0)]
)
def test_parameters_that_make_no_interval_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must .* not {value}"):
        coverage.simulate(**{"n": 10, name: value}, rng=np.random.default_rng(1))


# Survival methods ------------------------------------------------------------------------------------------------


def exponential_limits(gamma, n, theta=-0.5, rate=0.1, followup=5.0):
    """What the exponential model tends to as n grows: its estimate, that one's standard deviation, and its standard error."""
    logs, varies, says = [], 0.0, 0.0
    for hazard in (rate, rate * math.exp(theta)):

        def lives(t, hazard=hazard):
            return math.exp(-hazard * t**gamma)

        dead = 1 - lives(followup)
        years = integrate.quad(lives, 0, followup)[0]
        squares = integrate.quad(lambda t: 2 * t * lives(t), 0, followup)[0]
        years_of_dead = integrate.quad(lambda t: lives(t) - lives(followup), 0, followup)[0]
        logs.append(math.log(dead / years))
        varies += 1 / dead + squares / years**2 - 2 * years_of_dead / dead / years  # Var(d / E d - t / E t)
        says += 1 / dead
    return logs[1] - logs[0], math.sqrt(2 / n * varies), math.sqrt(2 / n * says)


@pytest.mark.parametrize(("gamma", "limits"), [(1.0, (-0.5, 0.2060, 0.2060)), (1.5, (-0.4551, 0.1398, 0.1531))])
def test_a_wrong_model_of_survival_is_as_wrong_as_the_limit_says(gamma, limits):
    assert exponential_limits(gamma, 300) == pytest.approx(limits, abs=5e-5)  # as the page says
    rng, many = np.random.default_rng(2026), 400
    rows = [survival.simulate(4000, gamma, rng) for _ in range(many)]
    estimate, se = (np.array([row[name] for row in rows]) for name in ("estimate", "se"))
    tends, deviation, says = exponential_limits(gamma, 4000)
    for number, truth in enumerate((tends, -0.5, -0.5)):
        assert_mean(estimate[:, number], truth)
    assert abs(estimate[:, 0].std(ddof=1) / deviation - 1) < 4 / math.sqrt(2 * many)
    assert se[:, 0].mean() == pytest.approx(says, rel=0.005)


def test_models_of_survival_agree_with_rs_package(tmp_path):
    _require_survival()
    rng = np.random.default_rng(8)
    treated = rng.integers(2, size=200)
    time = (rng.standard_exponential(200) / (0.1 * np.exp(-0.5 * treated))) ** (1 / 1.5)
    time, dead = np.minimum(time, 5.0), time < 5.0
    pd.DataFrame({"time": time, "dead": dead.astype(int), "treated": treated}).to_csv(
        tmp_path / "trial.csv", index=False
    )
    r = run_r(
        f"""
        source("{SURVIVAL}/simulate.R")
        trial <- read.csv("trial.csv")
        write.csv(fits_of(Surv(trial$time, trial$dead), trial$treated), stdout(), row.names = FALSE)
        """,
        tmp_path,
    )
    fits = survival.fits_of(time, dead, treated)
    assert list(r["method"]) == list(fits)
    for row in r.itertuples():
        assert (row.estimate, row.se) == pytest.approx(fits[row.method], rel=1e-6)


def test_the_study_of_survival_methods_from_its_sweep_file_to_its_report(tmp_path):
    _require_survival()
    words = ["run", str(SURVIVAL / "sweep.toml"), "-n", "60", "--store", str(tmp_path), "--workers", "2"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    run = sf.open("latest", tmp_path)
    found = run.measures(measures=["bias", "coverage", "relative_precision"])
    assert list(found["method"].unique()) == ["exponential", "weibull", "cox"]
    bias = found[found["measure"] == "bias"].set_index(["gamma", "method"])
    assert (bias["replications"] == 60).all()
    for (gamma, method), row in bias.iterrows():
        expected = exponential_limits(gamma, 300)[0] + 0.5 if method == "exponential" else 0
        assert abs(row["estimate"] - expected) < 4 * row["mcse"], (gamma, method)
    page = run.report(tmp_path / "report.html").read_text()
    assert "What does it cost to assume constant hazards" in page


# Power -----------------------------------------------------------------------------------------------------------


def t_test_power(n, effect):
    noncentral, limit = effect * math.sqrt(n / 2), stats.t.ppf(0.975, 2 * n - 2)
    return stats.nct.sf(limit, 2 * n - 2, noncentral) + stats.nct.cdf(-limit, 2 * n - 2, noncentral)


def test_the_power_study_stops_where_it_is_precise_enough(tmp_path):
    _require_r()
    powers = [t_test_power(20, effect) for effect in (0.25, 0.5, 1)]
    assert powers == pytest.approx([0.1203, 0.3379, 0.869], abs=5e-5)  # as the page says
    words = ["run", str(POWER / "sweep.toml"), "--until", "power=0.03", "--store", str(tmp_path), "--workers", "2"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    power = sf.open("latest", tmp_path).measures(measures="power").set_index(["distribution", "n", "effect", "test"])
    assert (power["mcse"] < 0.031).all()  # what stops the run has two successes and two failures more
    assert power["replications"].between(50, 400).all()
    for (distribution, n, effect, test), row in power.iterrows():
        size = {20: 0.0491, 40: 0.0498}[n]
        exact = size if test == "wilcoxon" and effect == 0 else t_test_power(n, effect)
        if (test == "t" and distribution == "normal") or (test == "wilcoxon" and effect == 0):
            mcse = math.sqrt(exact * (1 - exact) / row["replications"])
            assert abs(row["estimate"] - exact) < 4 * mcse, (distribution, n, effect, test)
    gain = power["estimate"].xs("wilcoxon", level="test") - power["estimate"].xs("t", level="test")
    assert gain["exponential", 20, 0.5] > 0.1


# Through simferry ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["R", "py"])
def test_a_sweep_agrees_with_the_exact_expectation(language, tmp_path):
    if language == "R":
        _require_r()

    design = sf.grid(num_people=[100, 1000], x_length=1000, y_length=1000)
    script = str(DISTANCING / f"simulate.{language}")
    run = sf.run(script, design, replications=200, seed=2026, store=tmp_path, workers=2)
    results = run.results()
    assert len(results) == 2 * 200
    assert set(results["replication"]) == set(range(1, 201))
    for num_people, outcomes in results.groupby("num_people"):
        assert_mean(outcomes["violations"], exact.expected_violations(1000, 1000, num_people))
        assert_mean(outcomes["per_person"], exact.expected_per_person(1000, 1000, num_people))
    assert len(run.summary()) >= 2


# Model training: no rule is better than the ratio of the densities -----------------------------------------------------


def best_accuracy(noise):
    """The probability with which the rule that chooses the larger density is right, by sums over a grid."""
    angle = (np.arange(400) + 0.5) / 400 * math.pi
    step = 0.02
    x, y = np.meshgrid(np.arange(-2.5, 3.5, step), np.arange(-2.25, 2.75, step))

    def density(centre_x, centre_y):
        squares = ((x - a) ** 2 + (y - b) ** 2 for a, b in zip(centre_x, centre_y, strict=True))
        return sum(np.exp(-square / (2 * noise**2)) for square in squares) / len(angle) / (2 * math.pi * noise**2)

    one, other = density(np.cos(angle), np.sin(angle)), density(1 - np.cos(angle), 0.5 - np.sin(angle))
    return float(np.maximum(one, other).sum() * step**2 / 2)


def test_no_network_is_better_than_the_best_rule(tmp_path):
    best = best_accuracy(0.2)
    assert best == pytest.approx(0.97104, abs=1e-4)  # as the page says
    run = sf.run(
        TRAINING / "train_model.py", sf.grid(hidden=[2, 32], learning_rate=[0.5, 5]), replications=4, seed=2026, store=tmp_path,
        args="--hidden {hidden} --learning-rate {learning_rate}", results_file="metrics.csv",
    )  # fmt: skip
    accuracy = run.results().groupby(["hidden", "learning_rate"])["accuracy_unseen"]
    mcse = accuracy.std() / 2
    assert ((accuracy.mean() > 0.75) & (accuracy.mean() < best + 4 * mcse)).all()
    assert accuracy.mean()[32, 5] > best - 0.01 > accuracy.mean()[2, 0.5]
    assert sum(path.name == "model.npz" for path in run.artifacts()) == 16
