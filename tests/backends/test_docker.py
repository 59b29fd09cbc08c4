"""Sweeps in local containers: the same numbers as without, the same survival, nothing left behind."""

import random
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
import simferry as sf
from common import require
from docker_fixtures import left_behind
from simferry import errors
from simferry.containers.storage import Files, local_uri
from simferry.store.folder_store import DEFAULT_STORE
from simferry.system.untrusted import Tree
from sweeps import DRAWS, block_hashes, digest, done_pairs, published_sweep, simferry, wait_until, write

ROOT = Path(__file__).parents[2]


# written in the way in which such scripts are: arguments by position, a fifth one of 0 for all cores and an output file
WORKSHOP = """
library(doParallel)
args <- commandArgs(trailingOnly = TRUE)
side_a <- as.integer(args[2]); side_b <- as.integer(args[3]); people <- as.integer(args[4])
rounds <- as.integer(args[5]); at_home <- as.integer(args[6])
cores <- if (at_home == 1) 1 else detectCores()
cl <- makeCluster(cores)
registerDoParallel(cl)
one_room <- function() {
  near <- dist(cbind(runif(people, 0, side_a), runif(people, 0, side_b))) < 6
  2 * sum(near) / people
}
per_person <- foreach(i = 1:rounds) %dopar% one_room()
cat("mean", mean(unlist(per_person)), "on", cores, "cores\\n")
if (at_home != 1) write(as.character(mean(unlist(per_person))), file = "/opt/ml/processing/output/mean.txt", append = TRUE)
"""
WORKSHOP_ARGS = "--args {x_length} {y_length} {num_people} {max_iterations} 0"


def test_the_same_table_as_on_this_machine(tmp_path, engine, image_r):
    script = write(tmp_path, *DRAWS["r"])
    design = sf.grid(n=[5, 10], effect=[0, 0.1])
    given = {"replications": 40, "seed": 7, "store": tmp_path / "store"}
    here = sf.run(script, design, workers=2, **given)
    for jobs in (1, 3):
        there = sf.run(script, design, backend="docker", image=image_r, jobs=jobs, fresh=True, **given)
        assert digest(there) == digest(here)
        assert len(done_pairs(there)) == 160
        assert left_behind(engine, there.id) == []
        assert not list(there.folder.glob("jobs/*/ml"))
        assert there.record["image"].startswith("sha256:")


def test_a_function_of_matlab_draws_the_same_numbers_in_a_container(tmp_path, image_octave):
    require("octave", shutil.which("octave-cli") is not None, "Octave is not installed")
    script = write(tmp_path, "draws.m", "function [a, b] = draws(n)\na = sum(randn(n, 1));\nb = rande();\nend\n")
    given = {"replications": 200, "seed": 7, "store": tmp_path / "store", "fresh": True}
    here = sf.run(script, sf.grid(n=[5, 10]), workers=2, **given)
    there = sf.run(script, sf.grid(n=[5, 10]), backend="docker", image=image_octave, **given)
    assert digest(there) == digest(here)
    assert "Octave" in there.record["environment"]["interpreter"]


@pytest.mark.parametrize("language", ["R", "py"])
def test_a_published_script_runs_unmodified_in_a_container(tmp_path, language, request):
    image = request.getfixturevalue("image_r" if language == "R" else "image_python")
    sweep = published_sweep(tmp_path, language)
    script, given = sweep.pop("script"), {**sweep, "replications": 2, "seed": 1, "store": tmp_path / "store"}
    there = sf.run(script, backend="docker", image=image, workers=1, **given)
    assert there.status().failed == 0, there.errors()["message"].tolist()
    assert there.results()["size"].tolist() == [20] * 4 + [200000] * 4
    assert digest(there) == digest(sf.run(script, workers=1, fresh=True, **given))
    needs = {
        "R": "library(nothere)\nsimulate <- function(n) n",
        "py": "import nothere\ndef simulate(n):\n    return n\n",
    }
    with pytest.raises(errors.SimulationError, match=f"not installed in image {image}: nothere") as refused:
        other = write(tmp_path, f"other.{language}", needs[language])
        sf.run(other, sf.grid(n=[1]), replications=1, backend="docker", image=image, store=tmp_path / "store")
    assert "recipe_for(" in refused.value.hint and "Dockerfile" in refused.value.hint


