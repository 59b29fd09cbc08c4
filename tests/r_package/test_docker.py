"""Containers from R: runs, foreach loops and images, as an R user has them."""

import subprocess
import sys
from pathlib import Path

import pytest
from common import require, rscript
from docker_fixtures import left_behind
from model_archives import archive



def test_a_run_in_containers_gives_the_table_of_one_here(image_r, in_r):
    in_r(f"""
        k <- 100
        draws <- function(n) {{ x <- rnorm(n); c(mean = mean(x) + k, median = median(x)) }}
        there <- sim_run(draws, sim_grid(n = c(10, 20)), 20, seed = 1, backend = sim_docker("{image_r}", jobs = 2), store = "docker")
        here <- sim_run(draws, sim_grid(n = c(10, 20)), 20, seed = 1, store = "local")
        stopifnot(identical(sim_results(there), sim_results(here)), identical(unname(sim_status(there)$jobs), rep("succeeded", 2)))
        replayed <- sim_replay(there, 2, 20)
        last <- sim_results(there)[40, ]
        stopifnot(identical(replayed$value, c(mean = last$mean, median = last$median)), !replayed$failed)
    """)


def test_a_loop_in_containers_gives_what_it_gives_here(image_r, in_r):
    in_r(f"""
        library(foreach)
        k <- 100
        loop <- function(...) {{
          registerDoSimferry(seed = 1, ...)
          foreach(i = 1:9, .combine = rbind, .packages = "splines") %dopar% 
            c(i, k + rnorm(1), is.function(bs), unlist(parallel::mclapply(1:2, function(j) rnorm(1), mc.cores = 2)))
        }}
        docker <- sim_docker("{image_r}", jobs = 2, workers = 1)
        there <- loop(backend = docker)
        stopifnot(getDoParWorkers() == 2, identical(there, loop(workers = 2)))
        lazy <- foreach(i = 1:2, .errorhandling = "pass", .options.simferry = list(backend = docker)) %dopar%
          (if (i == 1) 7 else (function(x) function() x)(stop("it runs here")))
        stopifnot(identical(lazy[[1]], 7), grepl("could run code in this session", conditionMessage(lazy[[2]])))
        failing <- function() foreach(i = 1:3, .options.simferry = list(backend = docker)) %dopar% if (i == 2) stop("no") else i
        stopifnot(identical(tryCatch(failing(), error = conditionMessage), 'task 2 failed - "no"'))
    """)


def test_a_setup_script_runs_before_a_function_and_a_loop(image_r, in_r):
    in_r(f"""
        writeLines("echo 7 >~/seven", "setup.sh")
        docker <- sim_docker("{image_r}", before = "setup.sh")
        seven <- function() scan("~/seven", quiet = TRUE)
        run <- sim_run(seven, replications = 2, seed = 1, backend = docker, store = "docker")
        stopifnot(sim_results(run)$value == 7, grepl("^simferry: the setup script begins", sim_logs(run)))
        registerDoSimferry(seed = 1, backend = docker)
        stopifnot(identical(foreach::`%dopar%`(foreach::foreach(i = 1:2, .combine = c), i + scan("~/seven", quiet = TRUE)), c(8, 9)))
        writeLines(c("echo no mirror", "exit 3"), "setup.sh")
        e <- tryCatch(sim_run(seven, replications = 2, backend = docker), simferry_error_simulation = conditionMessage)
        stopifnot(grepl("setup.sh failed with exit code 3, before the simulation:\n  no mirror", e, fixed = TRUE))
    """)


def test_an_image_that_is_the_program(scrap, in_r):
    train = "#!/bin/sh\\necho x,seed > /opt/ml/model/r.csv; echo 1,$SIMFERRY_SEED >> /opt/ml/model/r.csv; echo acc=0.5\\n"
    recipe = f"FROM debian:bookworm-slim\nRUN printf '{train}' > /bin/train && chmod 755 /bin/train\n"
    in_r(f"""
        run <- sim_run("image:{scrap.build(recipe)}", sim_grid(n = 1:2), 1, seed = 1, results_file = "r.csv", store = "store",
                       metric = c(acc = "acc=([0-9.]+)"), backend = sim_docker(workers = 1))
        found <- sim_results(run)
        stopifnot(found$x == 1, found$acc == 0.5, length(unique(found$seed)) == 2, identical(found$n, 1:2))
        e <- tryCatch(sim_run("image:x", metric = c("(x)"), backend = "docker"), simferry_error_usage = conditionMessage)
        stopifnot(grepl("metric has to be texts with names", e, fixed = TRUE))
    """)


