"""What an earlier run in the same store computed is not computed again, where it would come out the same."""

import os
import warnings

import pytest
import simferry as sf
from hand_made import HandMade, pairs
from simferry.results.collect import collect, done
from simferry.results.table import table
from simferry.store.folder_store import Store
from simferry.verbs.reuse import take_over


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def finished(store, design, replications, **record):
    """A run whose replications are all there; x is 1000 n + replication."""
    made = HandMade(store, design, replications, **record)
    for c, n in enumerate(design.table["n"].to_pylist(), start=1):
        r = list(range(1, replications + 1))
        columns = {
            "condition": [c] * replications,
            "replication": r,
            "x": [1000.0 * n + i for i in r],
            "s": ["ü"] * replications,
        }
        made.add([(c, i) for i in r], [columns], warned=[(c, 1, f"n is {n:g}", 2)])
    return made


def taken_by(store, design, replications, **record):
    new = HandMade(store, design, replications, **record).run
    return new, take_over(new, Store(store), design)


def test_an_enlarged_design_takes_over_what_is_there(store):
    finished(store, sf.grid(n=[10, 20]), 5)
    new, count = taken_by(store, sf.grid(n=[30, 20, 10.0]), 8)
    assert count == 10
    out = table(new)
    assert out["condition"].to_pylist() == [2] * 5 + [3] * 5
    assert out["x"].to_pylist() == [20001, 20002, 20003, 20004, 20005, 10001, 10002, 10003, 10004, 10005]
    assert collect(new).warnings["message"].to_pylist() == ["n is 20", "n is 10"]
    assert all(name.failed == 0 and name.plan == "0000" for name in new.block_names())
    assert sum(name.replications for name in new.block_names()) == 10


def test_no_more_replications_are_taken_than_are_wanted(store):
    finished(store, sf.grid(n=[10]), 5)
    new, count = taken_by(store, sf.grid(n=[10]), 3)
    assert count == 3 and done(new)[1].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("wanted", "taken"), [(2, 0), (3, 3), (5, 0)])
def test_a_job_that_was_told_how_many_replications_to_do_is_taken_whole(store, wanted, taken):
    told = {"simulation": {"kind": "image", "language": "image", "replications_as": "n"}}
    extended = HandMade(store, sf.grid(n=[10]), 5, **told)
    extended.add(pairs(1, [1, 2, 3]))
    extended.add(pairs(1, [4, 5]))
    assert taken_by(store, sf.grid(n=[10]), wanted, **told)[1] == taken


def test_what_two_runs_have_is_taken_once(store):
    for replications in (3, 5):
        finished(store, sf.grid(n=[10]), replications)
    new, count = taken_by(store, sf.grid(n=[10]), 9)
    assert count == 5 and table(new).num_rows == 5


@pytest.mark.parametrize(
    "record",
    [
        {"seed": 2},
        {"code_hash": "another"},
        {"streams": 99},
        {"common": ["n"]},
        {"environment": {"interpreter": "R 4.3.0"}},
        {"environment": {"interpreter": "R 4.2.2", "packages": "MASS 7.3"}},
        {"image": "sha256:1234"},
    ],
)
def test_nothing_is_taken_where_the_numbers_could_differ(record, store):
    finished(store, sf.grid(n=[10]), 5)
    assert taken_by(store, sf.grid(n=[10]), 5, **record)[1] == 0
    assert taken_by(store, sf.grid(n=[10]), 5)[1] == 5


def test_another_type_is_another_simulation(store):
    finished(store, sf.grid(n=[10]), 5)
    assert taken_by(store, sf.grid(n=[10], types={"n": "integer"}), 5)[1] == 0


def test_another_parameter_is_another_condition(store):
    finished(store, sf.grid(n=[10]), 5)
    assert taken_by(store, sf.grid(n=[10], method="t"), 5)[1] == 0


