"""Python simulations through the real worker: random numbers, functions of every sort, kinds of values, failures."""

import functools
import hashlib
import math
import os
import pickle
import random
import subprocess
import sys
import time
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
import simferry as sf
from simferry.errors import Note
from simferry.jobs.launch import WORKER
from simferry.worker.rows import as_rows
from sweeps import PYTHON_DRAWS, digest, done_pairs, write


@pytest.fixture
def script(tmp_path):
    return write(tmp_path, "simulate.py", PYTHON_DRAWS)


@pytest.fixture
def go(tmp_path):
    def run(simulation, design=None, replications=3, **options):
        return sf.run(simulation, design, replications=replications, store=tmp_path / "runs", **{"seed": 1, **options})

    return run


# ---- random numbers ----


def test_a_replication_draws_from_philox_keyed_by_seed_and_condition(go):
    rows = go(
        lambda n, rng: {"x": rng.normal(), "y": rng.integers(10**6), "z": rng.random(n)[-1]}, sf.grid(n=[3, 10])
    ).results()
    for i, n in enumerate((3, 10)):
        key = hashlib.sha256(f'1\n{{"n":{n}}}'.encode()).digest()[:16]
        for replication in (1, 2, 3):
            bits = np.random.Philox(key=np.frombuffer(key, "<u8"), counter=[0, 0, 0, replication])
            rng = np.random.Generator(bits)
            row = rows.iloc[3 * i + replication - 1]
            assert (row["x"], row["y"], row["z"]) == (rng.normal(), rng.integers(10**6), rng.random(n)[-1])


def test_the_table_does_not_depend_on_workers_blocks_or_extension(script, go, monkeypatch):
    design = sf.grid(n=[5, 10, 20], effect=[0, 0.5])
    one = go(script, design, 12, workers=1)
    two = go(script, design, 12, workers=2, fresh=True)
    extended = go(script, design, 5, workers=2, fresh=True).extend(12)
    monkeypatch.setenv("PAUSE", "0.05")
    many_blocks = go(script, design, 12, workers=2, fresh=True)
    assert len(list((many_blocks.folder / "blocks").iterdir())) > 2
    assert digest(one) == digest(two) == digest(extended) == digest(many_blocks)
    assert one.results()["mean"].nunique() == 72


def test_a_condition_run_alone_gives_the_same_values(script, go):
    together = go(script, sf.grid(n=[5, 10, 20])).results()
    alone = go(script, sf.grid(n=[10]), fresh=True).results()
    together = together[together["n"] == 10].drop(columns="condition").reset_index(drop=True)
    pd.testing.assert_frame_equal(together, alone.drop(columns="condition"), check_exact=True)


def test_legacy_generators_are_seeded_where_the_function_takes_no_rng(go):
    def simulate(n):
        return {"numpy": np.random.normal(), "python": random.random()}

    first = go(simulate, sf.grid(n=[1, 2]), 5, workers=1)
    second = go(simulate, sf.grid(n=[1, 2]), 5, workers=2, fresh=True)
    assert digest(first) == digest(second)
    assert first.results()["numpy"].nunique() == first.results()["python"].nunique() == 10


# ---- functions of every sort ----


def test_functions_of_every_sort(go):
    def scaled(n, rng, scale):
        return n * scale

    class Simulation:
        def __init__(self, scale):
            self.scale = scale

        def __call__(self, n, rng):
            return n * self.scale

        def method(self, n):
            return n * self.scale

    scale = 3
    design = sf.grid(n=[2, 5])
    functions = [
        lambda n: n * scale,
        functools.partial(scaled, scale=3),
        Simulation(3),
        Simulation(3).method,
        lambda **given: given["n"] * 3,
    ]
    for function in functions:
        assert go(function, design, 1).results()["value"].tolist() == [6, 15]
    assert go(scaled, design, 1, constants={"scale": 3}).results()["value"].tolist() == [6, 15]


