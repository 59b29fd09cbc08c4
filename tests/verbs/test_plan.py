"""The verb plan: what a run would be, and how long it would take."""

import pytest
import simferry as sf
from simferry.errors import Note, UsageError


def sleepy(n, rng):
    import time

    time.sleep(0.02 if n == 20 else 0.001)
    return rng.normal()


def quick(n, rng):
    return {f"x{i}": rng.normal() for i in range(300)}


@pytest.fixture
def options(tmp_path):
    return {"seed": 1, "store": tmp_path / "runs", "workers": 1}


def test_without_a_pilot_nothing_runs_and_nothing_is_written(options, tmp_path):
    out = sf.plan(sleepy, sf.grid(n=[10, 20]), replications=100, pilot=False, **options)
    assert (out.conditions, out.replications, out.total, out.workers) == (2, 100, 200, 1)
    assert 2 <= out.stretches <= 200 and out.seconds is None
    assert not (tmp_path / "runs").exists()


def test_a_pilot_tells_how_long_it_takes_and_which_condition_is_slow(options):
    out = sf.plan(sleepy, sf.grid(n=[10, 20]), replications=100, **options)
    assert out.pilot_replications == 6
    assert out.slowest_condition["n"] == 20
    assert 0.01 < out.seconds_per_replication < 0.2
    assert out.core_seconds == pytest.approx(out.seconds_per_replication * 200)
    assert out.already_there == 0


def test_the_pilots_replications_are_kept(options):
    out = sf.plan(sleepy, sf.grid(n=[10, 20]), replications=5, **options)
    pilot = sf.open(out.pilot_run, options["store"]).results()
    taken = []
    run = sf.run(
        sleepy, sf.grid(n=[10, 20]), replications=5, on_start=lambda run, count, drawn: taken.append(count), **options
    )
    assert taken == [6]
    both = run.results().merge(pilot, on=["condition", "replication"])
    assert len(both) == 6 and (both["value_x"] == both["value_y"]).all()


def test_what_is_there_is_counted(options):
    sf.run(sleepy, sf.grid(n=[10, 20]), replications=5, **options)
    out = sf.plan(sleepy, sf.grid(n=[10, 20]), replications=10, **options)
    assert out.already_there == 10 and out.total == 20
    everything = sf.plan(sleepy, sf.grid(n=[10, 20]), replications=5, **options)
    assert everything.already_there == everything.total == 10 and everything.core_seconds == 0


def test_a_run_that_no_disk_holds_is_foretold(options):
    with pytest.warns(Note, match="the results take about [0-9,.]+ TB of disk, and [0-9,.]+ .B are free at"):
        out = sf.plan(quick, sf.grid(n=[10, 20]), replications=2**31 - 1, **{**options, "workers": 1})
    assert 7 * 300 * out.total < out.disk_bytes < 10 * 300 * out.total  # doubles, hardly compressible


def test_a_seed_is_drawn_for_the_pilot_and_told(options):
    out = sf.plan(sleepy, sf.grid(n=[10]), replications=3, **{**options, "seed": None})
    assert sf.open(out.pilot_run, options["store"]).seed == out.seed


@pytest.mark.parametrize("replications", [0, -1, 1.5, "10", True, 2**31])
def test_bad_replications_are_refused(replications, options):
    with pytest.raises(UsageError, match="it has to be a whole number from 1 to 2147483647"):
        sf.plan(sleepy, sf.grid(n=[10]), replications=replications, **options)


@pytest.mark.parametrize("seed", [-1, 2**31, 0.5])
@pytest.mark.parametrize("pilot", [True, False])
def test_bad_seeds_are_refused(seed, pilot, options):
    with pytest.raises(UsageError, match=r"seed is .*; it has to be a whole number from 0 to 2147483647"):
        sf.plan(sleepy, sf.grid(n=[10]), replications=3, pilot=pilot, **{**options, "seed": seed})
