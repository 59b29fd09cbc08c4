"""Random numbers of the tasks that R functions and loop iterations start themselves, and of their own set.seed()."""

import subprocess
import warnings

import numpy as np
import pytest
import simferry as sf
from common import require
from r_fixtures import lacking_packages
from simferry.errors import Note
from simferry.jobs import stretches
from simferry.jobs.plan import streams_of
from simferry.sweep.conditions import read_conditions
from sweeps import write

PACKAGES = ("doParallel", "future.apply", "furrr", "boot", "pbapply", "doRNG", "doSNOW")


@pytest.fixture(scope="module", autouse=True)
def r():
    lacking = lacking_packages(PACKAGES)
    require("r", not lacking, lacking)


# Draws in the main process and in tasks, in every way, twice, and in tasks of tasks.
FORKS = """
suppressPackageStartupMessages({ library(parallel); library(doParallel); library(doRNG) })
options(future.rng.onMisuse = "error")
draw <- function(i) rnorm(2)
deep <- function(i) c(rnorm(1), unlist(mclapply(1:2, draw, mc.cores = 2)), rnorm(1), unlist(mclapply(1:2, draw)))
bootstrap <- function() c(boot::boot(rnorm(3), mean, R = 3, sim = "parametric", ran.gen = function(data, mle) rnorm(1),
                                     parallel = "multicore", ncpus = 2)$t)
ways <- function() c(
  rnorm(1), unlist(mclapply(1:2, draw, mc.cores = 2)), rnorm(1), unlist(mclapply(1:2, deep, mc.cores = 2)),
  unlist(mcmapply(function(a, b) rnorm(1), 1:2, 3:4, mc.cores = 2)), bootstrap(),
  unlist(lapply(unname(mccollect(list(mcparallel(rnorm(1)), mcparallel(deep(1))))), identity)),
  { registerDoParallel(cores = 2); unlist(foreach(i = 1:2) %dopar% deep(i)) }, unlist(foreach(i = 1:2) %dorng% rnorm(1)),
  unlist(foreach(i = 1:2) %:% foreach(j = 1:2) %dopar% rnorm(1)), { registerDoSEQ(); unlist(foreach(i = 1:2) %dopar% deep(i)) },
  unlist(pbapply::pblapply(1:3, draw, cl = 2L)), rnorm(1))
again <- function() {
  registerDoParallel(cores = 2)
  c(unlist(mclapply(1:2, draw, mc.cores = 2)), unlist(foreach(i = 1:2) %dopar% rnorm(1)), bootstrap(), rnorm(1))
}
simulate <- function(n) { pbapply::pboptions(type = "none"); x <- c(ways(), again(), again()); names(x) <- seq_along(x); x }
"""
FUTURES = """
suppressPackageStartupMessages({ library(parallel); library(furrr) })
options(future.rng.onMisuse = "error")
draw <- function(i) rnorm(2)
deep <- function(i) c(rnorm(1), unlist(mclapply(1:2, draw, mc.cores = 2)), rnorm(1))
ways <- function() c(
  { future::plan(future::multicore, workers = 2); unlist(future.apply::future_lapply(1:2, deep, future.seed = TRUE)) },
  unlist(future.apply::future_lapply(1:3, draw)), unlist(furrr::future_map(1:3, draw)), rnorm(1),
  unlist(furrr::future_map(1:2, deep, .options = furrr::furrr_options(seed = TRUE))),
  { f <- future::future(rnorm(1)); g <- future::future(rnorm(1), seed = TRUE); c(future::value(f), future::value(g)) },
  rnorm(1))
simulate <- function(n) { x <- c(ways(), ways()); names(x) <- seq_along(x); x }
"""
SOCKETS = """
suppressPackageStartupMessages({ library(parallel); library(doParallel) })
draw <- function(i) rnorm(2)
deep <- function(i) c(rnorm(1), unlist(parallel::mclapply(1:2, function(i) rnorm(2), mc.cores = 2)), rnorm(1))
simulate <- function(n) {
  cl <- makeCluster(2)
  loop <- function() unlist(foreach(i = 1:3, .export = "deep") %dopar% deep(i))
  both <- function() c(unlist(parLapply(cl, 1:3, deep)), { registerDoParallel(cl); loop() }, { doSNOW::registerDoSNOW(cl); loop() },
                       unlist(clusterMap(cl, deep, 1:2)),
                       unlist(pbapply::pblapply(1:2, draw, cl = cl)), parSapply(cl, 1:2, function(i) rnorm(1)), rnorm(1))
  x <- c(both(), both())
  names(x) <- seq_along(x)
  x
}
"""


