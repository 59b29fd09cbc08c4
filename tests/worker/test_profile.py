"""profile.R: random numbers of whole R scripts, seen from scripts that know nothing of it.

Every test runs real Rscript processes, most of them twice: with the profile and as a user would run them by hand.
"""

import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
from common import require
from r_fixtures import lacking_packages
from simferry.jobs.launch import write_worker

WORKER = tempfile.TemporaryDirectory()  # as it lies beside a script
write_worker("r", Path(WORKER.name))
PROFILE = Path(WORKER.name) / "profile.R"
STREAM = "10407,-1535484873,-894109702,-1639547768,-1872785764,-1535484873,-894109702"
ANOTHER = "10407,407,1,-2147483648,20,-3,1995"  # -2147483648 is how R writes NA, and a legal word of a state


@pytest.fixture(autouse=True)
def _r(request: pytest.FixtureRequest) -> None:
    packages = (
        ("parallel", "future.apply")
        if "future" in request.node.name
        else ("parallel", "foreach", "doParallel", "doSNOW", "snow", "furrr", "boot", "pbapply")
    )
    lacking = lacking_packages(packages)
    require("r", not lacking, lacking)


def rscript(
    folder: Path, code: str, *arguments: object, stream: str | None = STREAM, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run code as a script in folder, which is its home too; stream None runs it without the profile."""
    script = folder / "script.R"
    script.write_text(code)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("R_PROFILE", "SIMFERRY_"))} | {
        "HOME": str(folder)
    }
    if stream is not None:
        environment |= {"R_PROFILE_USER": str(PROFILE), "SIMFERRY_STREAM": stream}
    return subprocess.run(
        ["Rscript", str(script), *map(str, arguments)],
        cwd=folder, env=environment | variables, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def output(folder: Path, code: str, *arguments: object, stream: str | None = STREAM, **variables: str) -> list[str]:
    done = rscript(folder, code, *arguments, stream=stream, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# Each way to run f over x in parallel. All of them stand in one script, one after the other.
WAYS = {
    "sockets": "registerDoParallel(cl); foreach(v = x) %dopar% f(v)",
    "sockets, prescheduled": (
        "registerDoParallel(cl); foreach(v = x, .options.snow = list(preschedule = TRUE), .export = 'f') %dopar% f(v)"
    ),
    "forks": "registerDoParallel(cores = workers); foreach(v = x) %dopar% f(v)",
    "forks or no backend": (
        "if (workers == 1) registerDoSEQ() else registerDoParallel(cores = workers); foreach(v = x) %dopar% f(v)"
    ),
    "nested loops": (
        "registerDoParallel(cl); foreach(v = x[1:3]) %:% foreach(w = x[1:2], .combine = c) %dopar% f(v + w)"
    ),
    "nested loops on forks": (
        "registerDoParallel(cores = workers); foreach(v = x[1:3]) %:% when(v != 2) %:% foreach(w = x[1:2]) %dopar% f(v + w)"
    ),
    "loop in a function": (
        "registerDoParallel(cl); g <- function(n) { z <- 7; foreach(i = 1:n, .combine = rbind) %dopar% (f(i) + z) }; g(5)"
    ),
    "mclapply": "mclapply(x, f, mc.cores = workers)",
    "mclapply, not prescheduled": "mclapply(x, f, mc.cores = workers, mc.preschedule = FALSE)",
    "mcmapply": "mcmapply(function(v, w) f(v + w), x, w = 5:1, mc.cores = workers)",
    "parLapply": "parLapply(cl, x, f)",
    "parLapplyLB": "parLapplyLB(cl, x, f)",
    "parLapply, chunk.size": "parLapply(cl, x, 'f', chunk.size = workers)",
    "parSapply": "parSapply(cl, letters[1:5], function(letter, m) f(m), m = 3)",
    "parSapplyLB": "parSapplyLB(cl, x, f, simplify = FALSE)",
    "parApply": "parApply(cl, matrix(1:8, 2, dimnames = list(NULL, letters[1:4])), 2, function(column) f(sum(column)))",
    "parRapply": "parRapply(cl, matrix(1:8, 4), function(row) f(sum(row)))",
    "clusterApply": "clusterApply(cl, x, f)",
    "clusterApplyLB": "clusterApplyLB(cl, x, 'f')",
    "clusterMap": "clusterMap(cl, function(v, w, m) f(v + w + m), x, 5:1, MoreArgs = list(m = 2))",
    "fork cluster, tasks with tasks": (
        "fork <- makeForkCluster(workers); on.exit(stopCluster(fork)); "
        "parLapplyLB(fork, x, function(v) c(f(v), unlist(mclapply(1:3, f)), unlist(unname(mccollect(list(mcparallel(f(v))))))))"
    ),
    "tasks with tasks": "mclapply(x, function(v) c(f(v), unlist(mclapply(1:3, f, mc.cores = 2)), f(v)), mc.cores = workers)",
    "tasks of sockets with tasks": (
        "clusterApplyLB(cl, x, function(v) c(f(v), unlist(parallel::mclapply(1:3, f, mc.cores = 2)), f(v)))"
    ),
    "boot": (
        "boot::boot(x, function(d) f(d[[1]]), R = 4, sim = 'parametric', ran.gen = function(d, p) d, "
        "parallel = 'multicore', ncpus = max(2, workers))$t"
    ),
    "pbapply": "pbapply::pboptions(type = 'none'); pbapply::pblapply(x, f, cl = max(2L, workers))",
    "doSNOW": "doSNOW::registerDoSNOW(cl); foreach(i = 1:5, .combine = c) %dopar% f(i)",
    "furrr": (
        "future::plan(future::multicore, workers = workers); "
        "furrr::future_map(x, f, .options = furrr::furrr_options(seed = TRUE))"
    ),
    "snow": (
        "s <- snow::makeCluster(workers, 'SOCK'); on.exit(snow::stopCluster(s)); snow::clusterExport(s, 'f'); "
        "c(snow::parLapply(s, x, f), snow::clusterApplyLB(s, x, f), snow::parRapply(s, matrix(1:8, 4), function(row) f(sum(row))))"
    ),
    "jobs": "lapply(unname(mccollect(lapply(x, function(v) mcparallel(f(v))))), identity)",
}
TOUR = """
suppressPackageStartupMessages({ library(doParallel); library(parallel) })
workers <- as.integer(commandArgs(TRUE)[1])
x <- c(a = 1, b = 2, c = 3, d = 4, e = 5)
cl <- makeCluster(workers)
show <- function(way, what, value) cat(way, what, if (is.double(value)) sprintf("%a", value) else value, "\\n", sep = "|")
tour <- function(way, loop) {
  f <<- function(v) stats::runif(2); clusterExport(cl, "f")
  show(way, "first", unlist(loop())); show(way, "second", unlist(loop())); show(way, "main", runif(2))
  f <<- function(v) c(square = v^2, root = sqrt(v)); clusterExport(cl, "f")
  show(way, "values", paste(deparse(loop()), collapse = ""))
}
""" + "".join(f'tour("{way}", function() {{ {code} }})\n' for way, code in WAYS.items())


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory):
    """A function of (workers, stream) that gives {way: {first, second, main, values}}; each script is run once."""
    folder = tmp_path_factory.mktemp("tour")

    @cache
    def go(workers: int, stream: str | None) -> dict[str, dict[str, list[str]]]:
        done = rscript(folder, TOUR, workers, stream=stream)
        assert done.returncode == 0, done.stderr
        told: dict[str, dict[str, list[str]]] = {}
        for line in done.stdout.splitlines():
            way, what, *values = line.rstrip("|").split("|")
            told.setdefault(way, {})[what] = values
        return told

    return go


@pytest.mark.parametrize("way", WAYS)
def test_numbers_do_not_depend_on_the_number_of_workers(tour, way):
    assert tour(1, STREAM)[way] == tour(2, STREAM)[way] == tour(3, STREAM)[way]


@pytest.mark.parametrize("way", WAYS)
def test_another_stream_gives_other_numbers_and_a_second_loop_too(tour, way):
    here, there = tour(2, STREAM)[way], tour(2, ANOTHER)[way]
    draws = [*here["first"], *here["second"], *here["main"], *there["first"], *there["second"], *there["main"]]
    assert len(draws) > 20 and len(set(draws)) == len(draws)


def test_no_two_tasks_of_a_script_share_a_draw_nor_does_the_main_process(tour):
    draws = [d for told in tour(3, STREAM).values() for what in ("first", "second", "main") for d in told[what]]
    assert len(set(draws)) == len(draws)


@pytest.mark.parametrize("way", WAYS)
def test_results_are_those_of_a_run_by_hand(tour, way):
    assert tour(3, STREAM)[way]["values"] == tour(3, None)[way]["values"]


def test_task_i_draws_from_substream_i(tmp_path):
    tasks = """
    library(parallel)
    cl <- makeCluster(2); parSapply(cl, 1:2, identity); invisible(clusterApply(cl, 1, identity)); stopCluster(cl)
    cat(sprintf("%a", c(unlist(mclapply(1:3, function(i) runif(2))), runif(2))), "\\n")
    """
    oracle = f"""
    main <- state <- c({STREAM.replace(",", "L,")}L)
    draw <- function() {{ assign(".Random.seed", state, globalenv()); runif(2) }}
    tasks <- sapply(1:6, function(i) {{ state <<- parallel::nextRNGSubStream(state); draw() }})[, 4:6]
    state <- main
    cat("[1]", 1:2, sprintf("%a", c(tasks, draw())), "\\n")
    """
    assert output(tmp_path, tasks) == output(tmp_path, oracle, stream=None)


def test_a_script_without_parallelism_draws_from_its_stream_and_loads_nothing_more(tmp_path):
    code = 'cat(sprintf("%a", runif(3)), sort(loadedNamespaces()))'
    seeded = f"assign('.Random.seed', c({STREAM.replace(',', 'L,')}L), globalenv())\n{code}"
    assert output(tmp_path, code) == output(tmp_path, seeded, stream=None)


ERRORS = {
    "mclapply": "print(mclapply(1:4, function(i) if (i == 3) stop('third') else i, mc.cores = 2))",
    "mclapply, a task per fork": "print(mclapply(c(a = 1, b = 2), function(i) stop('no ', i), mc.cores = 2, mc.preschedule = FALSE))",
    "mclapply, one core": "mclapply(1:4, function(i) if (i == 3) stop('third') else i, mc.cores = 1)",
    "mcmapply": "print(mcmapply(function(a, b) if (a == 2) stop('second') else a, 1:2, 3:4))",
    "parLapply": "parLapply(cl, 1:4, function(i) if (i == 3) stop('third') else i)",
    "clusterApplyLB": "clusterApplyLB(cl, 1:4, function(i) stop('number ', i))",
    "unknown function": "clusterApply(cl, 1:2, 'no_such_function')",
    "sockets": "registerDoParallel(cl); foreach(i = 1:4) %dopar% { if (i == 3) stop('third'); i }",
    "forks": "registerDoParallel(cores = 2); foreach(i = 1:4) %dopar% if (i == 3) stop('third') else i",
    "no backend": "registerDoSEQ(); foreach(i = 1:4) %dopar% log(if (i == 3) stop('third') else i)",
    "passed on": "registerDoParallel(cl); print(foreach(i = 1:3, .errorhandling = 'pass') %dopar% if (i == 2) stop('second') else i)",
    "bad arguments": "mclapply(1:4, identity, mc.cores = 0)",
    "bad seed": "try(set.seed('a')); try(set.seed(1, kind = 'none')); rm(1)",
    "no such variable": "rm(no_such_variable); remove('no_such_variable', envir = globalenv())",
}


def test_errors_and_warnings_are_those_of_a_run_by_hand(tmp_path):
    code = "suppressPackageStartupMessages({library(doParallel); library(parallel)}); options(warn = 1); cl <- makeCluster(2)\n"
    code += "for (code in strsplit(readLines('cases'), ';;')) try(eval(parse(text = code), globalenv()))"
    (tmp_path / "cases").write_text("\n".join(ERRORS.values()) + "\n")
    by_hand, done = rscript(tmp_path, code, stream=None), rscript(tmp_path, code)
    assert by_hand.stderr.count("Error in") >= 10
    assert (done.stdout, done.stderr) == (by_hand.stdout, by_hand.stderr)


# What scripts do about random numbers themselves


def test_set_seed_gives_the_numbers_of_plain_r(tmp_path):
    code = """
    suppressPackageStartupMessages({ library(doParallel); library(parallel) })
    set.seed(123); cat(runif(2), sample(5), "")
    cl <- makeCluster(2); registerDoParallel(cl)
    cat(unlist(foreach(i = 1:3) %dopar% { set.seed(i); rnorm(1) }), "")
    cat(unlist(mclapply(1:3, function(i) { set.seed(i); rnorm(1) })), "")
    set.seed(1, kind = "Wichmann-Hill"); set.seed(2); cat(runif(1), "")
    set.seed(3, kind = "default", sample.kind = "Rounding"); cat(sample(100, 3), "")
    RNGkind("L'Ecuyer-CMRG"); set.seed(4); cat(runif(1), "")
    RNGkind("Mersenne-Twister"); cat(runif(1), "")
    clusterSetRNGStream(cl, 5); cat(unlist(clusterCall(cl, runif, 1)), "")
    set.seed(6); cat(runif(1), "")
    """
    assert output(tmp_path, code) == output(tmp_path, code, stream=None)


def test_set_seed_in_the_main_process_makes_no_two_loops_or_replications_the_same(tmp_path):
    code = """
    library(parallel); cl <- makeCluster(2)
    loop <- function() { set.seed(1); clusterSetRNGStream(cl, 1)
      c(parSapply(cl, 1:3, function(i) runif(1)), unlist(mclapply(1:3, function(i) runif(1)))) }
    cat(sprintf("%a", c(loop(), loop())), sprintf("%a", runif(1)))
    """
    *tasks, main = output(tmp_path, code)
    *others, other_main = output(tmp_path, code, stream=ANOTHER)
    assert len(set(tasks + others)) == 24
    assert main == other_main


@pytest.mark.parametrize(
    "forget",
    ["rm(list = ls(all.names = TRUE))", "remove('.Random.seed')", "set.seed(NULL)", 'RNGkind("L\'Ecuyer-CMRG")'],
)
def test_where_r_would_make_up_a_seed_the_numbers_are_the_replications_own(tmp_path, forget):
    code = f"""
    {"" if "RNGkind" in forget else "set.seed(1)"}
    cat(sprintf("%a", runif(2)), "")
    {forget}
    cat(sprintf("%a", c(runif(2), unlist(parallel::mclapply(1:2, function(i) runif(1))))))
    """
    numbers = output(tmp_path, code)
    assert numbers == output(tmp_path, code)
    assert len({*numbers, *output(tmp_path, code, stream=ANOTHER)[2:]}) == 10


def test_choosing_lecuyer_moves_the_main_process_to_a_substream(tmp_path):
    code = 'RNGkind("L\'Ecuyer-CMRG"); cat(.Random.seed)'
    oracle = f"cat(parallel::nextRNGSubStream(c({STREAM.replace(',', 'L,')}L)))"
    assert output(tmp_path, code) == output(tmp_path, oracle, stream=None)


def test_a_package_that_removes_the_state_for_a_while_takes_no_substream(tmp_path):
    package = """
    package <- new.env(parent = asNamespace("stats"))  # stands for a package's namespace: parallelly and future do this
    package$identifier <- function() {
      state <- globalenv()$.Random.seed; rm(".Random.seed", envir = globalenv())
      identifier <- runif(1); assign(".Random.seed", state, globalenv()); identifier }
    environment(package$identifier) <- package
    identifiers <- c(package$identifier(), package$identifier())
    """
    tasks = 'cat(runif(1), unlist(parallel::mclapply(1:2, function(i) runif(1))), "")'
    without, *identifiers = (
        output(tmp_path, tasks),
        *(output(tmp_path, f"{package}\ncat(identifiers, '')") for _ in range(2)),
    )
    assert output(tmp_path, f"{package}\n{tasks}") == without
    assert len({*identifiers[0], *identifiers[1]}) == 4


def test_mc_set_seed_false_is_heeded(tmp_path):
    code = "cat(unlist(parallel::mclapply(1:2, function(i) runif(1), mc.set.seed = FALSE)), runif(1))"
    first, second, main = output(tmp_path, code)
    assert first == second == main


def test_future_seeds_follow_from_the_stream(tmp_path):
    code = """
    library(future.apply); workers <- as.integer(commandArgs(TRUE)[1])
    draw <- function() cat(sprintf("%a", future_sapply(1:3, function(i) runif(3), future.seed = TRUE)), "")
    plan(multicore, workers = workers); draw(); draw()
    plan(multisession, workers = workers); draw()
    cat(sprintf("%a", c(value(future(runif(3), seed = TRUE)), value(future(runif(3), seed = TRUE)))), "")
    cat(sprintf("%a", c(runif(3), unlist(parallel::mclapply(1:3, function(i) runif(3), mc.cores = workers)))))
    """
    numbers = output(tmp_path, code, 1)
    assert numbers == output(tmp_path, code, 3)
    assert len({*numbers, *output(tmp_path, code, 2, stream=ANOTHER)}) == 2 * 45


def test_futures_without_a_seed_in_one_process_repeat_no_draw(tmp_path):
    code = """
    library(future.apply); plan(sequential)
    f <- function(i) runif(2)
    draw <- function() suppressWarnings(c(unlist(future_lapply(1:2, f)), unlist(furrr::future_map(1:2, f))))
    cat(sprintf("%a", c(draw(), draw(), runif(9))))
    """
    assert len(set(output(tmp_path, code))) == 25


def test_future_seeds_after_set_seed_are_those_of_plain_r(tmp_path):
    code = "library(future.apply); set.seed(1); cat(future_sapply(1:3, function(i) runif(1), future.seed = TRUE))"
    assert output(tmp_path, code) == output(tmp_path, code, stream=None)


# The session that a script finds


def test_cluster_workers_start_clean(tmp_path):
    code = """
    library(parallel); cl <- makeCluster(2)
    report <- function() c(Sys.getenv(c("R_PROFILE_USER", "SIMFERRY_STREAM", "SIMFERRY_R_PROFILE_USER"), "unset"),
                           ls(globalenv(), all.names = TRUE), RNGkind(), search())
    environment(report) <- globalenv()
    for (each in clusterCall(cl, report)) cat(each, "\\n")
    cat(Sys.getenv(c("R_PROFILE_USER", "SIMFERRY_STREAM", "SIMFERRY_R_PROFILE_USER"), "unset"), search(), ls())
    """
    assert output(tmp_path, code) == output(tmp_path, code, stream=None)


def test_the_profile_that_it_displaced_is_sourced(tmp_path):
    code = "cat(profile, Sys.getenv('R_PROFILE_USER', 'unset'), sprintf('%a', runif(1)))"
    number = output(tmp_path, "cat(sprintf('%a', runif(1)))")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.Rprofile").write_text("profile <- 'home'; set.seed(1)")
    assert output(tmp_path, code, HOME=str(tmp_path / "home")) == ["home", "unset", *number]
    (tmp_path / ".Rprofile").write_text("library(parallel)\nprofile <- 'folder'\nprofile")
    assert output(tmp_path, code, HOME=str(tmp_path / "home")) == ["[1]", '"folder"', "folder", "unset", *number]
    own = tmp_path / "own.R"
    own.write_text("profile <- 'own'")
    assert output(tmp_path, code, SIMFERRY_R_PROFILE_USER=str(own)) == ["own", str(own), *number]
    done = rscript(tmp_path, "cat(exists('profile', globalenv(), inherits = FALSE))", SIMFERRY_R_PROFILE_USER="")
    assert done.stdout == "FALSE"


def test_a_package_that_the_users_profile_attaches_is_covered(tmp_path):
    (tmp_path / ".Rprofile").write_text("suppressPackageStartupMessages(library(doParallel))")
    code = "registerDoParallel(cores = as.integer(commandArgs(TRUE))); cat(unlist(foreach(i = 1:5) %dopar% runif(1)))"
    assert output(tmp_path, code, 1) == output(tmp_path, code, 3)


def test_parallel_loaded_by_the_site_profile_is_covered(tmp_path):
    (tmp_path / "site.R").write_text("library(parallel)\n")
    code = "cat(unlist(mclapply(1:5, function(i) runif(1), mc.cores = as.integer(commandArgs(TRUE)))))"
    site = str(tmp_path / "site.R")
    assert output(tmp_path, code, 1, R_PROFILE=site) == output(tmp_path, code, 3, R_PROFILE=site)


def test_scripts_with_one_stream_can_start_clusters_at_once(tmp_path):
    code = "cl <- parallel::makeCluster(1); Sys.sleep(1); cat(parallel::clusterCall(cl, identity, 7)[[1]])"
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: output(tmp_path, code), range(4))) == [["7"]] * 4


def test_a_stream_that_is_none_is_an_error(tmp_path):
    done = rscript(tmp_path, "cat('ran')", stream="1,2,3")
    assert done.returncode != 0 and done.stdout == "" and "SIMFERRY_STREAM is '1,2,3'" in done.stderr
