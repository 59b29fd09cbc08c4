"""What some replications change of R's or Python's state does not reach later replications of the same process."""

import shutil

import pytest
import simferry as sf
from common import require
from sweeps import digest, write

# Each replication returns the state that it finds, then some change it. `at_load` is the script's own change: it stays.
R = """
options(at_load = "kept", digits = 5)
Sys.setenv(AT_LOAD = "kept")
locale <- Sys.getlocale("LC_COLLATE")
other <- setdiff(c("C", "C.UTF-8"), locale)[1]
found <- function() c(
  getOption("at_load"), Sys.getenv("AT_LOAD"), getOption("digits"), getOption("new", "none"), Sys.getenv("NEW", "none"),
  Sys.getenv("HOME"), Sys.getlocale("LC_COLLATE") == locale, format(Sys.umask(NA)), getwd() == home, length(dev.list()),
  par("mar")[1])
home <- NULL
simulate <- function(n) {
  if (is.null(home)) home <<- getwd()
  u <- runif(1)
  pdf(NULL)
  state <- found()
  dev.off()
  change <- findInterval(u * 40, 0:10)
  switch(change, options(digits = 3), Sys.setenv(NEW = "here", HOME = "/"), Sys.setlocale("LC_COLLATE", other),
         options(warn = 2), options(new = 2), Sys.umask("077"), setwd("/"), Sys.unsetenv("AT_LOAD"), par(mar = rep(1, 4)),
         options(at_load = NULL))
  if (change == 4) stop("after options(warn = 2)")
  if (change > 10) warning("now and then")
  list(state = paste(state, collapse = " "), u = u)
}
"""
PYTHON = """
import decimal, locale, os, sys, warnings
import numpy as np

np.set_printoptions(precision=5)
os.environ["AT_LOAD"] = "kept"
warnings.filterwarnings("ignore", "ignored")
before = locale.setlocale(locale.LC_COLLATE)
other = "C" if before != "C" else "C.UTF-8"
home = None

def change(which):
    if which == 0: decimal.getcontext().prec = 3
    if which == 1: os.environ.update(NEW="here", HOME="/")
    if which == 2: del os.environ["AT_LOAD"]
    if which == 3: np.seterr(all="raise")
    if which == 4: warnings.simplefilter("error")
    if which == 5: np.set_printoptions(precision=1)
    if which == 6: os.umask(0o077)
    if which == 7: os.chdir("/")
    if which == 8: locale.setlocale(locale.LC_COLLATE, other)
    if which == 9: sys.setrecursionlimit(5000)
    if which == 10: warnings.showwarning = print

def simulate(n, rng):
    global home
    home = home or os.getcwd()
    umask = os.umask(0)
    os.umask(umask)
    state = [decimal.Decimal(1) / 3, os.environ.get("NEW"), os.environ.get("HOME"), os.environ.get("AT_LOAD"), np.geterr(),
             str(np.array([1 / 3])), umask, os.getcwd() == home, locale.setlocale(locale.LC_COLLATE) == before,
             sys.getrecursionlimit()]
    u = rng.random()
    change(int(u * 40))
    if int(u * 40) == 4:
        raise ValueError("after simplefilter('error')")
    if u > 0.3:
        warnings.warn("now and then")
    return {"state": str(state), "u": u}
"""


@pytest.mark.parametrize(("name", "code"), [("simulate.R", R), ("simulate.py", PYTHON)], ids=["r", "python"])
def test_a_replication_meets_the_state_as_the_script_left_it(tmp_path, name, code):
    if name.endswith("R"):
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = write(tmp_path, name, code)
    one, two = (
        sf.run(
            script, sf.grid(n=[1, 2]), replications=300, seed=1, workers=workers, fresh=True, store=tmp_path / "runs"
        )
        for workers in (1, 2)
    )
    assert digest(one) == digest(two)
    rows = one.results()
    assert rows["state"].nunique() == 1 and "kept" in rows["state"][0]
    assert 0 < one.status().failed < 30  # those that have raised an error themselves
    assert one.status().failed + len(rows) == 600
    assert sum(warned["count"] for warned in one.warnings().to_dict("records")) > 300


