"""SageMaker and S3 from R, on the emulator: what an R user types, in sessions of Rscript."""

import os
import re
import shutil
import signal
import subprocess
import sys

import boto3
import pytest
import simferry as sf
from common import require
from emulator_fixtures import Jobs
from hosted_models import archive
from sagemaker_fixtures import SIMULATE_R, SUBMIT_R, TIMED

SMALL = "ml.t3.medium"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)


@pytest.fixture
def session(library, tmp_path):  # noqa: F811
    """Starts an R session of its own: session(code)."""
    started = []

    def start(code: str, **environment: str) -> "subprocess.Popen[str]":
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
        script = tmp_path / f"session-{len(started)}.R"
        script.write_text(f'.libPaths(c("{library}", .libPaths())); library(simferry)\n{code}')
        started.append(
            subprocess.Popen(
                ["Rscript", "--vanilla", script], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={**os.environ, "SIMFERRY_PYTHON": sys.executable, **environment},
            )
        )  # fmt: skip
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def output(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    return out


@pytest.fixture
def in_r(session):
    """Runs R code to its end; what it prints."""
    return lambda code, **environment: output(session(code, **environment))


# ---- the same numbers ----


def test_a_function_typed_in_r_gives_the_table_of_a_run_here(emulator, image_r, in_r):
    said = in_r(f"""
        k <- 100
        power <- function(n, effect) {{ x <- rnorm(n, effect); c(p = t.test(x)$p.value, mean = mean(x) + k) }}
        design <- sim_grid(n = c(10, 20), effect = c(0, 0.1))
        place <- sim_sagemaker(c("{SMALL}", "ml.t3.large"), jobs = 2, image = "{image_r}", budget = 5, tags = c(project = "ferry"))
        there <- sim_run(power, design, replications = 20, seed = 1, backend = place)
        here <- sim_run(power, design, replications = 20, seed = 1, store = "store")
        stopifnot(identical(sim_results(there), sim_results(here)), identical(sim_summary(there), sim_summary(here)))

        now <- sim_status(there)
        stopifnot(now$state == "complete", now$done == 80, identical(unname(now$jobs), rep("succeeded", 2)), now$dollars > 0)
        print(there); print(now)
        sim_extend(there, 30, jobs = 1)
        stopifnot(identical(sim_results(there), sim_results(sim_extend(here, 30))), length(sim_status(there)$jobs) == 3)
        store <- "s3://{emulator.bucket}/simferry"
        stopifnot(identical(there$folder, paste0(store, "/", there$id)), identical(sim_list(store)$folder, there$folder))
        stopifnot(identical(sim_open(there$folder), there), identical(sim_open("latest", store), there))
    """)
    assert re.search(r"^jobs: 2 succeeded, less than \$0\.01 so far$", said, re.MULTILINE), said
    assert re.search(
        r"^  jobs: 2 succeeded, less than \$0\.01 so far\n  job 0001-0001: succeeded$", said, re.MULTILINE
    ), said
    sagemaker = boto3.client("sagemaker")
    job = sagemaker.list_processing_jobs()["ProcessingJobSummaries"][0]["ProcessingJobArn"]
    assert {"Key": "project", "Value": "ferry"} in sagemaker.list_tags(ResourceArn=job)["Tags"]


def test_a_loop_gives_what_it_gives_here(emulator, image_r, in_r):
    in_r(f"""
        library(foreach)
        k <- 100
        loop <- function(...) {{
          registerDoSimferry(seed = 1, ...)
          foreach(i = 1:40, .combine = rbind) %dopar% c(i, k + rnorm(1))
        }}
        place <- sim_sagemaker("{SMALL}", jobs = 2, image = "{image_r}")
        there <- loop(backend = place)
        stopifnot(getDoParWorkers() == 4, identical(there, loop(workers = 2)))
        stopifnot(nrow(sim_list("s3://{emulator.bucket}/simferry")) == 0)
        mine <- list(name = "mine", backend = place)
        failing <- function() foreach(i = 1:3, .options.simferry = mine) %dopar% if (i == 2) stop("no") else i
        stopifnot(identical(tryCatch(failing(), error = conditionMessage), 'task 2 failed - "no"'))
        stopifnot(identical(tryCatch(failing(), error = conditionMessage), 'task 2 failed - "no"'))
        stopifnot(nrow(sim_list("s3://{emulator.bucket}/simferry")) == 1)
    """)


def test_a_script_its_input_and_what_it_leaves(emulator, image_r, in_r, tmp_path):
    (tmp_path / "data.csv").write_text("x\n3\n")
    (tmp_path / "whole.R").write_text("""
        data <- read.csv(file.path(Sys.getenv("SIMFERRY_INPUT"), "data", "data.csv"))
        more <- readLines(file.path(Sys.getenv("SIMFERRY_INPUT"), "more", "text.txt"))
        write.csv(data.frame(m = rnorm(1) + data$x, more = more), "result.csv", row.names = FALSE)
    """)
    boto3.client("s3").put_object(Bucket=emulator.bucket, Key="texts/text.txt", Body=b"from S3\n")
    in_r(f"""
        run <- function(...)
          sim_run("whole.R", sim_grid(n = 1), replications = 2, seed = 1, args = "{{n}}", results_file = "result.csv", ...)
        more <- list(place = "s3://{emulator.bucket}/texts/", mode = "File", sharded = FALSE)
        there <- run(inputs = list(data = "data.csv", more = more), backend = sim_sagemaker("{SMALL}", image = "{image_r}"))
        stopifnot(identical(sim_results(there)$more, rep("from S3", 2)))
        stopifnot(identical(sim_results(there), sim_results(run(inputs = list(data = "data.csv", more = more), store = "here"))))
        files <- sim_artifacts(there, condition = 1, replication = 2)
        stopifnot(identical(basename(files), "result.csv"), read.csv(files)$m == sim_results(there)$m[2])
        e <- tryCatch(run(inputs = "data.csv", store = "here"), simferry_error_usage = conditionMessage)
        stopifnot(identical(e, 'an input has no name\\ninputs = c(data = "data.csv")'))
    """)


# ---- detaching, watching, stopping ----

SLOW = """
    slow <- function(n) {{ {wait}; cat(sprintf("line of %g \\n", n)); mean(rnorm(n)) }}
    place <- sim_sagemaker("{small}", jobs = 2, image = "{image}")
    run <- function(...) sim_run(slow, sim_grid(n = c(5, 10)), {replications}, seed = 7, ...)
"""


def test_interrupting_detaches_and_another_session_goes_on(emulator, image_r, session, in_r, tmp_path, gate):
    slow = SLOW.format(small=SMALL, image=image_r, replications=30, wait=gate.WAIT)
    first = session(
        slow
        + """
        e <- tryCatch(run(backend = place), simferry_error_interrupted = identity)
        cat(conditionMessage(e), "\\n", nrow(sim_grid(n = 1:3)), "\\n", sep = "")
    """
    )
    Jobs.until(lambda: emulator.requests["sagemaker", "CreateProcessingJob"] == 2)
    (run,) = sf.runs(f"s3://{emulator.bucket}/simferry")
    Jobs.until(lambda: set(run.status().jobs.values()) == {"running"})
    first.send_signal(signal.SIGINT)
    said = output(first).splitlines()
    assert re.fullmatch("detached from run .*: 2 jobs go on", said[0]), said
    address = f"s3://{emulator.bucket}/simferry/"
    assert said[1].startswith(f'sim_watch("{address}') and 'sim_cancel("' in said[3] and said[4] == "3", said
    run = re.search(r'sim_watch\("(.*?)"\)', said[1])[1]

    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "another-machine")}
    gate.open(when=tmp_path / "seen")
    following = in_r(
        slow
        + f"""
        there <- sim_open("{run}")
        stopifnot(sim_status(there)$state == "running")
        invisible(file.create("seen"))
        sim_logs(there, follow = TRUE)
        sim_watch(there)
        stopifnot(sim_status(there)$state == "complete", sim_status(there)$done == 60)
        stopifnot(identical(sum(lengths(strsplit(sim_logs(there), "\\n"))), 60L))
        stopifnot(identical(sim_results(there), sim_results(run(store = "here", workers = 8))))
    """,
        **elsewhere,
    )
    lines = following.splitlines()
    assert sorted(set(lines)) == ["0001-0001 | line of 5 ", "0001-0002 | line of 10 "] and len(lines) == 60