def test_a_function_of_a_notebook(tmp_path):
    code = """
    import numpy as np, simferry as sf
    offset = np.array([40.0])
    def helper(x): return float(offset[0] + x)
    def simulate(n, rng): return helper(n) + 0 * rng.random()
    exec(compile("def cell(n, rng): return simulate(n, rng)", "<ipython-input-1>", "exec"))
    run = sf.run(cell, sf.grid(n=[2]), replications=2, seed=1, store="runs")
    print(run.results()["value"].tolist())
    """
    lines = "\n".join(line[4:] for line in code.splitlines())
    done = subprocess.run([sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "[42.0, 42.0]\n", done.stderr


# ---- kinds of values ----

Point = namedtuple("Point", "x y")


def value_of(kind):
    return {
        "number": 0.1 + 0.2,
        "whole": 7,
        "big": 2**40,
        "logical": True,
        "dict": {"a": 1.5, "b": np.float64(2), "c": np.int32(3), "d": np.bool_(True)},
        "tuple": (1, 2.5),
        "named": Point(1, 2),
        "array": np.array([1.0, 2.0]),
        "scalar": np.array(4.0),
        "matrix": np.array([[1, 2], [3, 4]]),
        "series": pd.Series({"a": 1.0, "b": 2.0}),
        "frame": pd.DataFrame({"a": [1, 2], "x": [0.5, np.nan]}),
        "records": [{"a": 1}, {"a": 2, "x": 3}],
        "ids": {"condition": 7, "replication": 8},
        "missing": {"none": None, "nan": math.nan, "inf": -math.inf, "na": pd.NA},
        "nothing": None,
        "empty": {},
        "nested": {"a": 1, "b": {"c": [1, 2]}},
        "ragged": [1, [2, 3]],
        "bytes": b"raw",
        "complex": 1 + 2j,
    }[kind]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    names = [
        "number",
        "whole",
        "big",
        "logical",
        "dict",
        "tuple",
        "named",
        "array",
        "scalar",
        "matrix",
        "series",
        "frame",
        "records",
    ]
    names += ["ids", "missing", "nothing", "empty", "nested", "ragged", "bytes", "complex"]
    store = tmp_path_factory.mktemp("kinds")
    return sf.run(value_of, sf.grid(kind=names), replications=2, seed=1, store=store)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("number", [{"value": 0.1 + 0.2}]),
        ("whole", [{"value": 7}]),
        ("big", [{"value": 2**40}]),
        ("logical", [{"value": 1}]),  # the column also holds numbers, of other conditions
        ("dict", [{"a": 1.5, "b": 2, "c": 3, "d": True}]),
        ("tuple", [{"value_1": 1, "value_2": 2.5}]),
        ("named", [{"x": 1, "y": 2}]),
        ("array", [{"value_1": 1, "value_2": 2}]),
        ("scalar", [{"value": 4}]),
        ("matrix", [{"value_1": 1, "value_2": 2}, {"value_1": 3, "value_2": 4}]),
        ("series", [{"a": 1, "b": 2}]),
        ("frame", [{"a": 1, "x": 0.5}, {"a": 2, "x": math.nan}]),
        ("ids", [{"condition_result": 7, "replication_result": 8}]),
        ("nothing", []),
        ("empty", []),
        ("nested", []),
        ("ragged", []),
    ],
)
def test_values_come_back_as_they_were(kinds, kind, expected):
    own = ("condition", "replication", "kind")
    rows = [row for row in kinds.results_table().to_pylist() if row["kind"] == kind and row["replication"] == 2]
    rows = [{k: v for k, v in row.items() if v is not None and k not in own} for row in rows]
    assert str(rows).replace(".0", "") == str(expected).replace(".0", "")


def test_none_is_na_and_not_nan(kinds):
    row = kinds.results_table().filter(np.array(kinds.results_table()["kind"]) == "missing").slice(0, 1)
    assert math.isnan(row["nan"][0].as_py()) and row["inf"][0].as_py() == -math.inf


