"""Whole scripts and commands: arguments, folders, results files, artifacts, streams, failures."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import simferry as sf
from common import require
from simferry.errors import Note
from simferry.jobs.launch import WORKER
from simferry.worker.scripts import last_words
from sweeps import digest, done_pairs, left_behind, published_sweep, write


@pytest.fixture
def go(tmp_path):
    def run(script, design=None, replications=2, **options):
        return sf.run(script, design, replications=replications, store=tmp_path / "runs", **{"seed": 1, **options})

    return run


@pytest.fixture
def r():
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")


def shell(folder, code, name="run.sh"):
    path = write(folder, name, f"#!/bin/sh\n{code}\n")
    path.chmod(0o755)
    return path


def files(run, condition=1, replication=1):
    folder = run.folder / "artifacts" / str(condition) / str(replication)
    return {str(p.relative_to(folder)): p.read_text() for p in run.artifacts(condition, replication)}


# ---- arguments ----

DESIGN = sf.zipped(
    n=[1000, 100000], x=[0.1, 1e-7], flag=[True, None], s=["a b", "it's $HOME"], types={"flag": "logical"}
)
TEMPLATE = "--args {n} {x} {flag} {s} '{s}={n}' {{n}} last"


def test_arguments_of_r_scripts(tmp_path, go, r):
    script = write(tmp_path, "s.R", 'writeLines(commandArgs(trailingOnly = TRUE), "out.txt")')
    run = go(script, DESIGN, 1, args=TEMPLATE, cores=1)
    assert files(run, 1)["out.txt"].splitlines() == ["--args", "1000", "0.1", "TRUE", "a b", "a b=1000", "{n}", "last"]
    assert files(run, 2)["out.txt"].splitlines()[1:5] == ["100000", "0.0000001", "NA", "it's $HOME"]


def test_arguments_of_python_scripts(tmp_path, go):
    script = write(tmp_path, "s.py", 'import sys\nopen("out.txt", "w").write("\\n".join(sys.argv[1:]))')
    run = go(script, DESIGN, 1, args=TEMPLATE)
    assert files(run, 1)["out.txt"].splitlines() == ["--args", "1000", "0.1", "True", "a b", "a b=1000", "{n}", "last"]


def test_arguments_of_commands_and_what_is_known_of_a_replication(tmp_path, go):
    script = shell(tmp_path, 'echo "$@"; for a; do echo "$a"; done > out.txt; env > env.txt; pwd > pwd.txt')
    design = sf.grid(flag=[True], n=[7])
    run = go(script, design, 2, args="{flag} {n} {replication} {condition} {seed} '' end", cores=2)
    one, two = files(run, 1, 1), files(run, 1, 2)
    lines = one["out.txt"].splitlines()
    assert lines[:4] == ["true", "7", "1", "1"] and lines[5:] == ["", "end"]
    environment = dict(line.split("=", 1) for line in one["env.txt"].splitlines() if "=" in line)
    assert environment["SIMFERRY_SEED"] == lines[4] != two["out.txt"].splitlines()[4]
    assert environment["SIMFERRY_CORES"] == "2"
    assert environment["SIMFERRY_OUTPUT"] == one["pwd.txt"].strip()
    assert set(one) == {"out.txt", "env.txt", "pwd.txt"}  # neither the script nor anything of the first replication
    assert "true 7 1 1" in run.logs()["0001-0001"]


def test_a_program_of_the_path(go):
    assert files(go("cp", sf.grid(file=["/etc/hostname"]), 1, args="{file} copy")).keys() == {"copy"}


# ---- folders ----


@pytest.mark.parametrize("language", ["R", "py"])
def test_helpers_and_data_lie_beside_the_script(tmp_path, go, language):
    if language == "R":
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    write(tmp_path, "helpers.R", "twice <- function(x) 2 * x")
    write(tmp_path, "helpers.py", "def twice(x): return 2 * x")
    write(tmp_path, "data/a.txt", "21")
    code = {
        "R": 'source("helpers.R"); dir.create("sub"); cat(twice(scan("data/a.txt", quiet = TRUE)), file = "sub/out.txt")',
        "py": "import helpers, os\nos.mkdir('sub')\nx = helpers.twice(int(open('data/a.txt').read()))\n"
        "open('sub/out.txt', 'w').write(str(x))",
    }[language]
    run = go(write(tmp_path, f"s.{language}", code), args="", include=[f"helpers.{language}", "data"])
    assert files(run, 1, 1) == files(run, 1, 2) == {"sub/out.txt": "42"}
    assert (tmp_path / "data" / "a.txt").exists()


def test_the_absolute_output_folder_of_containers_in_a_private_mount(tmp_path, go):
    allowed = subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0
    require("root", allowed, "this system allows no private mounts")
    code = 'import os\nn = len(os.listdir("/opt/ml/processing/output"))\nopen("/opt/ml/processing/output/out.txt", "w").write(str(n))'
    before = os.path.exists("/opt/ml/processing/output")
    run = go(write(tmp_path, "s.py", code), sf.grid(n=[1, 2]), args="{n}", cores=1, workers=2)
    # the script's own link is all that lies there at first
    assert [files(run, c, r) for c in (1, 2) for r in (1, 2)] == [{"out.txt": "1"}] * 4
    assert os.path.exists("/opt/ml/processing/output") == before


@pytest.fixture
def open_folder():
    """A folder that everybody may enter: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_private_mount_without_root(open_folder):
    require("root", os.getuid() == 0, "only root can become somebody else")
    shutil.copy(WORKER / "private_mount.sh", open_folder / "mount.sh")
    folder = open_folder / "out"
    folder.mkdir()
    folder.chmod(0o777)
    inside = "sh mount.sh out sh -c 'echo $0 > /opt/ml/processing/output/f' hello"
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", inside]
    done = subprocess.run(command, cwd=open_folder, capture_output=True, text=True, check=False)
    require("root", "Operation not permitted" not in done.stderr, "this system allows no user namespaces")
    assert done.returncode == 0, done.stderr
    assert (folder / "f").read_text() == "hello\n"