def test_cancelling_from_another_machine_and_resuming_with_other_options(
    emulator, image_r, session, in_r, tmp_path, gate
):
    first = session(
        SLOW.format(small=SMALL, image=image_r, replications=100, wait=gate.WAIT)
        + "e <- tryCatch(run(backend = place), simferry_error_interrupted = identity); cat(conditionMessage(e))"
    )
    Jobs.until(lambda: emulator.requests["sagemaker", "CreateProcessingJob"] == 2)
    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "another-machine")}
    code = f"""
        run <- sim_open("latest", store = "s3://{emulator.bucket}/simferry")
        for (i in 1:300) if ("running" %in% sim_status(run)$jobs) break else Sys.sleep(0.1)
        sim_cancel(run)
        stopifnot(identical(unname(sim_status(run)$jobs), rep("cancelled", 2)))
        sim_watch(run)   # for a moment its driver might deal out again what is left
        stopifnot(sim_status(run)$state == "incomplete")
        e <- tryCatch(sim_resume(run, volum = 5), simferry_error_usage = conditionMessage)
        stopifnot(startsWith(e, "the sagemaker backend has no option volum"))
        e <- tryCatch(sim_resume(run, jobs = 1, budget = 0.001), simferry_error_budget = conditionMessage)
        stopifnot(grepl("^the budget of .0.001 does not allow 1 more job", e))
        stopifnot(grepl("sim_resume[(].*, budget = 0[.][0-9]+[)]  goes on; [0-9,]+ replications are kept", e))
        sim_resume(run, jobs = 1, detach = TRUE)
        for (i in 1:300) if ("running" %in% sim_status(run)$jobs) break else Sys.sleep(0.1)
        sim_cancel(run)
    """
    in_r(code, **elsewhere)
    assert "were stopped by somebody" in output(first)


