"""What to run: kinds of simulation, how parameters reach them, what is kept of the code, and its hash."""

import os

import pytest
from simferry import grid
from simferry.backends.foreground import Interpreter
from simferry.errors import SimulationError
from simferry.sweep import simulation as code
from simferry.sweep.inputs import as_inputs, write_inputs
from simferry.sweep.simulation import RFunction, Simulation
from simferry.verbs.check import check

PYTHON = "def simulate(n, rng):\n    return rng.normal(size=n).mean()\n"


def written(folder, name="simulate.py", text=PYTHON):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_three_kinds(tmp_path):
    function = Simulation(written(tmp_path))
    script = Simulation(written(tmp_path), args="{n}")
    command = Simulation("echo", args="{n}")
    assert [(s.language, s.kind) for s in (function, script, command)] == [
        ("python", "function"),
        ("python", "script"),
        ("command", "command"),
    ]
    assert Simulation(lambda n: n).kind == "function"


def test_names_of_runs_come_from_the_script_or_its_folder(tmp_path):
    assert Simulation(written(tmp_path, "my study/simulate.py")).name == "my-study"
    assert Simulation(written(tmp_path, "Power of t.py")).name == "power-of-t"
    assert Simulation("echo", args="").name == "echo"


def test_the_snapshot_holds_the_script_and_what_is_included(tmp_path):
    written(tmp_path / "project", "helpers.py", "")
    written(tmp_path / "project", "data/one.csv", "x")
    written(tmp_path / "project", "data/__pycache__/one.pyc", "x")
    elsewhere = written(tmp_path, "shared/more.py", "")
    simulation = Simulation(written(tmp_path / "project"), include=["helpers.py", "data", elsewhere])
    assert sorted(simulation.files()) == ["data/one.csv", "helpers.py", "more.py", "simulate.py"]
    simulation.write_code(tmp_path / "code")
    assert (tmp_path / "code" / "data" / "one.csv").read_text() == "x"
    assert (tmp_path / "code" / "worker.py").exists() and (tmp_path / "code" / "simferry_worker" / "main.py").exists()


def test_links_come_along_under_their_own_names(tmp_path):
    written(tmp_path / "store", "v3/one.csv", "x")
    written(tmp_path / "project", "data/two.csv", "x")
    (tmp_path / "store" / "empty").mkdir()
    links = {"v3": "../../store/v3", "again": ".", "gone": "nowhere", "empty": "../../store/empty"}
    for name, to in links.items():
        (tmp_path / "project" / "data" / name).symlink_to(to)
    (tmp_path / "project" / "current").symlink_to("../store/v3")
    (tmp_path / "project" / "in.csv").symlink_to("data/two.csv")
    script = written(tmp_path / "project")
    simulation = Simulation(script, include=["data", "current", "in.csv", tmp_path / "store" / "v3", "./data/two.csv"])
    names = ["current/one.csv", "data/two.csv", "data/v3/one.csv", "in.csv", "simulate.py", "v3/one.csv"]
    assert sorted(simulation.files()) == names and simulation.empty_folders() == ["data", "data/empty"]
    given = as_inputs({"data": str(tmp_path / "project" / "data")})
    write_inputs(given, tmp_path / "inputs")
    assert sorted(p.name for p in (tmp_path / "inputs").rglob("*.csv")) == ["one.csv", "two.csv"]


def test_what_would_take_the_place_of_the_worker_is_refused(tmp_path):
    written(tmp_path, "simferry_worker/rows.py", "")
    written(tmp_path, "worker.py", "")
    for name, what in [("simferry_worker", "folder"), ("worker.py", "file")]:
        with pytest.raises(SimulationError, match=rf"{name} is the name of a {what} that simferry puts beside"):
            Simulation(written(tmp_path), include=[name]).files()


def test_the_hash_is_that_of_the_code(tmp_path):
    def hashed(text=PYTHON, **given):
        return Simulation(written(tmp_path, text=text), **given).code_hash()

    written(tmp_path, "helpers.py", "")
    assert hashed() == hashed()
    assert hashed() != hashed(text=PYTHON + "\n")
    assert hashed() != hashed(include=["helpers.py"])
    assert hashed() != hashed(args="{n}")
    assert hashed(args="{n}") != hashed(args="{n} 0")
    before = hashed(include=["helpers.py"])
    written(tmp_path, "helpers.py", "a = 1")
    assert hashed(include=["helpers.py"]) != before


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"args": "{n}"}, "a function takes no args"),
        ({"results_file": "x.csv"}, "results_file is for whole scripts"),
        ({"include": ["nothere.py"]}, "nothere.py is not there"),
        ({"constants": {"n": 3}}, "n is both a parameter of the design and a constant"),
        ({"constants": 3}, "constants is 3; it has to be a dict"),
        ({"constants": {"m": 3}}, "no argument 'm'"),
    ],
)
def test_functions_given_too_much(given, says):
    with pytest.raises(SimulationError, match=says):
        simulation = Simulation(lambda n: n, **given)
        check(simulation, grid(n=[1]), Interpreter())
        simulation.files()


def test_a_coroutine_is_no_simulation():
    async def simulate(n):
        return n

    with pytest.raises(SimulationError, match="coroutine"):
        check(Simulation(simulate), grid(n=[1]), Interpreter())


def test_what_is_neither_a_function_nor_a_path():
    with pytest.raises(SimulationError, match=r"is a float, 0.5: not a function(?s:.*)f, not f\("):
        Simulation(0.5)


def test_arguments_by_position_only_are_refused():
    def simulate(n, /):
        return n

    with pytest.raises(SimulationError, match=r"no argument 'n'(?s:.*)It takes: n \(by position only\)"):
        check(Simulation(simulate), grid(n=[1]), Interpreter())


def test_a_file_name_that_is_not_utf_8_is_refused_in_words(tmp_path):
    file = os.fsencode(tmp_path) + b"/simul\xe9.py"
    with open(file, "w") as script:
        script.write("def simulate(): return 1\n")
    with pytest.raises(SimulationError, match=r"simul\\udce9.py' is not UTF-8"):
        Simulation(os.fsdecode(file))


def test_a_function_is_pickled_once_and_belongs_to_no_commit(tmp_path, monkeypatch):
    """The pickle may be large. The hash, and what is asked of git, don't need it; nor does git know an R function's file."""
    made = []
    monkeypatch.setattr(code, "pickled", lambda *given: made.append(given) or b"")
    simulation = Simulation(lambda n: n)
    assert simulation.code_hash() and simulation.code()[0]["path"] == "" and simulation.own_files() == {} and not made
    assert list(simulation.files()) == ["objects.pkl"] and len(made) == 1
    assert Simulation(RFunction("f", tmp_path / "f.rds", "f")).own_files() == {}


def test_constants_go_with_a_function_itself(tmp_path):
    script = written(tmp_path)
    with pytest.raises(
        SimulationError, match=r"constants go with a function itself, not with a script, and .*simulate\.py"
    ):
        Simulation(script, constants={"x": 3})
