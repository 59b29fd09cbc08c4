"""R from Python: functions of scripts as callables in this process, and .rds files as Python objects."""

import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import warnings

import joblib
import pytest
import simferry as sf
from common import require, rscript
from r_functions import script_in
from simferry.errors import RError, SimulationError, UsageError

# ---- values ----


def test_a_function_is_called_by_position_and_by_name(r):
    power = r("power")
    assert power(20, 0.5) == power(n=20, effect=0.5) == power(20, effect=0.5)
    assert list(power(20)) == ["p", "estimate"]
    assert power(20)["estimate"] != power(30)["estimate"]
    assert repr(power).startswith("<R function power of /")


def test_the_numbers_are_those_of_rscript(r, tmp_path):
    printed = rscript('source("power.R"); cat(sprintf("%a", power(20, 0.5)))', tmp_path)
    assert [float.fromhex(text) for text in printed.split()] == list(r("power")(20, 0.5).values())


# ---- errors ----


def test_an_error_of_r_has_its_message_call_and_traceback(r):
    with pytest.raises(RError, match="3 arguments passed to 'sqrt'") as caught:
        r("fails")(7)
    assert caught.value.call.startswith("sqrt(k")
    assert caught.value.traceback == "fails(7)\ninner(n)"
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.message, copy.call, copy.traceback) == (
        caught.value.message,
        caught.value.call,
        caught.value.traceback,
    )
    assert "innermost call last:\nfails(7)" in str(copy) and copy.code == "r"


def test_wrong_arguments_are_r_s_errors(r):
    with pytest.raises(RError, match="unused argument"):
        r("power")(m=1)
    with pytest.raises(RError, match='argument "n" is missing'):
        r("power")()


def test_warnings_of_r_are_python_s(r):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert r("warns")() == "went on"
    assert [str(w.message) for w in caught] == ["take care"]
    assert caught[0].filename == __file__


def test_r_goes_on_after_what_would_crash_or_end_it(r):
    with pytest.raises(RError, match=r"too close to the limit|nested too deeply"):
        r("forever")(1)
    with pytest.raises(RError, match=r"quit\(\) would end Python"):
        r("leaves")()
    assert r("power")(10)


@pytest.mark.parametrize("name", ["sleeps", "counts"])
def test_ctrl_c_stops_what_r_computes(r, name):
    function = r(name)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        function()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert r("power")(10)


def test_mistakes_in_naming_script_and_function(r, tmp_path):
    with pytest.raises(SimulationError, match=r"there is no script .*powr.R") as caught:
        sf.r.function(tmp_path / "powr.R")
    assert caught.value.hint == "Did you mean power.R?"
    with pytest.raises(SimulationError, match="defines no function powr") as caught:
        r("powr")
    assert caught.value.hint == "Did you mean power?"
    (tmp_path / "broken.R").write_text("f <- function( {\n")
    with pytest.raises(SimulationError, match=r"broken.R is not valid R: .*1:16: unexpected '\{'"):
        sf.r.function(tmp_path / "broken.R", "f")
    (tmp_path / "stops.R").write_text('stop("no data here")\n')
    with pytest.raises(RError, match="no data here"):
        sf.r.function(tmp_path / "stops.R", "f")


# ---- processes ----


def test_a_script_runs_in_its_own_folder_and_environment(r, tmp_path):
    here = os.getcwd()
    assert r("helped")() == 42
    assert os.getcwd() == here
    other = tmp_path / "other.R"
    other.write_text("same <- function(x) 'other'\n")
    same = r("same")
    assert sf.r.function(other, "same")(1) == "other" and same(1) == 1


def test_what_a_script_sources_is_its_own(r, tmp_path):
    (tmp_path / "shared.R").write_text("shifted <- function(x) x + offset\n")
    for name, offset in (("one", 1), ("ten", 10)):
        (tmp_path / f"{name}.R").write_text(f"source('shared.R')\noffset <- {offset}\nadd <- function(x) shifted(x)\n")
    one, ten = (sf.r.function(tmp_path / f"{name}.R", "add") for name in ("one", "ten"))
    assert (one(1), ten(1)) == (2, 11)