# ---- results files ----


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("r.csv", "name,x\nfirst,1\nsecond,NA\n", {"name": ["first", "second"], "x": [1.0, None]}),
        ("r.json", '{"a": 1.5, "b": true}', {"a": [1.5], "b": [True]}),
        ("r.json", '[{"a": 1}, {"a": 2}]', {"a": [1, 2]}),
        ("r.txt", "1.5 2\n", {"value_1": [1.5], "value_2": [2.0]}),
    ],
)
def test_results_files_become_rows(tmp_path, go, name, text, expected):
    run = go(shell(tmp_path, f"cat > {name} <<'END'\n{text}\nEND"), args="", results_file=name, replications=1)
    table = run.results_table().drop_columns(["condition", "replication"])
    assert {n: [None if v != v else v for v in values] for n, values in table.to_pydict().items()} == expected
    assert name in files(run)


PATTERN = {
    "R": 'a <- commandArgs(TRUE); dir.create("out"); n <- as.numeric(a[1])\n'
    'for (k in 1:2) saveRDS(data.frame(n = n, k = k), paste0("out/", k, "_", n, "_", a[2], ".rds"))\nwriteLines("x", "log.txt")',
    "py": "import sys, os, json\nos.mkdir('out')\nn = float(sys.argv[1])\n"
    "for k in (1, 2):\n    json.dump({'n': n, 'k': k}, open(f'out/{k}_{n}_{sys.argv[2]}.json', 'w'))",
}


