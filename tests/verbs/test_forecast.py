"""The forecast for the cloud: what a sweep would take and cost there."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simferry.aws.prices import START_UP_SECONDS, Prices
from simferry.backends.base import Machine
from simferry.errors import UsageError
from simferry.verbs.forecast import JOBS_AT_MOST, VCPU_SPEED, Work, forecast, forecast_of, seconds_of, seconds_on

TABLE = {
    "ml.c5.xlarge": 0.204,
    "ml.c5.4xlarge": 0.816,
    "ml.c6i.2xlarge": 0.408,
    "ml.m5.xlarge": 0.23,
    "ml.r5.xlarge": 0.302,
}
CORES = {"ml.c5.xlarge": 4, "ml.c5.4xlarge": 16, "ml.c6i.2xlarge": 8, "ml.m5.xlarge": 4, "ml.r5.xlarge": 4}
PRICES = Prices("us-east-1", "us-east-1", "2026-01-01", "a test's", TABLE)
DAY_OF_WORK = Work(replications=100_000, seconds=86_400, longest=5)


@st.composite
def works(draw):
    replications = draw(st.integers(1, 10**6))
    longest = draw(st.floats(0.001, 10_000))
    seconds = longest * draw(st.floats(1, replications))  # neither less than the longest nor more than that for each
    return Work(replications, seconds, longest, draw(st.integers(1, 64)), draw(st.booleans()))


def by_hand(work, deadline=None, budget=None):
    """Every way within a deadline and a budget, as (dollars, seconds): computed here again, of all types but r."""
    for name, jobs in itertools.product(sorted(set(TABLE) - {"ml.r5.xlarge"}), range(1, JOBS_AT_MOST + 1)):
        at_once = 1 if work.whole_instance else max(1, CORES[name] // work.cores)
        places = min(jobs * at_once, work.replications)
        longer = max(1, work.cores / CORES[name]) / VCPU_SPEED
        seconds = START_UP_SECONDS + longer * (work.seconds / places + (1 - 1 / places) * work.longest)
        dollars = jobs * TABLE[name] * seconds / 3600
        if (deadline is None or seconds <= deadline) and (budget is None or dollars <= budget):
            yield dollars, seconds


def test_one_job_on_one_instance():
    # a core's work of an hour on four vCPUs, of 0.65 each, and the tail of the longest replication
    work = Work(replications=1000, seconds=3600, longest=6)
    assert seconds_on(work, 4, 1) == pytest.approx(START_UP_SECONDS + (900 + 0.75 * 6) / 0.65)


def test_no_more_places_than_replications():
    work = Work(replications=3, seconds=30, longest=10)
    assert (
        seconds_on(work, 16, 5) == seconds_on(work, 4, 1) == pytest.approx(START_UP_SECONDS + (10 + 10 * 2 / 3) / 0.65)
    )


def test_a_replication_on_several_cores_has_a_part_of_an_instance():
    work = Work(replications=1000, seconds=3600, longest=3.6, cores=4)
    assert seconds_on(work, 16, 1) == pytest.approx(START_UP_SECONDS + (3600 / 4 + 0.75 * 3.6) / 0.65)
    # on fewer cores than it had here it takes longer
    assert seconds_on(work, 2, 1) == pytest.approx(START_UP_SECONDS + 2 * 3600 / 0.65)


def test_a_whole_script_is_not_faster_on_a_larger_instance():
    work = Work(replications=1000, seconds=3600, longest=3.6, cores=2, whole_instance=True)
    assert seconds_on(work, 16, 1) == seconds_on(work, 4, 1) == pytest.approx(START_UP_SECONDS + 3600 / 0.65)


@given(works(), st.sampled_from([2, 4, 36, 192]), st.integers(1, 300), st.integers(1, 300))
def test_more_jobs_are_never_slower_and_never_cheaper(work, cores, some, more):
    now, then = seconds_on(work, cores, some), seconds_on(work, cores, some + more)
    assert then <= now * (1 + 1e-9)
    assert (some + more) * then >= some * now * (1 - 1e-9)
    assert then >= START_UP_SECONDS + work.longest


@settings(max_examples=40, deadline=None)
@given(works(), st.floats(300, 1e6), st.floats(0.01, 1e5))
def test_the_choice_is_the_best_of_all_ways(work, deadline, budget):
    made = forecast(work, PRICES, deadline=deadline, budget=budget)
    within = list(by_hand(work, deadline=deadline))
    if within:
        assert made.cheapest.dollars == pytest.approx(min(within)[0], abs=1e-4) and made.cheapest.seconds <= deadline
        assert made.cheapest in made.rows or any(made.cheapest.remark in row.remark for row in made.rows)
    else:
        assert made.cheapest is None and made.notes[0].startswith("nothing ends within")
    affordable = list(by_hand(work, budget=budget - 1e-4))
    if affordable:
        assert made.fastest.seconds <= min(s for _, s in affordable) * (1 + 1e-9) and made.fastest.dollars <= budget


def test_rows_go_from_cheap_to_fast():
    rows = forecast(DAY_OF_WORK, PRICES).rows
    assert 4 <= len(rows) <= 10
    assert all(a.dollars < b.dollars and a.seconds > b.seconds for a, b in itertools.pairwise(rows))
    assert {row.instance_type for row in rows} <= {
        "ml.c5.xlarge",
        "ml.c5.4xlarge",
        "ml.c6i.2xlarge",
    }  # m costs more, r is not asked for
    assert rows[0].jobs == 1 and {row.remark for row in rows} == {""}


def test_only_compute_and_general_types_that_are_known_are_offered():
    dollars = {**TABLE, "ml.r5.xlarge": 0.001, "ml.g4dn.xlarge": 0.001, "ml.c5.metal": 0.001}
    rows = forecast(DAY_OF_WORK, Prices("us-east-1", "us-east-1", "2026-01-01", "a test's", dollars)).rows
    assert {row.instance_type for row in rows} <= {"ml.c5.xlarge", "ml.c5.4xlarge", "ml.c6i.2xlarge"}


def test_what_was_asked_for_comes_first_and_is_compared_with_all_others():
    made = forecast(DAY_OF_WORK, PRICES, instance_types=["ml.r5.xlarge"], jobs=10, deadline=3600)
    first = made.rows[0]
    assert (first.instance_type, first.jobs, first.cores, first.remark) == ("ml.r5.xlarge", 10, 4, "as asked for")
    assert first.dollars == pytest.approx(10 * 0.302 * first.seconds / 3600, abs=1e-4)
    assert made.cheapest.instance_type != "ml.r5.xlarge" and made.cheapest.remark == "cheapest within 60 min"
    best = made.cheapest
    again = forecast(DAY_OF_WORK, PRICES, instance_types=[best.instance_type], jobs=best.jobs, deadline=3600)
    assert again.rows[0].remark == "as asked for, cheapest within 60 min"
    assert [(r.instance_type, r.jobs) for r in again.rows].count((best.instance_type, best.jobs)) == 1


def test_one_of_type_and_jobs_narrows_the_choice():
    only = forecast(DAY_OF_WORK, PRICES, instance_types=["ml.m5.xlarge"], deadline=3600)
    assert {row.instance_type for row in only.rows} == {"ml.m5.xlarge"} and only.cheapest.jobs > 1
    assert {row.jobs for row in forecast(DAY_OF_WORK, PRICES, jobs=7, budget=100).rows} == {7}


def test_of_several_types_each_is_a_row():
    rows = forecast(DAY_OF_WORK, PRICES, instance_types=["ml.r5.xlarge", "ml.m5.xlarge"], jobs=3).rows
    assert [(r.instance_type, r.remark) for r in rows[:2]] == [
        ("ml.r5.xlarge", "as asked for"), ("ml.m5.xlarge", "as asked for"),
    ]  # fmt: skip
    assert len(rows) > 4


def test_fewer_workers_are_fewer_cores_of_each_instance():
    all_cores, two = (
        forecast(DAY_OF_WORK, PRICES, instance_types=["ml.c5.4xlarge"], jobs=1, workers=w).rows[0] for w in (None, 2)
    )
    assert two.seconds > 7 * all_cores.seconds and two.cores == 16


def test_what_can_not_be_had_is_told_with_the_nearest_to_it():
    late = forecast(DAY_OF_WORK, PRICES, deadline=60)
    assert late.cheapest is None
    assert late.notes[0].startswith("nothing ends within 60 s; the nearest is about ")
    assert "x ml.c5.4xlarge, 6 min, $" in late.notes[0]
    dear = forecast(DAY_OF_WORK, PRICES, budget=0.5)
    assert dear.fastest is None
    cheap = dear.rows[0]
    assert dear.notes[0] == (
        f"nothing costs at most $0.50; the cheapest is 1 x {cheap.instance_type}, 9 h 18 min, ${cheap.dollars:.2f}"
    )
    both = forecast(DAY_OF_WORK, PRICES, deadline=600, budget=2)
    assert both.cheapest.dollars > 2 and both.fastest.seconds > 600
    assert both.notes[0].startswith(
        "nothing ends within 10 min and costs at most $2.00: the cheapest within the deadline is"
    )


SPOT = Machine("spot, 2 vCPUs, 4 GB", 2, 2, 0.1, 240.0, 10_000, 80, 5, ["a note"])


def test_for_one_size_only_the_number_of_jobs_varies():
    made = forecast_of(DAY_OF_WORK, SPOT, jobs=3, deadline=3600)
    assert (made.rows[0].jobs, made.rows[0].remark) == (3, "as asked for") and made.notes[0] == "a note"
    assert {(row.instance_type, row.cores) for row in made.rows} == {(SPOT.name, 2)}
    assert all(a.dollars < b.dollars for a, b in itertools.pairwise(made.rows[1:]))
    assert made.cheapest.jobs == next(n for n in range(1, 100) if seconds_on(DAY_OF_WORK, 2, n) <= 3600)
    more = forecast_of(DAY_OF_WORK, SPOT, jobs=1000).rows[0]
    asked = seconds_on(DAY_OF_WORK, 2, 80)  # all others wait for these
    assert more.seconds == asked and more.dollars == pytest.approx(80 * 0.1 * asked / 3600, abs=1e-4)


def test_a_budget_counts_every_attempt():
    five, one = (forecast_of(DAY_OF_WORK, replace(SPOT, attempts=n), budget=10) for n in (5, 1))
    assert five.fastest.dollars * 5 <= 10 < one.fastest.dollars * 5 and one.fastest.jobs > five.fastest.jobs
    assert five.fastest.remark == "fastest within $10.00" and "5 attempts" in five.notes[0] and one.notes[0] == "a note"
    dear = forecast_of(DAY_OF_WORK, SPOT, budget=1)
    assert dear.fastest is None and dear.notes[0].startswith(
        "nothing costs at most $1.00 with 5 attempts of each job; "
    )


def test_what_is_assumed_is_told():
    notes = " ".join(forecast(DAY_OF_WORK, PRICES).notes)
    for said in ("a test's", "as fast as one here", "0.65", "4 min", "quotas", "storage", "memory"):
        assert said in notes


def test_nothing_left_to_compute():
    assert forecast(Work(0, 0, 0), PRICES).notes == ["there is nothing left to compute"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("90 min", 5400), ("1h 30m", 5400), ("1h30m", 5400), ("45s", 45), ("1d", 86_400),
     (7200, 7200), (0.5, 0.5), ("7200", 7200), ("1.5h", 5400)],
)  # fmt: skip
def test_deadlines(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "-3", 0, "0h", "2h30", "h", float("inf"), float("nan"), True, "2 hours ago"]
)
def test_deadlines_that_are_none(text):
    with pytest.raises(UsageError, match=r"deadline is .*\nWrite it as 2h"):
        seconds_of(text)


def test_an_image_has_the_jobs_that_it_has():
    """A job for each replication: no other number is proposed."""
    work = Work(replications=37, seconds=370, longest=12, whole_instance=True)
    found = forecast(work, PRICES, instance_types=["ml.m5.xlarge"], jobs=37, only=True, budget=0.1)
    (row,) = found.rows
    assert (row.instance_type, row.jobs) == ("ml.m5.xlarge", 37) and found.fastest is None
    assert row.dollars == pytest.approx(37 * row.seconds / 3600 * 0.23, rel=1e-3) and row.seconds > START_UP_SECONDS
    one = Machine("spot, 2 vCPUs, 4 GB", 2, 2, 0.1, 100, 10_000, 10)
    assert [(row.jobs, row.cores) for row in forecast_of(work, one, jobs=37, only=True).rows] == [(37, 2)]
