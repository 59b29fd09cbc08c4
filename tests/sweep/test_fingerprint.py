"""Fingerprints of Python functions: the same for the same computation, another for any other."""

import importlib
import os
import subprocess
import sys
import textwrap

import pytest
from simferry.sweep.fingerprint import fingerprint


def of(source, name="f", **known):
    space = {"__name__": "__main__", **known}
    exec(compile(textwrap.dedent(source), "a notebook cell", "exec"), space)
    return fingerprint(space[name])


BASE = """
    import math
    SCALE = {"a": 1, "b": 2, "c": [3, 4]}
    def helper(x):
        return math.sqrt(x)
    class Model:
        size = 5
        def fit(self, x):
            return x + self.size
        @property
        def twice(self):
            return 2 * self.size
    model = Model()
    model.weights = {"w1": 0.1, "w2": 0.2}
    def f(n, rng=None, *, effect=0.5):
        if n in {"one", "two", "three"}:
            return 0
        return helper(n) * SCALE["a"] + model.fit(n) + effect
"""


def test_comments_line_numbers_and_file_names_do_not_matter():
    moved = "\n\n\n# a comment\n" + textwrap.dedent(BASE).replace("return math", "# why\n    return math")
    assert of(moved) == of(BASE)


@pytest.mark.parametrize(
    "old, new",
    [
        ("math.sqrt(x)", "math.exp(x)"),
        ("math.sqrt(x)", "math.sqrt(x + 1)"),
        ("effect=0.5", "effect=0.6"),
        ('"a": 1', '"a": 7'),
        ('"b": 2', '"b": 7'),
        ("[3, 4]", "[3, 5]"),
        ("x + self.size", "x - self.size"),
        ("size = 5", "size = 6"),
        ("2 * self.size", "3 * self.size"),
        ('"w2": 0.2', '"w2": 0.3'),
        ('"three"', '"four"'),
        ("* SCALE", "+ SCALE"),
        ("return 0", "return 0.0"),
        ("class Model:", "class Base:\n    size = 1\nclass Model(Base):"),
    ],
)
def test_what_is_computed_matters(old, new):
    assert old in BASE
    changed = textwrap.dedent(BASE).replace(old, new)
    assert of(changed) != of(BASE)


@pytest.mark.parametrize(
    "form",
    [
        "f = functools.partial(work, 1)",
        "f = functools.cache(work)",
        "f = Callable()",
        "f = Callable().method",
        "f = lambda x: work(x)",
        "f = [work, {'k': work}]",
        "def f(x, g=work): return g(x)",
        "f = outer(work)",
    ],
)
def test_functions_inside_of_something_else_are_seen(form):
    source = """
        import functools
        def work(x):
            return x + {number}
        class Callable:
            def __call__(self, x):
                return x + {number}
            def method(self, x):
                return x + {number}
        def outer(g):
            def inner(x):
                return inner and g(x)
            return inner
        {form}
    """
    one, same, other = (of(source.format(number=n, form=form)) for n in (1, 1, 2))
    assert one == same != other


def test_arrays_and_frames_count_with_all_of_their_values():
    import numpy as np
    import pandas as pd

    values = np.arange(1000.0)
    changed = values.copy()
    changed[500] = -1
    assert fingerprint(values) == fingerprint(values.copy()) != fingerprint(changed)
    frame = pd.DataFrame({"x": values, "y": "a"})
    assert fingerprint(frame) == fingerprint(frame.copy()) != fingerprint(frame.assign(x=changed))


def test_every_constant_counts():
    constants = [{f"name {i}": i / 3 for i in range(50)} for _ in range(2)]
    assert fingerprint((len, constants[0])) == fingerprint((len, constants[1]))
    for i in range(50):
        changed = {**constants[0], f"name {i}": -1.0}
        assert fingerprint((len, changed)) != fingerprint((len, constants[0]))


def test_a_module_of_the_users_own_counts_with_its_code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "own_helper.py").write_text("import own_deeper\ndef g(x):\n    return own_deeper.h(x)\n")
    (tmp_path / "own_deeper.py").write_text("def h(x):\n    return x + 1\n")
    source = "import own_helper\ndef f(x):\n    return own_helper.g(x)\n"
    before = of(source)
    assert of(source) == before
    (tmp_path / "own_deeper.py").write_text("def h(x):\n    return x + 2\n")
    for name in ("own_helper", "own_deeper"):
        del sys.modules[name]
    importlib.invalidate_caches()
    assert of(source) != before
    for name in ("own_helper", "own_deeper"):
        del sys.modules[name]


def test_functions_that_call_themselves_and_each_other_have_one():
    source = "def f(n):\n    return n and g(n - 1)\ndef g(n):\n    return n and f(n - 1)\n"
    assert of(source) == of(source) != of(source.replace("n - 1", "n - 2"))


def test_it_is_the_same_in_every_process(tmp_path):
    script = tmp_path / "script.py"
    tail = "\nfrom simferry.sweep.fingerprint import fingerprint\nimport numpy as np\n"
    tail += "print(fingerprint((f, {'x', 'y', 'z'}, np.arange(9))))"
    script.write_text(textwrap.dedent(BASE) + tail)
    found = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1
