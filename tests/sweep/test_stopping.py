"""Rules of runs that go on until they are precise enough, as users give them."""

import pytest
import simferry as sf
from simferry.errors import UsageError
from simferry.sweep.stopping import Until


def sweep(**given):
    return sf.Sweep(lambda n: float(n), sf.grid(n=[1, 2]), **given)


def test_a_rule_has_targets_and_limits():
    assert sweep(until="coverage=0.005, bias=0.01", most=1000).until == Until(
        {"coverage": 0.005, "bias": 0.01}, 50, 1000
    )
    made = sweep(until={"coverage": 0.1 + 0.2}, least=100)
    assert made.until == Until({"coverage": 0.1 + 0.2}, 100, 100_000) and made.replications == 100
    assert Until.of_record(made.until.as_record()) == made.until and Until.of_record({}) is None
    assert sweep(replications=3).until is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"until": "coverage=x"}, "target of coverage is 'x'"), ({"until": "coverage=-1"}, "above 0"), ({"until": {}}, "names no measure"),
        ({"until": "coverage"}, "NAME=VALUE"), ({"most": 10, "replications": 5}, "most belongs to until"),
        ({"until": "bias=1", "replications": 5}, "are both given"), ({"until": "bias=1", "least": 20, "most": 10}, "more than most"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_are_one_error(given, words):
    with pytest.raises(UsageError, match=words):
        sweep(**given)


def test_a_sweep_file_has_the_rule_and_what_the_outputs_are(tmp_path):
    (tmp_path / "sim.py").write_text("def simulate(n):\n    return float(n)\n")
    given = {
        "until": "coverage=0.005",
        "most": 500,
        "estimate": "est",
        "truth": 0.5,
        "se": ["s"],
        "alpha": [0.05, 0.01],
    }
    made = sf.Sweep(tmp_path / "sim.py", sf.grid(n=[1, 2]), **given)
    made.write(tmp_path / "sweep.toml")
    assert "[measures]" in (tmp_path / "sweep.toml").read_text()
    read = sf.read_sweep(tmp_path / "sweep.toml")
    assert read == made and read.measures.given() == {
        "estimate": "est",
        "truth": 0.5,
        "se": ["s"],
        "alpha": [0.05, 0.01],
    }
    assert "truth=0.5" in repr(read)