@pytest.mark.parametrize("kind", ["nested", "ragged", "bytes", "complex"])
def test_what_is_no_table_is_kept_as_pickle(kinds, kind):
    frame = kinds.design()
    (path,) = kinds.artifacts(int(frame[frame["kind"] == kind]["condition"].iloc[0]), 1)
    assert path.name == "value.pkl"
    assert pickle.loads(path.read_bytes()) == value_of(kind)


def test_texts_come_back_as_they_were(go):
    texts = {"a": 'two\nlines, "quoted" \\n ünï 日本', "b": "", "c": None}
    values = go(lambda k: {"text": texts[k]}, sf.grid(k=["a", "b", "c"]), 1).results_table()["text"].to_pylist()
    assert values == list(texts.values())


@pytest.mark.parametrize(
    "code", ["lambda: 1", "open('f', 'w')", "{'f': print}", "(i for i in 'ab')", "__import__('threading').Lock()"]
)
def test_a_value_that_cannot_be_kept_fails_its_replication(tmp_path, go, code):
    script = write(tmp_path, "simulate.py", f"def simulate(n):\n    return ({code}) if n == 2 else n")
    run = go(script, sf.grid(n=[1, 2]), 20)
    assert run.results()["value"].tolist() == [1] * 20 and run.errors()["n"].tolist() == [2] * 20
    assert run.errors()["message"].str.match(r"the simulation returned a .* can't be kept.* return ", case=False).all()
    assert len(run.logs()) == 1  # not tried again


def test_a_dict_that_is_filled_again_keeps_what_it_was(tmp_path, go):
    code = "found = {}\ndef simulate(n):\n    found['value'] = n\n    return found"
    assert go(write(tmp_path, "s.py", code), sf.grid(n=[1, 2]), 2, workers=1).results()["value"].tolist() == [
        1,
        1,
        2,
        2,
    ]


@pytest.mark.parametrize("kind", ["function", "script"])
def test_modules_of_the_users_may_have_the_names_of_the_workers_own(tmp_path, go, kind):
    names = sorted(path.name for path in WORKER.glob("*.py") if path.stem not in ("worker", "__init__"))
    for name in names:
        write(tmp_path, name, f"number = {len(name)}\n")
    code = "".join(f"import {name[:-3]}\n" for name in names)
    total = f"sum(m.number for m in ({', '.join(name[:-3] for name in names)}))"
    if kind == "function":
        run = go(
            write(tmp_path, "simulate.py", f"{code}\ndef simulate(n):\n    return n + {total}\n"),
            {"n": [1]},
            include=names,
        )
        values = run.results()["value"]
    else:
        code += f"import os\nopen(os.environ['SIMFERRY_OUTPUT'] + '/x.txt', 'w').write(str({total}))\n"
        script = write(tmp_path, "script.py", code)
        run = go(script, args="", include=names, results_file="x.txt")
        values = run.results()["value"] + 1
    assert values.tolist() == [1 + sum(map(len, names))] * 3


# ---- failures ----


def test_an_error_is_recorded_with_message_place_and_traceback(tmp_path, go):
    code = """
def inner(x, rng):
    if rng.random() < 0.4:
        raise ValueError(f"no convergence:\\n{x}")
    return x

def simulate(n, rng):
    return inner(n, rng)
"""
    run = go(write(tmp_path, "simulate.py", code), sf.grid(n=[1, 2]), 20)
    errors = run.errors()
    assert 0 < len(errors) < 40 == len(errors) + len(run.results())
    first = errors.iloc[0]
    assert first["message"] == f"ValueError: no convergence:\n{first['n']}"
    assert first["call"] == "inner, line 4"
    assert "in simulate" in first["traceback"] and "return inner(n, rng)" in first["traceback"]
    assert "simferry_worker" not in first["traceback"] and "worker.py" not in first["traceback"]