# ---- before money is spent ----


def test_a_plan_tells_time_and_cost(emulator, in_r, image_r):
    said = in_r(
        f'image <- "{image_r}"'
        """
        plan <- function(...) sim_plan(function(n) mean(rnorm(n)), sim_grid(n = c(10, 20)), replications = 1e6, seed = 1, ...)
        cloud <- sim_sagemaker("ml.c5.xlarge", jobs = 10, image = image)
        found <- plan(backend = cloud, deadline = "2h", budget = 20)
        print(found)
        again <- plan(backend = cloud)
        stopifnot(is.character(found$pilot_run), found$already_there == 0, again$already_there == 6)
        rows <- as.data.frame(found)
        stopifnot(identical(names(rows), c("instance_type", "jobs", "cores", "seconds", "dollars", "remark")))
        stopifnot(rows$instance_type[1] == "ml.c5.xlarge", rows$jobs[1] == 10)
        stopifnot(found$cloud$fastest$dollars <= 20, found$longest_replication > 0)
        print(plan(backend = "sagemaker", pilot = FALSE))
        told <- function(code) tryCatch(code, simferry_error = function(e) cat(class(e)[1], ": ", conditionMessage(e), "\\n", sep = ""))
        told(plan(deadline = "2h"))
        told(plan(backend = "sagemaker", deadline = "soon"))
        told(as.data.frame(sim_plan(function(n) n, data.frame(n = 1), 10, pilot = FALSE)))
    """
    )
    assert re.search(
        r"^2 conditions x 1,000,000 replications = 2,000,000\ncode: simulation\na replication takes \S+ s on average, ",
        said,
    ), said
    assert re.search(r"^ *ml\.c5\.xlarge +10 +4 +\S.*\$\d+\.\d\d +as asked for", said, re.MULTILINE), said
    assert f"the pilot ran in the image {image_r} on this machine, and is kept in s3://" in said
    assert "seed = 1  uses its replications" in said
    assert "assumed: a core there is as fast as one here" in said and "time and cost are not known without a pilot" in said
    assert (
        'simferry_error_usage: deadline, budget and prices are for the cloud, and the backend is local\nbackend = "sagemaker"'
        in said
    )
    assert "simferry_error_usage: deadline is 'soon'\nWrite it as 2h" in said
    assert "simferry_error_usage: this plan has no table" in said


