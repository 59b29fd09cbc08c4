"""How jobs are started: the same environment here and in containers."""

import sys

import pytest
from simferry.jobs.launch import environment_here, environment_of


@pytest.mark.parametrize("kind", ["function", "script"])
def test_jobs_have_the_same_environment_everywhere(kind, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    spec = {"kind": kind, "objects": ""}
    fixed, here = environment_of(spec, "/inputs"), environment_here(spec, "/inputs")
    assert fixed.items() <= here.items() and here["PYTHONHASHSEED"] == "0" and here["SIMFERRY_INPUT"] == "/inputs"
    threads = {name: value for name, value in fixed.items() if name.endswith("_THREADS")}
    # scripts own their job's cores
    assert set(threads.values()) == ({"1"} if kind == "function" else set())
    assert here["OMP_NUM_THREADS"] == ("1" if kind == "function" else "7")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may have no C.UTF-8")
def test_the_locale_c_has_utf8(monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("LC_TIME", "de_DE")
    here = environment_here({"kind": "function", "objects": ""}, "/input")
    assert "LC_ALL" not in here and "LC_TIME" not in here  # which LC_ALL overrode
    assert (here["LANG"], here["LC_CTYPE"]) == ("C", "C.UTF-8")


def test_r_has_the_heap_that_the_user_has_set(monkeypatch):
    spec = {"language": "r", "kind": "function", "objects": ""}
    monkeypatch.delenv("R_NSIZE", raising=False)
    assert environment_here(spec, "/inputs")["R_NSIZE"] == environment_of(spec, "/inputs")["R_NSIZE"]
    monkeypatch.setenv("R_NSIZE", "2M")
    assert environment_here(spec, "/inputs")["R_NSIZE"] == "2M"
    assert "R_NSIZE" not in environment_of({**spec, "language": "python"}, "/inputs")
