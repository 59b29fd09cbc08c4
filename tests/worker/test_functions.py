"""Functions of Python as simulations: of every sort, with what they find around them."""

import functools
import subprocess
import sys

import numpy as np
import pytest
import simferry as sf
from simferry.jobs.launch import WORKER
from sweeps import write


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


def test_lists_and_arrays_arrive_as_such_and_changes_stay_in_the_replication(tmp_path, go):
    def simulate(b, a, t):
        said = f"{b} {a!r} {t}"
        b.append(9), a.fill(7)
        return said

    design = sf.zipped(b=[[1, 2.5, None]], a=[np.array([1.0, 2.0])], t=[["x"], None])
    values = go(simulate, design, 2, workers=1).results()["value"].tolist()
    assert values == ["[1, 2.5, None] array([1., 2.]) ['x']"] * 2 + ["[1, 2.5, None] array([1., 2.]) None"] * 2