FOLDERS = """
cat("loaded", file = "empty/loaded.txt")
simulate <- function(n) {
  seen <- paste(c(dir(recursive = TRUE), readBin("large.bin", "integer", 1L, 1L)), collapse = " ")
  x <- sample.int(1e9, 1)
  cat(x, file = "in.txt"); cat(x, file = "empty/deep/x.txt")
  if (n == 2) { f <- file("large.bin", "r+b"); writeBin(as.raw(7L), f); close(f) }
  list(seen = seen, right = scan("in.txt", quiet = TRUE) == x && scan("empty/deep/x.txt", quiet = TRUE) == x, x = x)
}
"""


def test_working_directories_are_as_on_this_machine(tmp_path, engine, image_r):
    script = write(tmp_path, "s.R", FOLDERS)
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    write(tmp_path, "in.txt", "5")
    with open(tmp_path / "large.bin", "wb") as file:  # shared by the processes, until the second condition writes to it
        file.write(b"\3")
        file.truncate(17 * 2**20)
    there = sf.run(
        script, sf.grid(n=[1, 2]), replications=6, seed=1, store=tmp_path / "store", keep_files=True, retries=0,
        include=["empty", "in.txt", "large.bin"], backend="docker", image=image_r, workers=2,
    )  # fmt: skip
    assert there.errors()["message"].tolist() == []
    rows = there.results()
    assert rows["seen"].unique().tolist() == ["empty/loaded.txt in.txt large.bin s.R 3"]
    assert rows["right"].all() and rows["x"].nunique() == 12
    names = [{p.name for p in there.artifacts(c, 6)} for c in (1, 2)]
    assert names == [{"in.txt", "x.txt"}, {"in.txt", "x.txt", "large.bin"}]
    assert (there.folder / "code" / "large.bin").read_bytes()[:1] == b"\3"


def test_runs_in_different_images_share_nothing(tmp_path, image_r):
    script = write(tmp_path, *DRAWS["r"])
    given = {"replications": 5, "seed": 7, "store": tmp_path / "store"}
    sf.run(script, sf.grid(n=5), workers=1, **given)
    there = sf.run(script, sf.grid(n=5), backend="docker", image=image_r, **given)
    assert (names := there._folder.block_names()) and all(name.plan != "0000" for name in names)


def test_a_script_of_the_workshops_kind_runs_unmodified(tmp_path, image_r):
    script = write(tmp_path, "rooms.R", WORKSHOP)
    design = sf.grid(x_length=1000, y_length=1000, num_people=[100, 300], max_iterations=20)
    given = {
        "args": WORKSHOP_ARGS,
        "results_file": "mean.txt",
        "replications": 2,
        "seed": 1,
        "store": tmp_path / "store",
    }
    there = sf.run(script, design, backend="docker", image=image_r, **given)
    table = there.results()
    assert len(table) == 4
    assert table["value"].between(0.001, 0.2).all()
    assert [p.name for p in there.artifacts(1, 1)] == ["mean.txt"]
    assert "mean" in next(iter(there.logs().values()))
    assert digest(sf.run(script, design, workers=2, fresh=True, **given)) == digest(there)


def test_processes_below_a_script_draw_what_they_draw_here(tmp_path, image_r):
    write(tmp_path, "draw.R", "cat(rnorm(1))")
    code = """
    draw <- function(...) as.numeric(system2("Rscript", c(...), stdout = TRUE))
    write(c(draw("draw.R"), draw(file.path(getwd(), "draw.R")), draw("draw.R", tempfile())), "out.txt", ncolumns = 1)
    """
    given = {
        "args": "",
        "results_file": "out.txt",
        "replications": 1,
        "seed": 1,
        "store": tmp_path / "store",
        "include": ["draw.R"],
    }
    script = write(tmp_path, "script.R", code)
    there = sf.run(script, backend="docker", image=image_r, **given)
    assert there.results().filter(like="value").iloc[0].nunique() == 3
    assert digest(sf.run(script, workers=2, fresh=True, **given)) == digest(there)


