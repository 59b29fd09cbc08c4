"""Arguments of R's functions, as the bridge reads them."""

import pytest
from bridge_requests import error_of, finished, numbers, value_of
from simferry._rbridge.runs import sweep_of
from simferry.cli import main
from simferry.cli import sweeps as shell
from simferry.r.serialization import Vector
from sweeps import write


def test_counts_are_whole_whether_r_wrote_1_or_1L(tmp_path):
    script = str(write(tmp_path, "s.R", "simulate <- function(n) rnorm(1)\n"))
    for bad in ("many", 1.5, True, Vector("double", numbers(1, 2.5))):
        error = error_of("run", simulation=script, design={"n": 1.0}, replications=bad, store=str(tmp_path))
        assert error["code"] == "usage" and "whole number" in error["message"]


def test_a_sweep_file_is_run_with_what_r_gives_over_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "s.R", "simulate <- function(n) rnorm(1)\n")
    write(
        tmp_path,
        "sweep.toml",
        '[simulation]\nscript = "s.R"\n[design.grid]\nn = [1, 2]\n[run]\nreplications = 4\nseed = 3\n',
    )
    made = value_of("run", simulation="sweep.toml", replications=6.0).plain()
    assert (made["conditions"], made["replications"], made["seed"]) == (2, 6, 3)
    finished(made["folder"])


@pytest.mark.parametrize("backend", [None, "docker", "sagemaker"])
def test_a_sweep_file_means_the_same_in_r_and_in_the_shell(tmp_path, backend):
    write(tmp_path, "s.R", "simulate <- function(n) rnorm(1)\n")
    sweep = write(
        tmp_path,
        "sweep.toml",
        '[simulation]\nscript = "s.R"\n[run]\nreplications = 4\n[local]\nworkers = 1\n[docker]\nimage = "mine"\n'
        "[sagemaker]\nbudget = 20.0\njobs = 10\nmax_runtime = 3600\nworkers = 3\n",
    )
    from_r = sweep_of(
        {"simulation": Vector("string", [str(sweep)]), "backend": backend and Vector("string", [backend])}
    )
    with main.commands["run"].make_context(
        "run", [str(sweep), *(["--backend", backend] if backend else [])]
    ) as context:
        names = ("as_json", "output", "detach")
        from_shell = shell.sweep_of(**{k: v for k, v in context.params.items() if k not in names})
    assert from_r == from_shell
    assert from_r.backend.given().get("budget") == (20 if backend == "sagemaker" else None)