def test_warnings_are_counted_and_those_that_the_script_ignores_are_not(tmp_path, go):
    code = """
import warnings
warnings.filterwarnings("ignore", message="known")
def simulate(n):
    for _ in range(n):
        warnings.warn("careful")
    warnings.warn("known")
    open(__file__).read()  # of which plain Python says nothing either
    return n
"""
    run = go(write(tmp_path, "simulate.py", code), sf.grid(n=[1, 3]), 4)
    assert run.summary()["warnings"].tolist() == [4, 12]
    assert run.warnings()["message"].unique().tolist() == ["UserWarning: careful"]


def test_hangs_crashes_and_exits_are_narrowed_down_to_the_replication(go):
    def simulate(kind, rng):
        u = rng.random()
        if u < 0.4:
            if kind == "sleep":
                time.sleep(100)
            while kind == "busy":
                pass
            if kind == "program":
                subprocess.run(["sleep", "100"], check=False)
            if kind == "crash":
                os.kill(os.getpid(), 11)
            if kind in ("exit 0", "exit 1"):
                os._exit(int(kind[-1]))
            if kind == "sys.exit":
                sys.exit("no more")
        return u

    kinds = ["fine", "sleep", "busy", "program", "crash", "exit 0", "exit 1", "sys.exit"]
    run = go(simulate, sf.grid(kind=kinds), 5, workers=2, replication_timeout=1.5, common="all", seed=4)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 40
    errors, values = run.errors(), run.results()
    failed = set(errors[errors["kind"] == "sys.exit"]["replication"])  # the same for all kinds, which share their draws
    assert 0 < len(failed) < 5
    assert all(set(errors[errors["kind"] == kind]["replication"]) == failed for kind in kinds[1:])
    assert len(errors) + len(values) == 40
    said = {kind: set(errors[errors["kind"] == kind]["message"]) for kind in kinds}
    assert said["sleep"] == said["busy"] == said["program"] == {"timed out after 1.5 s"}
    assert (
        said["crash"] == said["exit 0"] == said["exit 1"] == {"the process ended (a crash, an exit, or out of memory)"}
    )
    assert said["sys.exit"] == {"SystemExit: no more"}


def test_crashes_without_a_time_limit(go):
    def simulate(rng):
        u = rng.random()
        if u < 0.02:
            os._exit(1)
        return u

    run = go(simulate, None, 300, workers=2)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 300
    assert 0 < len(run.errors()) < 20
    expected = go(lambda rng: rng.random(), None, 300).results()["value"]
    assert run.results()["value"].tolist() == expected[expected >= 0.02].tolist()


def test_one_seed_for_all_is_warned_of(go):
    run = go(lambda n: float(np.random.default_rng(1).normal()), sf.grid(n=[1]), 5)
    with pytest.warns(Note, match="replications 1 and 2 of condition 1 .* set the same seed, 1: after it"):
        run.results()
    run = go(lambda n: float(np.random.RandomState(1).normal()), sf.grid(n=[1]), 5)
    with pytest.warns(UserWarning, match="same values in every replication"):
        run.results()


def test_on_error_stop_ends_early(go):
    def simulate(rng):
        time.sleep(0.01)
        if rng.random() < 0.02:
            raise RuntimeError("no")
        return 1

    run = go(simulate, None, 600, workers=2, on_error="stop")
    assert 0 < run.status().failed <= 2 and run.status().done < 600


# ---- what the function finds around it ----


def test_a_module_beside_the_script_and_data_come_along(tmp_path, go):
    write(tmp_path, "tools.py", "def helper(x):\n    return x + 1")
    write(tmp_path, "data/offset.json", "41")
    code = "import json\nimport tools\noffset = json.load(open('data/offset.json'))\ndef simulate(x):\n    return tools.helper(x) + offset"
    run = go(write(tmp_path, "simulate.py", code), sf.grid(x=[0]), 2, include=["tools.py", "data"])
    assert run.results()["value"].tolist() == [42, 42]