@pytest.mark.parametrize("language", ["R", "py"])
def test_a_pattern_of_results_files_has_the_conditions_values_as_scripts_write_them(tmp_path, go, language):
    require("r", language == "py" or shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = write(tmp_path, f"s.{language}", PATTERN[language])
    design, ending = sf.grid(n=[0.5, 100000]), "rds" if language == "R" else "json"
    run = go(script, design, 2, args="{n} {replication}", results_file=f"out/*_{{n}}_{{replication}}.{ending}")
    found = run.results()
    assert run.status().failed == 0, run.errors()["message"].tolist()
    assert found["n_result" if "n_result" in found else "n"].tolist() == [0.5] * 4 + [100000] * 4
    written_n = {"R": "1e+05", "py": "100000.0"}[language]
    assert found["k"].tolist() == [1, 2] * 4 and found["file"].iloc[-1] == f"out/2_{written_n}_2.{ending}"
    one = go(
        script, design, 2, args="{n} {replication}", results_file=f"out/1_{{n}}_{{replication}}.{ending}", fresh=True
    )
    assert one.results()["k"].tolist() == [1] * 4 and "file" not in one.results()
    value = run.replay(2, 1)
    assert len(value) == 2


@pytest.mark.parametrize("language", ["R", "py"])
def test_a_published_script_runs_unmodified(tmp_path, go, language):
    require("r", language == "py" or shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    run = go(**published_sweep(tmp_path, language))
    assert run.status().failed == 0, run.errors()["message"].tolist()
    found = run.results()
    assert found["size"].tolist() == [20] * 4 + [200000] * 4 and found["estimate"].notna().all()
    assert (tmp_path / "results" / "sim_n10_p2_rho0.5_ols_1.txt").read_text() == "of an earlier day"


@pytest.mark.parametrize("language", ["R", "sh"])
def test_a_results_file_that_was_not_written_is_told_with_what_was(tmp_path, go, language):
    code = {
        "R": "writeLines('1', 'a.txt'); dir.create('b'); writeLines('1', 'b/c.txt')",
        "sh": "echo 1 > a.txt; mkdir b; echo 1 > b/c.txt",
    }
    require("r", language == "sh" or shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = shell(tmp_path, code["sh"]) if language == "sh" else write(tmp_path, "s.R", code["R"])
    for name in ("r.csv", "r*.csv"):
        message = go(script, None, 1, args="", results_file=name).errors()["message"][0]
        assert message.endswith(f"ended without writing {name} in its output folder. It wrote: a.txt, b/c.txt")


def test_results_files_that_are_not_there_or_not_utf8(tmp_path, go):
    script = shell(tmp_path, "[ $1 = 1 ] || printf 'x\\nn\\351e\\n' > r.csv")
    run = go(script, args="{replication}", results_file="r.csv")
    assert run.errors()["message"].tolist() == ["the command ended without writing r.csv in its output folder"]
    assert run.results()["x"].tolist() == ["née"]


# ---- streams: what every script gets, whatever the number of workers ----

FOREACH = """
library(foreach)
library(doParallel)
cores <- as.integer(Sys.getenv("SIMFERRY_CORES"))
kind <- commandArgs(trailingOnly = TRUE)[1]
if (kind == "sockets") registerDoParallel(cl <- makeCluster(cores)) else registerDoParallel(cores = cores)
a <- foreach(i = 1:5, .combine = c) %dopar% rnorm(1)
b <- unlist(parallel::mclapply(1:3, function(i) runif(1), mc.cores = cores))
if (kind == "sockets") stopCluster(cl)
write.csv(data.frame(x = c(a, b, rnorm(1))), "r.csv", row.names = FALSE)
"""


def test_parallel_r_scripts_give_the_same_for_any_number_of_workers(tmp_path, go, r):
    packages = 'for (p in c("foreach", "doParallel")) library(p, character.only = TRUE)'
    there = subprocess.run(["Rscript", "-e", packages], capture_output=True).returncode == 0
    require("r", there, "foreach or doParallel is not installed")
    script = write(tmp_path, "parallel.R", FOREACH)
    runs = []
    for workers, cores in ((1, 1), (2, 2), (2, 1)):
        design = sf.grid(kind=["sockets", "forks"])
        runs.append(
            go(script, design, 1, args="{kind}", results_file="r.csv", workers=workers, cores=cores, fresh=True)
        )
    assert [run.status().failed for run in runs] == [0, 0, 0], runs[0].errors()["message"].tolist()
    assert len({digest(run) for run in runs}) == 1
    assert runs[0].results()["x"].nunique() == 2 * 9


def test_python_scripts_have_a_seed_of_their_own(tmp_path, go):
    code = 'import os, numpy as np\nprint(np.random.default_rng(int(os.environ["SIMFERRY_SEED"])).random(), file=open("r.txt", "w"))'
    script = write(tmp_path, "s.py", code)
    one = go(script, sf.grid(n=[1, 2]), args="{n}", results_file="r.txt", workers=1)
    two = go(script, sf.grid(n=[1, 2]), args="{n}", results_file="r.txt", workers=2, cores=1, fresh=True)
    assert digest(one) == digest(two) and one.results()["value"].nunique() == 4


def test_several_at_a_time_with_one_core_each(tmp_path, go):
    here = tmp_path / "here"
    here.mkdir()
    meet = f"touch {here}/$$; while [ $(ls {here} | wc -l) -lt 2 ]; do sleep 0.05; done"
    run = go(shell(tmp_path, meet), args="", workers=2, cores=1, replication_timeout=60)
    assert run.status().failed == 0 and len(list(here.iterdir())) == 2


LOGS = {
    "r": ("log.R", r"""x <- commandArgs(TRUE)
        for (i in 1:2) cat("step ", i, " l\u00f6ss=", as.numeric(x) / i, " loss=", x, "e-", i, "\n", sep = "")
        if (x == "1") writeLines("a\n1\n2", "out.csv") else writeLines("{\"a\": 3}", "out.json")"""),
    "python": ("log.py", r"""import sys
x = sys.argv[1]
for i in (1, 2):
    print(f"step {i} loss={x}e-{i}", "loss=none")
open("out.csv" if x == "1" else "out.json", "w").write("a\n1\n2\n" if x == "1" else '{"a": 3}')"""),
}  # fmt: skip


@pytest.mark.parametrize("language", LOGS)
def test_metrics_are_columns_and_their_series_an_artifact(tmp_path, go, language):
    require("r", language != "r" or shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    metric = {"loss": "loss=([0-9.e-]+)", 'no"ne': "zip=(.*)"}
    run = go(write(tmp_path, *LOGS[language]), sf.grid(x=[1, 2]), 1, args="{x}", metric=metric)
    assert run.results()["loss"].tolist() == [0.01, 0.02] and run.results()['no"ne'].isna().all()
    assert files(run)["metrics.csv"] == "metric,step,value\nloss,1,1e-1\nloss,2,1e-2\n"
    assert [one["message"] for one in run.warnings().to_dict("records")] == [
        'metric no"ne: no line of the output matches zip=(.*)'
    ] * 2
    run = go(
        tmp_path / LOGS[language][0],
        sf.grid(x=[1, 2]),
        1,
        args="{x}",
        metric={"a": metric["loss"]},
        results_file="out.*",
    )
    assert run.results()[["a", "a_metric"]].to_numpy().tolist() == [[1, 0.01], [2, 0.01], [3, 0.02]]
    assert run.replay(1, 1)["metrics"] == '{"a": "1e-2"}'


# ---- failures ----


@pytest.mark.parametrize("language", ["sh", "py", "R"])
def test_a_failed_script_is_recorded_with_its_last_lines(tmp_path, go, language):
    code = {
        "sh": "echo one; echo two >&2; [ $1 != 2 ] || exit 7",
        "py": "import sys\nprint('one', flush=True)\nprint('two', file=sys.stderr)\nsys.exit(7 if sys.argv[1] == '2' else 0)",
        "R": "cat('one\n'); message('two'); if (commandArgs(TRUE)[1] == 2) quit('no', 7)",
    }[language]
    if language == "R":
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = shell(tmp_path, code) if language == "sh" else write(tmp_path, f"s.{language}", code)
    run = go(script, None, 3, args="{replication}")
    errors = run.errors()
    kind = "command" if language == "sh" else "script"
    assert errors["replication"].tolist() == [2]
    assert errors["message"].tolist() == [f"the {kind} ended with status 7: one\ntwo"]
    assert run.status().done == 3


@pytest.mark.parametrize("language", ["sh", "R"])
def test_a_script_that_hangs_is_ended_with_what_it_started(tmp_path, go, language):
    code = {
        "sh": "[ $1 != 2 ] || { sleep 99 & sleep 98; }",
        "R": "if (commandArgs(TRUE)[1] == 2) system('sleep 99 & sleep 98')",
    }
    if language == "R":
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = shell(tmp_path, code["sh"]) if language == "sh" else write(tmp_path, "s.R", code["R"])
    run = go(script, None, 3, args="{replication}", replication_timeout=4.5 if language == "sh" else 5)
    seconds = "4.5" if language == "sh" else "5"
    assert run.errors()[["replication", "message"]].to_numpy().tolist() == [[2, f"timed out after {seconds} s"]]
    assert len(run.warnings()) == 0 and len(done_pairs(run)) == 3
    assert left_behind(tmp_path) == []


def test_a_command_that_cannot_be_started(tmp_path, go):
    path = write(tmp_path, "odd.sh", "#!/no/such/interpreter\n")
    path.chmod(0o755)
    messages = go(path, None, 1, args="").errors()["message"]
    assert "can't be started: No such file or directory" in messages[0]


def test_the_error_of_a_script_is_kept_with_what_follows_it():
    calls = [f"{i}: f(x)" for i in range(12)]
    assert last_words("\n".join(["a", "Error in f(x) : no luck", *calls])).splitlines()[0] == "Error in f(x) : no luck"
    assert last_words("\n".join([*map(str, range(30)), "", "Execution halted"])).splitlines() == [
        "26", "27", "28", "29", "Execution halted",
    ]  # fmt: skip
    assert last_words("") == ""


@pytest.mark.parametrize("language", ["r", "of its folder", "python"])
def test_a_file_that_did_not_come_along_is_named_with_the_option_that_brings_it(tmp_path, go, language, request):
    if language != "python":
        request.getfixturevalue("r")
    write(tmp_path, "data.csv", "a,b\n1,2\n")
    itself = 'sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))'
    name, code = {
        "r": ("s.R", 'read.csv("data.csv")'),
        "of its folder": ("s.R", f'read.csv(file.path(dirname(normalizePath({itself})), "data.csv"))'),
        "python": ("s.py", 'open("data.csv")'),
    }[language]
    with pytest.warns(Note, match=r"data.csv was not there: include=\[\"data.csv\"\]  brings it along"):
        go(write(tmp_path, name, code), {"n": [1]}, replications=1, args="{n}")