def test_what_can_t_be_is_one_clear_error_and_r_goes_on(emulator, image_r, in_r):
    said = in_r(f"""
        told <- function(code) tryCatch(code, simferry_error = function(e) cat(class(e)[1], ": ", conditionMessage(e), "\\n", sep = ""))
        run <- function(..., store = NULL)
          sim_run(function(n) rnorm(1), data.frame(n = 1), 2, store = store, backend = sim_sagemaker(image = "{image_r}", ...))
        Sys.unsetenv("SIMFERRY_ROLE")
        told(run())
        Sys.setenv(SIMFERRY_ROLE = "{emulator.role}")
        told(run("ml.m5.xlareg"))
        told(run(jobs = "two"))
        told(run(role = 5))
        told(run(subnets = c("subnet-1", "subnet-2")))
        told(run(store = "runs"))
        told(run(store = "s3://nowhere-at-all/runs"))
        told(sim_list("s3://nowhere-at-all/runs"))
        key <- Sys.getenv("AWS_ACCESS_KEY_ID")
        Sys.unsetenv("AWS_ACCESS_KEY_ID")
        told(run())
        Sys.setenv(AWS_ACCESS_KEY_ID = key)
        Sys.unsetenv("AWS_DEFAULT_REGION")
        told(run())
        Sys.setenv(AWS_DEFAULT_REGION = "us-east-1")
        cat(nrow(sim_results(run("{SMALL}"))), "rows")
    """)
    *errors, last = re.split(r"\n(?=simferry_error_|\d+ rows)", said.strip())
    bucket = ("aws: there is no bucket nowhere-at-all", "aws s3 mb s3://nowhere-at-all")
    expected = [
        ("usage: the sagemaker backend needs the IAM role of its jobs",
         'sim_sagemaker(role = "arn:aws:iam::123456789012:role/simferry"), or SIMFERRY_ROLE'),
        ('usage: instance_type is "ml.m5.xlareg"; it has to be one that is known', "Did you mean ml.m5.xlarge"),
        ('usage: jobs is "two"; it has to be a whole number from 1',),
        ("usage: role is 5; it has to be a text",),
        ("usage: a VPC takes both subnets and security groups",
         'sim_sagemaker(subnets = c("subnet-1", "subnet-2"), security_groups = "sg-1")'),
        ("usage: the store ", 'store = "s3://my-bucket/simferry"'),
        bucket,
        bucket,
        ("credentials: ", "AWS_PROFILE"),
        ("aws: no AWS region is set", 'Sys.setenv(AWS_DEFAULT_REGION = "us-west-2")'),
    ]  # fmt: skip
    for error, (start, *hints) in zip(errors, expected, strict=True):
        assert error.startswith(f"simferry_error_{start}") and all(hint in error for hint in hints), said
    assert last == "2 rows"
    assert emulator.requests["sagemaker", "CreateProcessingJob"] == 1


# ---- the examples of the manual ----


def test_a_published_script_runs_with_its_import_line_changed(emulator, image_r, session, tmp_path):
    (tmp_path / "data.csv").write_text("length,width,people\n1000,1000,100\n")
    (tmp_path / "simulate.R").write_text(SIMULATE_R)
    script = SUBMIT_R.replace('reticulate::import("simferry.sagemaker")', "sim_sagemaker_module()")
    lines = output(session(script, CONTAINER=image_r)).splitlines()
    assert "sim_sagemaker_module()" in script and "iterations: 1000 " in lines and "status: Completed " in lines
    assert any(re.fullmatch(f"job: social-distancing-{TIMED} ", line) for line in lines)
    assert any(line.startswith("read back: 1000 ") for line in lines)