def test_a_script_that_sees_the_number_of_its_condition_is_taken_under_that_number_alone(store):
    args = {"simulation": {"args": "{n} {condition}"}}
    finished(store, sf.grid(n=[10, 20]), 5, **args)
    new, count = taken_by(store, sf.grid(n=[10, 30, 20]), 5, **args)
    assert count == 5 and set(done(new)[0].tolist()) == {1}


def test_failures_are_not_taken(store):
    made = HandMade(store, sf.grid(n=[10]), 2)
    made.add([(1, 1, False), (1, 2)], [{"condition": [1], "replication": [2], "x": [0.5]}], [(1, 1, "oh no", "", "")])
    new, count = taken_by(store, sf.grid(n=[10]), 2)
    assert count == 1 and done(new)[1].tolist() == [2] and collect(new).failures.num_rows == 0


def test_artifacts_come_along_before_their_block(store, monkeypatch):
    made = finished(store, sf.grid(n=[10, 20]), 2)
    folder = made.run.path / "artifacts" / "2" / "1"
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "figure.svg").write_text("<svg/>")
    (folder / "link").symlink_to("/etc/hostname")
    new = HandMade(store, sf.grid(n=[20]), 2).run
    target = new.path / "artifacts" / "1" / "1"
    seen, real = [], os.replace
    monkeypatch.setattr(
        os, "replace", lambda *paths: (seen.append((target / "plots" / "figure.svg").exists()), real(*paths))
    )
    assert take_over(new, Store(store), sf.grid(n=[20])) == 2
    assert (target / "plots" / "figure.svg").read_text() == "<svg/>" and seen == [True]
    assert os.listdir(target) == ["plots"]  # what a link names may be anybody's


def test_damage_in_another_run_is_left_to_that_run(store):
    made = finished(store, sf.grid(n=[10, 20]), 2)
    bad = sorted(made.run.blocks.iterdir())[0]
    bad.write_bytes(b"damaged")
    (finished(store, sf.grid(n=[30]), 2).run.path / "conditions.csv").write_text("nothing")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        new, count = taken_by(store, sf.grid(n=[10, 20, 30]), 2)
    assert count == 2 and done(new)[0].tolist() == [2, 2]
    assert bad.read_bytes() == b"damaged"


# ---- real runs ----

SCRIPT = "simulate <- function(n) {\n  c(mean = mean(rnorm(n)))\n}\n"


def test_a_second_run_computes_only_what_is_new(tmp_path):
    from common import rscript

    rscript("", tmp_path)  # skips without R
    path = tmp_path / "simulate.R"
    path.write_text(SCRIPT)
    started = []

    def run(design, **more):
        path_and = {
            "store": tmp_path / "runs",
            "workers": 1,
            "on_start": lambda run, taken, drawn: started.append(taken),
        }
        return sf.run(path, design, replications=4, **{"seed": 1, **path_and, **more})

    first = run(sf.grid(n=[5, 10]))
    larger = run(sf.grid(n=[10, 15]))
    fresh = run(sf.grid(n=[10, 15]), fresh=True)
    run(sf.grid(n=[10, 15]), seed=2)
    assert started == [0, 4, 0, 0]
    assert larger.results().equals(fresh.results())
    assert first.results().query("n == 10")["mean"].tolist() == larger.results().query("n == 10")["mean"].tolist()
    path.write_text(SCRIPT.replace("mean(rnorm(n))", "mean(rnorm(n)) + 1"))
    run(sf.grid(n=[10, 15]))
    assert started[-1] == 0


def make(source):
    space = {"__name__": "__main__"}
    exec(compile(source, "cell", "exec"), space)
    return space["simulate"]


def test_a_function_with_another_comment_is_the_same(tmp_path):
    started = []
    for line in ("rng.normal() + n", "rng.normal() + n  # a comment", "rng.normal() - n"):
        function = make(f"def simulate(n, rng):\n    return {line}\n")
        sf.run(
            function, sf.grid(n=[5]), replications=3, seed=1, store=tmp_path / "runs", workers=1,
            on_start=lambda run, taken, drawn: started.append(taken),
        )  # fmt: skip
    assert started == [0, 3, 0]
