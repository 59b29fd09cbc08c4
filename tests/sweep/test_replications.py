"""Replications per condition, from designs, sweep files and the shell."""

import json

import pytest
import simferry as sf
from click.testing import CliRunner
from simferry.cli import main
from simferry.errors import DesignError, SweepFileError, UsageError

CODE = "def simulate(n, rng):\n    return rng.normal() + n\n"


@pytest.fixture
def script(tmp_path):
    (tmp_path / "s.py").write_text(CODE)
    return tmp_path / "s.py"


def shell(*arguments):
    done = CliRunner().invoke(main, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def numbers(run):
    return run.results().groupby("condition").size().tolist()


def test_a_run_with_a_number_for_each_condition(script, tmp_path):
    same = {"seed": 5, "store": tmp_path / "store", "workers": 2}
    run = sf.run(script, sf.grid(n=[10, 20, 30]), replications=[3, 1, 4], **same)
    assert numbers(run) == [3, 1, 4] and run.replications == (3, 1, 4)
    assert json.loads((run.folder / "run.json").read_text())["replications"] == [3, 1, 4]
    now = run.status()
    assert (now.total, now.done, now.state) == (8, 8, "complete")
    assert run.summary()["replications"].tolist() == [3, 1, 4]

    again = sf.open(run.folder)  # as another session reads it
    again.resume()
    assert numbers(again) == [3, 1, 4]
    again.extend(add=2)
    assert numbers(again) == [5, 3, 6] and sf.open(run.folder).replications == (5, 3, 6)
    with pytest.raises(UsageError, match="3 to 6 replications of each condition, more than 4"):
        again.extend(4)
    with pytest.raises(UsageError, match="some conditions more"):
        again.extend([5, 2, 9])
    with pytest.raises(UsageError, match="2 numbers of replications, and the run has 3 conditions"):
        again.extend([9, 9])
    with pytest.raises(UsageError, match="how many replications"):
        again.extend()
    again.extend([5, 4, 6])
    again.extend(6)
    assert numbers(again) == [6, 6, 6] and again.replications == 6

    # the numbers of a condition do not depend on how many replications others have
    whole = sf.run(script, sf.grid(n=[10, 20, 30]), replications=6, fresh=True, **same)
    assert whole.results()["value"].tolist() == again.results()["value"].tolist()
    assert json.loads((whole.folder / "run.json").read_text())["replications"] == 6

    taken = []
    some = sf.run(
        script, sf.grid(n=[30, 10, 40]), replications=[2, 7, 1], on_start=lambda _, n, __: taken.append(n), **same
    )
    assert taken == [8] and numbers(some) == [2, 7, 1]  # two of n = 30, all six of n = 10


def test_a_column_of_the_design_is_no_parameter(script, tmp_path):
    design = sf.table({"reps": [2, 3], "n": [10, 20]})
    same = {"seed": 5, "store": tmp_path / "store"}
    run = sf.run(script, design, replications=sf.column("reps"), **same)
    assert run.results().columns.tolist() == ["condition", "replication", "n", "value"]
    assert numbers(run) == [2, 3]
    whole = sf.run(script, sf.grid(n=[10, 20]), replications=3, fresh=True, **same)
    expected = whole.results()["value"].tolist()
    assert run.results()["value"].tolist() == [*expected[:2], *expected[3:]]
    named = sf.Sweep(script, sf.table({"n": [1, 2], "replications": [5, 5]}), replications=sf.column("replications"))
    assert (named.replications, named.design) == (5, sf.grid(n=[1, 2]))
    kept = sf.Sweep(script, design, replications=9)  # a name alone makes no number of replications of a parameter
    assert (kept.replications, kept.design.names) == (9, ["reps", "n"])


@pytest.mark.parametrize(
    ("design", "options", "kind", "says"),
    [
        ({"n": [1, 2]}, {"replications": [1, 2, 3]}, UsageError, "3 numbers of replications, and the design has 2"),
        ({"n": [1, 2]}, {"replications": [1, 0]}, UsageError, "whole number from 1 to 2147483647, or one for each"),
        ({"n": [1, 2]}, {"replications": "many"}, UsageError, "whole number from 1 to 2147483647, or one for each"),
        ({"n": [1, 2], "reps": [1, 2.5]}, {"replications": sf.column("reps")}, UsageError, "2.5 in condition 2"),
        ({"n": [1, 2], "reps": [1, None]}, {"replications": sf.column("reps")}, UsageError, "None in condition 2"),
        ({"n": [1, 2], "reps": ["a", "b"]}, {"replications": sf.column("reps")}, UsageError, "'a' in condition 1"),
        ({"n": [1, 2], "reps": [1, 2]}, {"replications": sf.column("rep")}, UsageError, "mean reps"),
        ({"n": [1, 1], "reps": [1, 2]}, {"replications": sf.column("reps")}, DesignError, "conditions 1 and 2"),
        ({"reps": [1, 2]}, {"replications": sf.column("reps")}, DesignError, "no parameters beside"),
        ({"n": [1, 2], "replications": [1, 2]}, {"replications": 5}, DesignError, "can't be named 'replications'"),
    ],
)
def test_what_does_not_fit_is_refused(script, design, options, kind, says):
    with pytest.raises(kind, match=says):
        sf.Sweep(script, sf.table(design), **options)


def test_sweep_files_and_the_shell(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.csv").write_text("n,reps\n10,2\n20,1\n30,3\n")
    file = tmp_path / "s.toml"
    head = '[simulation]\nscript = "s.py"\n[design]\ntable = "c.csv"\n'
    file.write_text(head + '[run]\nseed = 1\nreplications_from = "reps"\n')
    sweep = sf.read_sweep(file)
    assert sweep.replications == (2, 1, 3) and sweep.design == sf.grid(n=[10, 20, 30])
    assert eval(repr(sweep), {"sf": sf}) == sweep
    sweep.write(tmp_path / "copy.toml")
    assert sf.read_sweep(tmp_path / "copy.toml") == sweep
    said = shell("run", file)
    assert "3 conditions x 1 to 3 replications" in said and "6 of 6 replications done" in said
    said = shell("plan", "s.py", "--table", "c.csv", "--replications-from", "reps", "--seed", 1)
    assert "3 conditions x 1 to 3 replications = 6, in" in said and "already there: 6" in said
    assert "5 of 5 replications" not in shell("extend", "latest", "--add", "1")
    assert numbers(sf.open("latest")) == [3, 2, 4]
    assert "3 conditions x 2 replications" in shell("run", file, "-n", "2e0")  # replaces that of the file
    file.write_text(head.replace('table = "c.csv"', "") + "grid = {n = [1, 2]}\n[run]\nreplications = [4, 5]\n")
    assert sf.read_sweep(file).replications == (4, 5)


def test_options_in_the_wrong_table_are_told_their_own(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(
        'replications = 5\n[simulation]\nscript = "s.py"\nseed = 3\n[run]\nworkers = 2\nscript = "a"\n[local]\nretries = 1\n'
    )
    with pytest.raises(SweepFileError) as found:
        sf.read_sweep(file)
    said = str(found.value)
    assert "line 1: replications belongs in [run]" in said
    assert "line 4: [simulation] seed belongs in [run]" in said
    assert "line 6: [run] workers belongs in [local]" in said
    assert "line 7: [run] script belongs in [simulation]" in said
    assert "line 9: [local] retries belongs in [run]" in said