def test_the_environment_is_left_as_it_was(r):
    r("same")
    code = "import os, sys, simferry as sf\nbefore = dict(os.environ)\nsf.r.function(sys.argv[1], 'same')\n"
    code += "print(sorted(k for k in {*before, *os.environ} if before.get(k) != os.environ.get(k) and k[:2] != 'R_'))"
    done = subprocess.run(
        [sys.executable, "-c", code, r("same").script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "['PYTHON_SESSION_INITIALIZED']"


def test_loky_has_one_r_per_process(r):
    where, power = r("where"), r("power")
    found = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(where)() for _ in range(8))
    assert os.getpid() not in found and len(set(found)) <= 2
    several = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(power)(n) for n in (10, 20))
    assert several == [power(10), power(20)]
    with pytest.raises(RError, match="sqrt") as caught:
        joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(r("fails"))(n) for n in (1, 2))
    assert "inner(n)" in caught.value.traceback


def test_threads_and_forked_processes_are_refused(r):
    power = r("power")
    with pytest.raises(UsageError, match="main thread") as caught:
        joblib.Parallel(n_jobs=2, backend="threading")(joblib.delayed(power)(n) for n in (10, 20))
    assert "loky" in caught.value.hint
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            power(10)
        except UsageError as error:
            os.write(writer, error.message.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(UsageError, match="was forked"), multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply_async(power, (10,)).get(timeout=20)
    assert b"was forked from one with a running R" in os.read(reader, 1000)


# ---- without R, without rpy2, with one that R is too old for ----


def refused(folder, *, environment=None, before=""):
    code = f"import simferry as sf\n{before}\ntry: sf.r.function({str(script_in(folder))!r}, 'same')\n"
    code += "except sf.SimferryError as error: print(type(error).__name__, error.message, '|', error.hint)"
    given = {**os.environ, **(environment or {})}
    given.pop("R_HOME", None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


BOTH = "With R older than 4.5: pip install 'rpy2>=3.6' 'rpy2-rinterface<3.6.6'. With R 4.5 or newer: "


def test_without_r(tmp_path):
    said = refused(tmp_path, environment={"PATH": "/nowhere"})
    assert said.startswith("SimferryError there is no R on the PATH | Install it") and BOTH in said


def test_with_an_r_home_that_is_none(tmp_path):
    code = f"import os\nos.environ['R_HOME'] = {str(tmp_path)!r}"
    assert f"R_HOME is {tmp_path}, and there is no R in it | Unset it" in refused(tmp_path, before=code)


def test_without_rpy2(tmp_path):
    require("r", shutil.which("R") is not None, "there is no R on the PATH")
    said = refused(tmp_path, before="import sys; sys.modules['rpy2'] = None")
    assert "need the package rpy2, which is not installed" in said and BOTH in said


def test_with_an_rpy2_that_r_is_too_old_for(tmp_path):
    require("r", shutil.which("R") is not None, "there is no R on the PATH")
    version = rscript("cat(as.character(getRversion()))", tmp_path)
    fake = tmp_path / "fake"
    (fake / "rpy2").mkdir(parents=True)
    (fake / "rpy2" / "__init__.py").touch()
    (fake / "rpy2" / "rinterface.py").write_text("raise OSError('undefined symbol: R_getVar')\n")
    about = fake / "rpy2_rinterface-9.9.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: rpy2-rinterface\nVersion: 9.9\n")
    said = refused(tmp_path, environment={"PYTHONPATH": str(fake)})
    assert f"rpy2-rinterface 9.9 does not work with R {version} (" in said
    assert "undefined symbol: R_getVar" in said and BOTH in said


def test_an_rds_file_that_is_not_there(tmp_path):
    (tmp_path / "model.rds").write_bytes(b"")
    with pytest.raises(UsageError, match=r"there is no file .*modle.rds\nDid you mean model.rds"):
        sf.r.read_rds(tmp_path / "modle.rds")
    with pytest.raises(UsageError, match="can't be read: Is a directory"):
        sf.r.read_rds(tmp_path)