def test_waiting_for_a_published_script_s_job_can_be_interrupted(emulator, image_r, session, tmp_path):
    (tmp_path / "simulate.R").write_text("cat('begun\\n'); Sys.sleep(300)")
    waiting = session(f"""
        sagemaker <- sim_sagemaker_module()
        processor <- sagemaker$processing$ScriptProcessor(
          role = sagemaker$get_execution_role(), image_uri = "{image_r}", command = "/usr/bin/Rscript", instance_count = 1,
          instance_type = "{SMALL}", base_job_name = "long")
        stopped <- tryCatch(processor$run(code = "simulate.R", wait = TRUE, logs = TRUE), interrupt = identity, error = identity)
        cat("R goes on:", processor$latest_job$describe()$ProcessingJobStatus)
        processor$latest_job$stop()
    """)
    Jobs.until(lambda: emulator.requests["logs", "GetLogEvents"] > 2, 60)
    waiting.send_signal(signal.SIGINT)
    assert output(waiting).endswith("R goes on: InProgress")


@pytest.fixture
def image_simferry_r(engine, image_r):
    """There is an image simferry-r here."""
    from docker.errors import ImageNotFound

    try:
        engine.images.get("simferry-r")
        yield
    except ImageNotFound:
        engine.images.get(image_r).tag("simferry-r", "latest")
        yield
        engine.images.remove("simferry-r:latest")


def test_image_role_and_store_need_not_be_named(emulator, image_simferry_r, in_r, tmp_path):
    (tmp_path / "power.R").write_text("simulate <- function(n) c(rejected = abs(mean(rnorm(n))) * sqrt(n) > 1.96)\n")
    in_r(f"""
        design <- sim_grid(n = 10)
        run <- sim_run("power.R", design, replications = 1e4, seed = 1, backend = sim_sagemaker(instance_type = "{SMALL}", jobs = 2))
        stopifnot(nrow(sim_results(run)) == 1e4, abs(sim_summary(run)$mean - 0.05) < 0.01, length(sim_status(run)$jobs) == 2)
    """)


def test_an_endpoint_is_deployed_asked_and_deleted(emulator, image_serve, in_r, tmp_path):
    (tmp_path / "model.tar.gz").write_bytes(archive("2.5"))
    said = in_r(f"""
        served <- sim_endpoint_deploy("{image_serve}", "model.tar.gz", name = "slope", instances = 1, budget = 2, yes = TRUE)
        x <- c(1 / 3, 1e-300, 4)
        stopifnot(identical(predict(served, data.frame(x = x)), 2.5 * x), sim_endpoints()$dollars_an_hour == 0.056)
        print(served)
        stopifnot(as.numeric(sim_endpoint_invoke(served, "2", accept = "text/csv")) == 5)
        for (i in 1:100) if (length(sim_endpoint_logs(served))) break else Sys.sleep(0.1)  # they lag behind
        stopifnot(length(sim_endpoint_logs(served)) > 0)
        writeLines(c("1", "2"), "data.csv")
        done <- suppressMessages(sim_transform("{image_serve}", "model.tar.gz", "data.csv", "answers", accept = "text/csv"))
        stopifnot(as.numeric(readLines(done$files)) == c(2.5, 5))
        refused <- tryCatch(predict(sim_endpoint("slop"), data.frame(x = 1)), simferry_error_usage = conditionMessage)
        stopifnot(grepl("Did you mean slope", refused))
        sim_endpoint_delete(served)
        stopifnot(nrow(sim_endpoints()) == 0)
    """)
    assert said == "endpoint slope  InService, 1 x ml.t2.medium, $0.06 an hour\n"