CASES = {  # replications by workers
    "forks": (FORKS, {3: 25, 2: 1, 1: 1}),
    "futures": (FUTURES, {3: 2, 2: 1, 1: 1}),
    "sockets": (SOCKETS, {3: 1, 2: 1}),
}


@pytest.mark.parametrize(("code", "replications"), CASES.values(), ids=CASES)
def test_no_draw_occurs_twice_and_workers_do_not_matter(tmp_path, code, replications):
    frames = {}
    for workers, count in replications.items():
        run = sf.run(
            write(tmp_path, "simulate.R", code), {"n": [1, 2]}, replications=count, seed=1, workers=workers,
            store=tmp_path / f"runs-{workers}",
        )  # fmt: skip
        assert not len(run.errors()), run.errors()["message"][0]
        frames[workers] = run.results().set_index(["condition", "replication", "n"])
    draws = frames[3].to_numpy().ravel()
    assert len(draws) > 30 * len(frames[3]) and len(np.unique(draws)) == len(draws)
    for frame in frames.values():
        assert frame.equals(frames[3].loc[frame.index])


ORACLE = """
simulate <- function(n) {
  tasks <- unlist(parallel::mclapply(1:2, function(i) runif(1), mc.cores = 2))
  c(main = runif(1), task = tasks, task3 = parallel::mclapply(1, function(i) runif(1))[[1]])
}
"""


def test_task_j_draws_from_the_jth_next_stream_also_when_replayed(tmp_path):
    run = sf.run(
        write(tmp_path, "simulate.R", ORACLE), {"n": [1]}, replications=3, seed=1, workers=2, store=tmp_path / "runs"
    )
    first = stretches.Work(*(np.array([1]) for _ in range(3)))
    state = ", ".join(f"{v}L" for v in streams_of(read_conditions(run._folder), 1, [], "function").states(first)[0])
    code = f"""
    RNGkind("L'Ecuyer-CMRG"); set.seed(1)
    at <- parallel::nextRNGSubStream(parallel::nextRNGSubStream(c(10407L, {state})))
    draw <- function() {{ assign(".Random.seed", at, globalenv()); cat(sprintf("%a", runif(1)), "") }}
    for (j in 1:4) {{ draw(); at <- parallel::nextRNGStream(at) }}
    """
    told = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True).stdout.split()
    row = run.results().iloc[2]
    assert [float.fromhex(v) for v in told] == row[["main", "task1", "task2", "task3"]].tolist()
    assert run.replay(1, 3) == row[["main", "task1", "task2", "task3"]].to_dict()


SEEDS = """
RNGkind(sample.kind = "Rounding")
package <- new.env(parent = asNamespace("stats"))    # a package that seeds for a while, as withr does
seeded <- function(seed) {
  kinds <- RNGkind(); state <- get0(".Random.seed", globalenv(), inherits = FALSE)
  on.exit({ do.call(RNGkind, as.list(kinds)); if (!is.null(state)) assign(".Random.seed", state, globalenv()) })
  set.seed(seed)
  c(rnorm(1), sample(100, 1))
}
environment(seeded) <- package
simulate <- function(n, what) {
  before <- if (n == 1) runif(1) else .Random.seed[2]    # or the seed is set before anything is drawn
  kinds <- RNGkind()
  x <- switch(what,
    plain = { set.seed(101); c(rnorm(1), sample(100, 1)) },
    kind = { set.seed(5, kind = "Wichmann-Hill", normal.kind = "Box-Muller"); c(rnorm(1), runif(1)) },
    rejection = { set.seed(7, sample.kind = "Rejection"); c(sample(100, 1), rnorm(1)) },
    chosen = { RNGkind("Knuth-TAOCP-2002"); set.seed(9); c(runif(1), rnorm(1)) },
    package = { seeded(3); seeded(4) })
  list(before = before, kinds = paste(kinds, collapse = " "), a = x[1], b = x[2])
}
"""


def test_set_seed_gives_the_numbers_of_plain_r_and_the_next_replication_is_simferrys(tmp_path):
    ways = ["plain", "kind", "rejection", "chosen", "package"]
    script = write(tmp_path, "simulate.R", SEEDS)
    run = sf.run(script, sf.grid(n=[1, 2], what=ways), replications=10, seed=1, workers=2, store=tmp_path / "runs")
    with pytest.warns(
        Note, match=r"replications 1 and \d+ of condition 1 of run .* set the same seed, 101 \(and some of 7"
    ):
        frame = run.results()
    assert frame["before"].nunique() == 100
    assert set(frame["kinds"]) == {"L'Ecuyer-CMRG Inversion Rejection"}
    for way in ways:
        code = f"source('{script}'); x <- simulate(1, '{way}'); cat(sprintf('%a', c(x$a, x$b)))"
        by_hand = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True).stdout.split()
        rows = frame[frame["what"] == way]
        assert {*rows["a"]} == {float.fromhex(by_hand[0])} and {*rows["b"]} == {float.fromhex(by_hand[1])}
    assert not len(run.warnings())