def test_one_cluster_spans_all_hosts(tmp_path, engine, image_r):
    code = """
    library(doParallel)
    registerDoParallel()
    hosts <- foreach(i = 1:30, .combine = c) %dopar% { Sys.sleep(0.01); Sys.info()[["nodename"]] }
    cl <- parallel::makeCluster()
    x <- unlist(parallel::parLapply(cl, 1:8, function(i) rnorm(1)))
    write.csv(data.frame(hosts = length(unique(hosts)), workers = length(cl), sum = sum(x)), "out.csv")
    """
    script = write(tmp_path, "span.R", code)
    given = {"args": "", "results_file": "out.csv", "replications": 1, "seed": 1, "store": tmp_path / "store"}
    run = sf.run(script, backend="docker", image=image_r, hosts=2, workers=2, **given)
    row = run.results().iloc[0]
    assert (row["hosts"], row["workers"]) == (2, 4)
    assert left_behind(engine, run.id) == []
    one = sf.run(script, backend="docker", image=image_r, hosts=1, workers=2, **given, fresh=True)
    assert one.results()["sum"][0] == row["sum"]


def test_a_replication_that_takes_too_much_memory(tmp_path, image_r):
    code = "simulate <- function(n) { if (n == 3) { x <- numeric(1e9); x[] <- 1 }; rnorm(1) }"
    script = write(tmp_path, "greedy.R", code)
    given = {"replications": 2, "seed": 1, "store": tmp_path / "store", "retries": 0}
    run = sf.run(
        script, sf.grid(n=[1, 2, 3, 4]), backend="docker", image=image_r, instance_type="ml.t3.medium", **given
    )
    failed = run.errors()
    assert set(failed["condition"]) == {3}
    assert set(failed["message"]) == {"out of memory"}
    assert len(run.results()) == 6


def test_thirty_jobs_killed_at_random_are_completed(tmp_path, engine, image_r):
    script = write(tmp_path, *DRAWS["r"])
    design = sf.grid(n=list(range(5, 11)))
    given = {"replications": 100, "seed": 7, "store": tmp_path / "store"}
    undisturbed = sf.run(script, design, workers=2, fresh=True, **given)
    chance = random.Random(1)
    killed = []
    over = threading.Event()

    def mine():
        return [run.id for run in sf.runs(tmp_path / "store")]

    def kill():
        while not over.is_set():
            time.sleep(chance.uniform(0.3, 1.2))
            for container in engine.containers.list(filters={"label": "simferry.owner"}):
                if container.labels["simferry.owner"] in mine() and len(killed) < 8:
                    try:
                        container.kill()
                        killed.append(container.name)
                    except Exception:
                        continue

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        try:
            run = sf.run(
                script, design, backend="docker", image=image_r, workers=1, jobs=30, retries=5, fresh=True, **given
            )
        except errors.WorkerError:
            run = sf.open("latest", tmp_path / "store").resume()
    finally:
        over.set()
        killer.join()
    assert killed
    assert digest(run) == digest(undisturbed)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs))
    assert left_behind(engine, run.id) == []


def test_a_killed_driver_leaves_nothing_after_resume(tmp_path, engine, image_r):
    script = write(tmp_path, *DRAWS["r"])
    arguments = [
        "run",
        script,
        "-p",
        "n=5,6",
        "-n",
        40,
        "--seed",
        7,
        "--backend",
        "docker",
        "--image",
        image_r,
        "--json",
    ]
    process = simferry(*arguments, "--store", tmp_path / "store", "--replication-timeout", 30, cwd=tmp_path, start=True)
    run = wait_until(lambda: next(iter(sf.runs(tmp_path / "store")), None))
    wait_until(lambda: left_behind(engine, run.id))
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = block_hashes(run)
    run.resume()
    after = block_hashes(run)
    assert before.items() <= after.items()
    assert run.status().state == "complete"
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 80
    assert left_behind(engine, run.id) == []
    assert not list(run.folder.glob("jobs/*/ml"))


