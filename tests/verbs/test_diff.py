"""How two runs differ."""

import json

import pytest
import simferry as sf
from command_line import said
from sweeps import write

CODE = "import helper\n\ndef simulate(n, rng):\n    return {'x': rng.normal() + helper.SHIFT, 'n': n}\n"


@pytest.fixture
def runs(tmp_path):
    """A run; one with another helper, seed, design and number of replications; and one that repeats the first in another place."""
    script, store = write(tmp_path, "power.py", CODE), tmp_path / "runs"
    helper = write(tmp_path, "helper.py", "# what moves the mean\nSHIFT = 0\n")

    def run(n, replications, seed, **options):
        return sf.run(script, sf.grid(n=n), replications=replications, seed=seed, store=store, include="helper.py",
                      workers=1, **options)  # fmt: skip

    first = run([1, 2], 3, 1, name="first")
    again = run([1, 2], 3, 1, fresh=True, name="again")
    helper.write_text("# what moves the mean\nSHIFT = 1\n")
    return first, run([2, 5], 4, 1), again


def test_equal_runs_and_the_exit_code(runs, tmp_path):
    first, other, again = runs
    found = sf.diff("first", again, store=tmp_path / "runs")
    assert found.same and str(found).splitlines()[2:] == [
        "numbers: 6 replications in both, none differ (compared bit for bit)"
    ]
    assert "none differ" in said("diff", str(first.folder), str(again.folder), code=0)
    assert "SHIFT" in said("diff", str(first.folder), str(other.folder), code=1)
    found = json.loads(said("diff", "first", other.id, "--store", str(tmp_path / "runs"), "--json", code=1))
    assert not found["same"] and found["numbers"]["both"] == 3


def test_code_settings_and_numbers_that_differ(runs):
    first, other, _ = runs
    found = sf.diff(first, other)
    assert found.code.splitlines() == [
        f"--- {first.id}/helper.py", f"+++ {other.id}/helper.py", "@@ -1,2 +1,2 @@", " # what moves the mean", "-SHIFT = 0",
        "+SHIFT = 1",
    ]  # fmt: skip
    assert found.settings.values.tolist() == [
        ["options", "replications", "3", "4"],
        ["design", "only in the first", "1 condition (n 1)", "none"],
        ["design", "only in the second", "none", "1 condition (n 5)"],
    ]
    numbers = found.numbers
    assert (numbers.both, numbers.first_only, numbers.second_only) == (3, 3, 5)
    assert numbers.replications["condition"].tolist() == [2, 2, 2]  # the first run's number
    assert numbers.outputs["output"].tolist() == ["x"]
    assert numbers.outputs["largest_difference"][0] == pytest.approx(1)
    assert "x: in 3 replications, by at most 1, in condition 2" in str(found)


def test_function_objects_and_seeds(tmp_path):
    def draw(rng):
        return rng.normal()

    def other(rng):
        return rng.normal() + 0

    a, b, c = (sf.run(f, replications=2, seed=seed, store=tmp_path) for f, seed in ((draw, 1), (draw, 2), (other, 1)))
    found = sf.diff(a, b)
    assert found.code == "" and found.settings.values.tolist() == [["seed", "seed", "1", "2"]]
    assert len(found.numbers.replications) == 2
    found = sf.diff(a, c)
    assert "the function or its constants differ (objects.pkl)" in found.code and found.numbers.same


def test_values_that_were_kept_whole(tmp_path):
    def values(shift, k):
        return {"x": 1.0, "l": {"a": float(k + shift)}}

    def run(shift, **options):
        return sf.run(values, sf.grid(k=[1, 2]), constants={"shift": shift}, replications=1, seed=1, store=tmp_path,
                      workers=1, **options)  # fmt: skip

    first, again, other = run(0), run(0, fresh=True), run(1)
    assert sf.diff(first, again).same
    found = sf.diff(first, other)
    assert found.numbers.replications["outputs"].tolist() == ["(value)", "(value)"] and not found.numbers.same


def test_a_list_in_another_order_is_shown(tmp_path):
    from simferry.verbs.diff import _texts

    assert _texts("a, b", "b, a") == ("a, b", "b, a") and _texts("a 1, b", "a 2, b") == ("a 1", "a 2")
