"""Nothing that one replication raises, returns or prints loses the result of another, or breaks a verb."""

import re
import shutil
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import simferry as sf
from common import require
from sweeps import simferry, write

# ---- Python: values and exceptions made by hypothesis ----

HEAD = """
import asyncio, gc, io, os, random, sys, threading, types, warnings
import numpy as np, pandas as pd

def fail(error):
    raise error

def odd(base, method, error, *content):
    '''An object of a class whose one method raises.'''
    try:
        raises = lambda *_, **__: fail(error)
        kind = type("Odd", (base,), {method.strip("@"): property(raises) if method.startswith("@") else raises})
        return kind.__new__(kind, *content)
    except TypeError:
        return None

class Silent(BaseException):
    def __str__(self):
        raise self
    __repr__ = __str__

def does(*steps):
    return 1.0
"""
ERRORS = [
    "ZeroDivisionError()",
    "SystemExit(3)",
    "KeyboardInterrupt()",
    "Silent()",
    "StopIteration()",
    "MemoryError()",
    "RecursionError()",
]
METHODS = re.findall(
    r"\S+",
    "__repr__ __str__ __len__ __eq__ __hash__ __bool__ __iter__ __next__ __getattr__ __getattribute__ __float__ __int__ __index__ "
    "__array__ __reduce__ __reduce_ex__ __getstate__ __getitem__ __contains__ __format__ __lt__ __dir__ __del__ __add__ items keys "
    "values tolist item @__class__ @__dict__ @to_frame @_asdict @columns @dtype @index @fileno @__traceback__ @__cause__ @args",
)
BASES = [
    "object",
    "float",
    "int",
    "str",
    "dict",
    "list",
    "tuple",
    "Exception",
    "Warning",
    "BaseException",
    "np.ndarray",
    "np.float64",
]
CONTENT = {"float": ", 0.5", "int": ", 3", "str": ", 't'", "np.ndarray": ", (2,)", "np.float64": ", 2.5"}
PLAIN = [
    "1", "0.5", "True", "None", "'text'", "10**400", "10**5000", "-2**31", "float('nan')", "'\\udc80'", "'\\ud800'", "b'b'", "1j",
    "'a\\x00b'",
    "np.int8(1)", "np.float16(1)", "np.longdouble(1)", "np.datetime64('2026-01-01')", 
    "np.ma.masked", "pd.NA", "pd.NaT", "pd.Timestamp(0)", "range(3)",
    "{1, 2}", "frozenset()", "object()", "type", "len", "lambda: 1", "(i for i in 'ab')", "iter([])", "sys", "threading.Lock()",
    "open(os.devnull)", "io.StringIO()",
    "threading.Thread()", "asyncio.sleep(0)", "sys._getframe()", "memoryview(b'a')", "NotImplemented", "...", "types.SimpleNamespace(a=1)",
    "np.array([object()])", "np.zeros((2, 2, 2))", "np.zeros(0)", "np.array(['a'])", "np.array([1j])",
    "np.array([(1, 2.0)], dtype='i4,f8')",
    "pd.DataFrame()", "pd.DataFrame({'a': []})", "pd.DataFrame([[1, 2]], columns=['a', 'a'])", "pd.Series([1, 2], index=[None, 1.5])",
    "pd.Series([[1], {}])", "pd.Categorical(['a'])", "pd.Interval(0, 1)",
]  # fmt: skip
NAMES = [
    "'a'",
    "''",
    "None",
    "1",
    "1.5",
    "(1, 2)",
    "'condition'",
    "'replication'",
    "'condition_result'",
    "'two\\nlines'",
    "'a: b'",
    "'\\udc80'",
    "'n' * 5000",
    "float('nan')",
    "b'b'",
]
# what a replication leaves behind it
DEEDS = [
    "sys.stdout.write('x' * 100_000)", "warnings.simplefilter('error')", "warnings.warn('w' * 200_000)", 
    "warnings.warn(odd(Warning, '__str__', Silent()))",
    "np.seterr(all='raise')", "os.umask(0o777)", "os.chdir('/')", "sys.setrecursionlimit(100)", 
    "threading.Thread(target=fail, args=(Silent(),)).start()",
    "sys.modules.update(strange=object())", "gc.collect()", "random.seed(1)", "os.kill(os.getpid(), 2)",
    "setattr(sys, 'stdout', None)", "sys.stdout.close()",
]  # fmt: skip
odd_objects = st.builds(
    lambda base, method, error: f"odd({base}, {method!r}, {error}{CONTENT.get(base, '')})",
    st.sampled_from(BASES), st.sampled_from(METHODS), st.sampled_from(ERRORS),
)  # fmt: skip
leaves = st.sampled_from(PLAIN) | odd_objects
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(st.tuples(st.sampled_from(NAMES), inner), max_size=3).map(
            lambda items: "{" + ", ".join(f"{name}: {value}" for name, value in items) + "}"
        ),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: f"({', '.join(items)},)"),
        inner.map(lambda value: f"pd.Series({{'a': {value}}})"),
        inner.map(lambda value: f"pd.DataFrame({{'a': [{value}]}})"),
    ),
    max_leaves=4,
)
raised = st.sampled_from(ERRORS) | odd_objects.filter(lambda text: "Exception," in text)
ends = st.one_of(
    values,
    values,
    values,
    raised.map(lambda error: f"fail({error})"),
    st.sampled_from(DEEDS).map(lambda deed: f"does({deed})"),
)