def test_an_interrupted_run_leaves_nothing_and_can_be_resumed(tmp_path, engine, image_r):
    code = "simulate <- function(n) { Sys.sleep(0.1); rnorm(n) }"
    script = write(tmp_path, "slow.R", code)
    arguments = ["run", script, "-p", "n=1", "-n", 200, "--seed", 7, "--backend", "docker", "--image", image_r]
    process = simferry(*arguments, "--store", tmp_path / "store", cwd=tmp_path, start=True)
    run = wait_until(lambda: next(iter(sf.runs(tmp_path / "store")), None))
    wait_until(lambda: run.status().done)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 4, said
    assert "simferry resume" in said
    assert left_behind(engine, run.id) == []
    assert 0 < run.status().done < 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "docker"], "needs an image"),
        (["--backend", "docker", "--image", "simferry-rr"], "there is no image simferry-rr"),
        (["--backend", "docker", "--image", "debian:bookworm-slim"], "has no Rscript"),
        (
            ["--backend", "docker", "--image", "IMAGE", "--instance-type", "ml.m5.xlarg"],
            "Did you mean ml.m5.xlarge",
        ),
        (
            ["--backend", "docker", "--image", "IMAGE", "--hosts", "2"],
            "several hosts are only for scripts and commands",
        ),
        (["--image", "IMAGE"], "the local backend has no option"),
        (["--backend", "dokcer"], "Did you mean docker"),
    ],
)
def test_bad_input_is_one_clear_error(tmp_path, arguments, message, image_r):
    script = write(tmp_path, *DRAWS["r"])
    arguments = [image_r if a == "IMAGE" else a for a in arguments]
    done = simferry("run", script, "-p", "n=5", "-n", 2, *arguments, "--store", tmp_path / "store", cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
    assert not list((tmp_path / "store").glob("*/run.json"))


def test_objects_are_kept_however_a_job_ends(tmp_path, engine, image_r):
    script = write(tmp_path, "objects.R", "simulate <- function(n) { Sys.sleep(0.05); list(matrix(rnorm(4), 2), n) }")

    def stop(now):
        if now.done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(errors.Interrupted):
        sf.run(
            script, {"n": [1, 2]}, replications=50, seed=1, backend="docker", image=image_r, workers=1,
            store=tmp_path / "store", on_progress=stop,
        )  # fmt: skip
    (run,) = sf.runs(tmp_path / "store")
    before = run.status().done
    assert 5 <= before < 100
    run.resume()
    assert run.status().done == 100
    without = [pair for pair in done_pairs(run) if [p.name for p in run.artifacts(*pair)] != ["value.rds"]]
    assert without == []


def test_a_file_of_the_same_size_is_sent_again(tmp_path):
    files, here, there = Files(), tmp_path / "here", tmp_path / "there"
    here.mkdir()
    for content in ("AAAA", "BBBB"):
        (here / "kept").write_text(content)
        files.send(Tree(here), local_uri(there))
        assert (there / "kept").read_text() == content
    (there / "kept").write_text("an earlier attempt's"[:4])
    Files().send(Tree(here), local_uri(there))
    assert (there / "kept").read_text() == "BBBB"


def test_the_command_line_as_the_readme_has_it(tmp_path, engine, image_r):
    folder = ROOT / "simulations" / "social_distancing"
    arguments = ["run", folder / "parallel.R", "--args", WORKSHOP_ARGS, "-p", "x_length=500", "-p", "y_length=500"]
    arguments += [
        "-p",
        "num_people=50",
        "-p",
        "max_iterations=10",
        "-n",
        1,
        "--backend",
        "docker",
        "--image",
        image_r,
    ]
    done = simferry(*arguments, "--results-file", "result.csv", "--instance-type", "ml.m5.4xlarge", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ml.m5.4xlarge has 16 cores; this machine's" in done.stdout
    (run,) = sf.runs(tmp_path / DEFAULT_STORE)
    assert left_behind(engine, run.id) == []


def test_an_editable_package_comes_along_where_the_image_lacks_it(tmp_path, image_python, monkeypatch):
    """Here it is found without; nobody has to install a package of their own into the image."""
    write(tmp_path, "src/mypkg/__init__.py", "")
    write(tmp_path, "src/mypkg/const.py", "X = 2\n")
    script = write(tmp_path, "src/mypkg/sim.py", "from mypkg.const import X\ndef simulate(n): return X + n\n")
    monkeypatch.syspath_prepend(tmp_path / "src")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "src"))
    given = {"design": sf.grid(n=[1]), "replications": 2, "seed": 1, "store": tmp_path / "store"}
    here = sf.run(script, **given)
    there = sf.run(script, backend="docker", image=image_python, **given)
    assert here.results()["value"].tolist() == there.results()["value"].tolist() == [3, 3]
    assert here.record["simulation"].get("module") is None
    assert there.record["simulation"]["module"] == "mypkg.sim"