def test_an_image_is_built_checked_and_pushed(image_r, registry, scrap, in_r, tmp_path):
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "Dockerfile").write_text(
        f"FROM debian:bookworm-slim\nLABEL simferry.test={scrap.name}\nCOPY one /\n"
    )
    (tmp_path / "image" / "one").write_text("1")
    host = registry().host
    in_r(f"""
        made <- image_build("image", name = "{scrap.name}")
        again <- image_build("image", name = "{scrap.name}")
        stopifnot(!made$skipped, again$skipped, identical(made$id, again$id), startsWith(made$tag, "{scrap.name}:"))
        e <- tryCatch(image_check(made$tag), simferry_error_image = conditionMessage)
        stopifnot(grepl('has neither Rscript nor python3 nor octave-cli\\nimage_build(script = "SCRIPT"', e, fixed = TRUE))
        found <- image_check("{image_r}")
        stopifnot(found$ok, c("R packages", "R worker") %in% found$what)
        pushed <- image_push("{scrap.name}", to = "{host}/lab")
        stopifnot(identical(pushed$uri, paste0("{host}/lab/", made$tag)), grepl("^sha256:", pushed$digest), !pushed$skipped)
        stopifnot(image_push("{scrap.name}", to = "{host}/lab")$skipped)
    """)


def test_what_can_t_be_is_one_clear_error(image_r, in_r):
    said = in_r(f"""
        told <- function(code) tryCatch(code, simferry_error = function(e) cat(class(e)[1], ": ", conditionMessage(e), "\\n", sep = ""))
        run <- function(...) told(sim_run(function(n) n, data.frame(n = 1), 2, backend = sim_docker(...), store = "store"))
        run("no-such-image")
        run("{image_r}", instance_type = "ml.m5.xlrage")
        run("{image_r}", jobs = "two")
        told(registerDoSimferry(backend = "docker"))
        told(sim_run(function(n) n, data.frame(n = 1), 2, backend = sim_docker("{image_r}"), packages = "splines2", store = "store"))
        told(image_push("no-such-image", to = "127.0.0.1:1"))
        told(image_push("{image_r}", to = "127.0.0.1:1"))
        Sys.setenv(DOCKER_HOST = "tcp://127.0.0.1:1")
        run("{image_r}")
        stopifnot(nrow(sim_list("store")) == 0)
    """).splitlines()
    errors = [line for line in said if line.startswith("simferry_error_")]
    for line, text in zip(
        errors,
        [
            "simferry_error_image: there is no image no-such-image here",
            "simferry_error_usage: instance_type is \"ml.m5.xlrage\"; it has to be one that is known",
            'simferry_error_usage: jobs is "two"; it has to be a whole number from 1',
            "simferry_error_usage: the docker backend needs an image",
            "simferry_error_simulation: packages: splines2 is not installed",
            "simferry_error_image: there is no image no-such-image here",
            "simferry_error_registry: ",
            "simferry_error_docker: no Docker engine answers at tcp://127.0.0.1:1, which DOCKER_HOST names",
        ],
        strict=True,
    ):
        assert line.startswith(text), said
    assert 'backend = sim_docker(image = "simferry-r"); image_build(script = "SCRIPT", name = "simferry-r")  makes one with what SCRIPT needs.' in said


def test_a_model_is_served_asked_and_ends_with_the_session(image_serve, engine, in_r, tmp_path):
    archive(tmp_path / "model.tar.gz", ("slope", b"2.5"))
    in_r(f"""
        server <- sim_serve("{image_serve}", "{tmp_path}/model.tar.gz", port = 0, env = list(MINE = 1), memory = "1G")
        stopifnot(identical(predict(server, data.frame(x = c(1, 2), y = 3:4)), c(2.5, 5)))
        failed <- function(code) tryCatch(code, simferry_error = function(e) c(class(e)[1], conditionMessage(e)))
        said <- failed(predict(server, data.frame(x = "a")))
        stopifnot(said[1] == "simferry_error_serving", grepl("the container answered 500: the prediction failed", said[2]))
        close(server)
        stopifnot(grepl("this server was closed", failed(predict(server, 1))[2]))
        stopifnot(grepl("memory is 2; it has to be a size", failed(sim_serve("{image_serve}", memory = 2))[2]))
        server <- sim_serve("{image_serve}", "{tmp_path}/model.tar.gz", port = 0)
    """)
    assert not [name for name in left_behind(engine, "serve") if name.startswith("simferry-serve-")]