def test_parameters_arrive_with_their_types(tmp_path, go):
    code = "def simulate(d, i, l, s):\n    return '; '.join(f'{type(v).__name__} {v}' for v in (d, i, l, s))"
    design = sf.zipped(
        d=[1000, 0.5], i=[3, None], l=[True, None], s=["ü", None], types={"i": "integer", "l": "logical"}
    )
    values = go(write(tmp_path, "simulate.py", code), design, 1).results()["value"].tolist()
    assert values == ["int 1000; int 3; bool True; str ü", "float 0.5; NoneType None; NoneType None; NoneType None"]


def test_the_two_global_generators_are_not_one(tmp_path):
    code = (
        "import random\nimport numpy as np\ndef simulate():\n    return {'np': np.random.rand(), 'py': random.random()}"
    )
    run = sf.run(write(tmp_path, "simulate.py", code), replications=20, seed=1, store=tmp_path / "runs")
    again = sf.run(write(tmp_path, "simulate.py", code), replications=20, seed=1, store=tmp_path / "again")
    rows = run.results()
    assert digest(run) == digest(again) and not set(rows["np"]) & set(rows["py"])


def test_masked_values_are_missing(tmp_path):
    code = """
import numpy as np
def simulate(n):
    return [np.ma.masked, np.ma.array([1.0, 2.0], mask=[1, 1]).mean(), {"value": np.ma.masked}][int(n)]
"""
    run = sf.run(write(tmp_path, "simulate.py", code), {"n": [0, 1, 2]}, replications=2, store=tmp_path / "runs")
    assert run.results()["value"].isna().tolist() == [True] * 6


@pytest.mark.parametrize("value", ["DataFrame([[1, 2]], columns=['a', 'a'])", "Series([1.0, 2.0], index=['a', 'a'])"])
def test_two_values_of_one_name_are_refused(tmp_path, value):
    code = f"import pandas as pd\ndef simulate():\n    return pd.{value}"
    run = sf.run(write(tmp_path, "simulate.py", code), replications=2, store=tmp_path / "runs")
    says = "the simulation returned two values of the name 'a': rename one of them"
    assert run.errors()["message"].tolist() == [says] * 2


FRAME = "pd.DataFrame({'arm': ['b', 'a', 'b'], 'n': [5, 6, 7], 'm': [1.0, 2.0, 4.0]})"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{FRAME}", {"arm": ["b", "a", "b"], "n": [5, 6, 7], "m": [1, 2, 4]}),
        (f"{FRAME}.query('n > 5')[['m']]", {"m": [2, 4]}),
        (f"{FRAME}.groupby('arm').mean()", {"arm": ["a", "b"], "n": [6, 6], "m": [2, 2.5]}),
        (f"{FRAME}.groupby(['arm', 'n']).mean()", {"arm": ["a", "b", "b"], "n": [6, 5, 7], "m": [2, 1, 4]}),
        (f"{FRAME}.groupby('arm').agg(arm=('m', 'size'))", {"arm_1": ["a", "b"], "arm": [1, 2]}),
        (f"{FRAME}[['m']].quantile([0.5, 1])", {"row_name": [0.5, 1], "m": [2, 4]}),
        ("pd.DataFrame({'row_name': [1, 2]}, index=['u', 'v'])", {"row_name_1": ["u", "v"], "row_name": [1, 2]}),
        ("pd.DataFrame({'m': [1, 2]}, index=pd.RangeIndex(2, name='day'))", {"day": [0, 1], "m": [1, 2]}),
        ("pd.Series([1, 2], pd.cut([1, 2], [0, 1, 2])).to_frame('m')", {"row_name": ["(0, 1]", "(1, 2]"], "m": [1, 2]}),
    ],
)  # fmt: skip
def test_what_an_index_tells_becomes_columns(value, expected):
    assert as_rows(eval(value, {"pd": pd})) == expected