SHARED = {
    "simulate.R": """
simulate <- function(n) {
  u <- runif(1)
  found <- c(getOption("digits"), length(list.files()))
  if (u < 0.01) options(digits = 3) else if (u < 0.02) file.create("left") else if (u < 0.03) set.seed(n)
  if (u > 0.5) warning("half of them")
  if (u > 0.99) stop("some")
  list(digits = found[1], files = found[2], u = u)
}
""",
    "simulate.py": """
import os, warnings
import numpy as np
def simulate(n, rng):
    u = rng.random()
    found = np.geterr()["over"], len(os.listdir())
    if u < 0.01: np.seterr(over="raise")
    elif u < 0.02: open("left", "w").close()
    elif u < 0.03: np.random.seed(n)
    if u > 0.5: warnings.warn("half of them")
    if u > 0.99: raise ValueError("some")
    return {"digits": found[0], "files": found[1], "u": u}
""",
}


@pytest.mark.parametrize("name", SHARED)
def test_stretches_that_share_a_look_do_not_meet_each_others_changes(tmp_path, name):
    if name.endswith("R"):
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = write(tmp_path, name, SHARED[name])
    one, two = (
        sf.run(script, sf.grid(n=range(1500)), replications=1, seed=1, workers=workers, store=tmp_path / str(workers))
        for workers in (1, 2)
    )
    assert digest(one) == digest(two)
    rows = one.results()
    assert rows["digits"].nunique() == 1 and rows["files"].nunique() == 1
    failed, warned = one.errors(), one.warnings()
    assert len(rows) + len(failed) == 1500 == rows["u"].nunique() + len(failed)
    assert set(warned["condition"]) == {*rows["condition"][rows["u"] > 0.5], *failed["condition"]}
    assert set(warned["count"]) == {1} and not warned["condition"].duplicated().any()
    pairs = ["condition", "message"]
    assert two.warnings()[pairs].sort_values(pairs).values.tolist() == warned[pairs].sort_values(pairs).values.tolist()


GIVEN = {
    "simulate.R": """
simulate <- function(n) {
  found <- Sys.getenv("GIVEN")
  if (n == 10) Sys.setenv(GIVEN = "changed")
  list(found = found)
}
""",
    "simulate.py": """
import os
def simulate(n, rng):
    found = os.environ["GIVEN"]
    if n == 10: os.environ["GIVEN"] = "changed"
    return {"found": found}
""",
}


@pytest.mark.parametrize("name", GIVEN)
def test_a_variable_that_the_next_condition_sets_is_as_it_was_for_the_rest_of_this_one(tmp_path, name):
    if name.endswith("R"):
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = write(tmp_path, name, GIVEN[name])
    given = {"env": {"GIVEN": "of {n}"}, "store": tmp_path / "runs", "workers": 1}
    rows = sf.run(script, sf.grid(n=range(200)), replications=5, seed=7, **given).results()
    assert rows["found"].tolist() == [f"of {n}" for n in range(200) for _ in range(5)]


def test_what_a_package_sets_while_it_is_loaded_stays(tmp_path):
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    code = """
simulate <- function() {
  if (runif(1) > 0.9) library(stats4)
  before <- getOption("of_package", "none")
  list(attached = "package:stats4" %in% search(), of_package = before)
}
setHook(packageEvent("stats4", "onLoad"), function(...) options(of_package = "set"))
"""
    run = sf.run(write(tmp_path, "simulate.R", code), replications=40, seed=1, workers=1, store=tmp_path / "runs")
    rows = run.results()
    assert rows["of_package"][rows["attached"]].unique().tolist() == ["set"]
    assert not rows["attached"][0], "the test needs a first replication that does not attach it"
    assert "some replications of condition 1 attached package:stats4." in "".join(run.logs().values())