def test_seeds_that_differ_are_no_matter_for_a_note(tmp_path):
    code = "i <- 0; simulate <- function(n) { set.seed(1e6 * runif(1)); rnorm(1) }"
    run = sf.run(write(tmp_path, "simulate.R", code), {"n": [1]}, replications=20, seed=1, store=tmp_path / "runs")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run.results()["value"].nunique() == 20


LOADED = """
rm(list = ls(all.names = TRUE))
kinds <- RNGkind("Mersenne-Twister", sample.kind = "Rounding")
data <- c(rnorm(2), unlist(parallel::mclapply(1:2, function(i) rnorm(1), mc.cores = 2)))
set.seed(101)
own <- rnorm(1)
simulate <- function(n) {
  x <- c(data, rnorm(1), unlist(parallel::mclapply(1:2, function(i) rnorm(1), mc.cores = 2)))
  names(x) <- c("x1", "x2", "task1", "task2", "now", "now1", "now2")
  set.seed(7)
  as.list(c(x, own = own, sample = sample(1e6, 1)))
}
"""


def test_what_a_script_draws_while_it_is_loaded_follows_from_the_seed(tmp_path):
    script = write(tmp_path, "simulate.R", LOADED)
    runs = [
        sf.run(script, {"n": [1, 2]}, replications=3, seed=seed, workers=workers, store=tmp_path / f"{seed}-{workers}")
        for seed, workers in ((1, 1), (1, 2), (2, 2))
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Note)  # of the same seed, 7
        first, again, other = (run.results() for run in runs)
    assert first.equals(again)
    loaded, drawn = ["x1", "x2", "task1", "task2"], ["now", "now1", "now2"]
    values = [*first[loaded].to_numpy()[0], *other[loaded].to_numpy()[0], *first[drawn].to_numpy().ravel()]
    assert len(first[loaded].drop_duplicates()) == 1 and len(set(values)) == len(values)
    row = first.iloc[5].drop(["condition", "replication", "n"]).to_dict()
    assert runs[0].replay(2, 3) == row
    code = 'RNGkind(sample.kind = "Rounding"); set.seed(101); cat(sprintf("%a", rnorm(1)), ""); set.seed(7); cat(sample(1e6, 1))'
    own, sample = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True).stdout.split()
    assert (row["own"], row["sample"]) == (float.fromhex(own), int(sample))


# At the top level: each process has its own, else all of them read from the same sockets.
OPENED = """
suppressPackageStartupMessages(library(doParallel))
base <- rnorm(1)
cl <- makeCluster(2)
clusterExport(cl, "base")
registerDoParallel(cl)
simulate <- function(n) {
  if (n == 2 && !file.exists(mark)) { file.create(mark); tools::pskill(Sys.getpid(), tools::SIGKILL) }
  x <- parSapply(cl, 1:2, function(i) c(base, i * n, rnorm(1)))
  y <- foreach(i = 1:2, .combine = c) %dopar% rnorm(1)
  c(ok = all(x[1, ] == base, x[2, ] == 1:2 * n), base = base, a = x[3, ], b = y, d = rnorm(1))
}
"""


def test_a_cluster_that_a_script_opens_while_it_is_loaded_belongs_to_one_process(tmp_path):
    frames = []
    for workers in (1, 2):
        code = f"mark <- '{tmp_path / str(workers)}'\n{OPENED}"  # a process that crashed once is replaced
        store = tmp_path / f"runs-{workers}"
        run = sf.run(
            write(tmp_path, "simulate.R", code), {"n": [1, 2]}, replications=6, seed=1, workers=workers, store=store
        )
        frames.append(run.results())
    assert frames[0]["ok"].all() and frames[0].equals(frames[1])
    draws = frames[0][["a1", "a2", "b1", "b2", "d"]].to_numpy().ravel()
    assert len(np.unique(draws)) == len(draws) == 60


def test_what_a_package_draws_when_it_is_loaded_moves_no_replication(tmp_path):
    """snow draws a port; in each process only the first replication loads it."""
    frames = []
    for load in ("loadNamespace('snow')", "NULL"):
        code = f"simulate <- function(n) {{ a <- rnorm(1); {load}; c(a = a, b = rnorm(1)) }}"
        run = sf.run(write(tmp_path, "simulate.R", code), {"n": [1]}, replications=4, seed=1, store=tmp_path / "runs")
        frames.append(run.results())
    assert frames[0].equals(frames[1])