def test_no_value_or_exception_of_python_loses_another_result(tmp_path):
    made = {}

    @hypothesis.settings(max_examples=600, derandomize=True, database=None, deadline=None)
    @hypothesis.given(ends)
    def make(text):
        made[text] = None

    make()
    made = list(made)[:500]
    assert len(made) == 500
    lines = "".join(f"    lambda: {text},\n" for text in made)
    code = f"{HEAD}\nodd_ends = [\n{lines}]\n\ndef simulate(k):\n    return (print(k), k / 2)[1] if k % 2 == 0 else odd_ends[k // 2]()\n"
    write(tmp_path, "simulate.py", code)
    everything_else_is_there(tmp_path, "simulate.py", 1000)


# ---- R: a table of them ----

R = (Path(__file__).parent / "odd_values.R").read_text(encoding="utf-8")


def test_no_value_or_condition_of_r_loses_another_result(tmp_path):
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    write(tmp_path, "simulate.R", R)
    everything_else_is_there(tmp_path, "simulate.R", 2 * R.count("quote("))


def everything_else_is_there(folder, script, last):
    """Of conditions 1 to `last` the even ones return half their number, and the odd ones anything."""
    write(folder, "design.csv", "k\n" + "\n".join(map(str, range(1, last + 1))))
    options = ("--table", "design.csv", "--replications", 1, "--workers", 2)
    said = [simferry("run", script, *options, cwd=folder)]
    assert said[0].returncode == 3, said[0].stderr
    (path,) = (folder / "simferry-runs").iterdir()
    run = sf.open(path)
    now = run.status()
    assert now.done == last and 0 < now.failed < last / 2
    rows = run.results_table().to_pandas()
    good = rows[rows["k"] % 2 == 0]
    assert good["value"].astype(float).tolist() == [k / 2 for k in range(2, last + 1, 2)]
    assert set(rows["k"]) | set(run.errors()["k"]) >= set(range(2, last + 1, 2))
    for verb in (
        ["results", "-o", "r.parquet"],
        ["results", "-o", "r.csv"],
        ["errors", "-o", "e.csv"],
        ["errors"],
        ["summary"],
        ["logs"],
    ):
        said.append(simferry(verb[0], path, *verb[1:], cwd=folder))
        assert said[-1].returncode == 0, said[-1].stderr
    for one in said:
        assert "fault of simferry" not in one.stderr and "Traceback" not in one.stderr
