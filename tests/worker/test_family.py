"""What a simulation leaves running ends with its process, and nothing waits for input that never comes."""

import shutil

import pytest
import simferry as sf
from common import require
from sweeps import left_behind, simferry, write

PYTHON = """
import concurrent.futures, joblib, multiprocessing, subprocess, sys, threading, time

subprocess.Popen(["sleep", "3600"])  # when the script is loaded
left = []

def simulate(n):
    if n == 1:
        joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(i) for i in range(2))
    if n == 2:
        threading.Thread(target=time.sleep, args=(3600,)).start()
    if n == 3:
        left.append(multiprocessing.get_context("fork").Process(target=time.sleep, args=(3600,)))
        left[-1].start()
    if n == 4:
        left.append(concurrent.futures.ProcessPoolExecutor(1))
        left[-1].submit(time.sleep, 3600)
    if n == 5:
        subprocess.run("sleep 3600 &", shell=True)
    return n + len(sys.stdin.read()) + len(subprocess.check_output("cat"))
"""
R = """
system("sleep 3600 &")   # when the script is loaded
simulate <- function(n) {
  if (n == 1) parallel::mcparallel(Sys.sleep(3600))
  if (n == 2) system("sleep 3600", wait = FALSE)
  if (n == 3) left <<- parallel::makeCluster(1, port = 20000 + Sys.getpid() %% 10000)
  if (n == 4) system("sleep 3600 &")
  n + length(readLines("stdin")) + length(readLines()) + length(system("cat", intern = TRUE))
}
"""
R_SCRIPT = """
program <- function(pid) readBin(file.path("/proc", pid, "cmdline"), "raw", 9)   # of a dead one nothing, or an error
runs <- function(pid) length(suppressWarnings(try(program(pid), silent = TRUE))) == 9
pids <- Sys.getenv("PIDS")
before <- if (file.exists(pids)) Filter(runs, readLines(pids))
write(system("sleep 3600 > /dev/null 2>&1 & echo $!", intern = TRUE), pids, append = TRUE)
write.csv(data.frame(read = length(readLines("stdin")), run = length(before)), "result.csv", row.names = FALSE)
"""
PYTHON_SCRIPT = """
import os, subprocess, sys
subprocess.Popen(["sleep", "3600"])
try:
    read = len(input())
except EOFError:
    read = 0
open("result.csv", "w").write(f"read,run\\n{read},0\\n")
"""
COMMAND = "sleep 3600 &\n(echo read,run; echo $(cat | wc -l),0) > result.csv"


def table(folder):
    (run,) = (folder / "simferry-runs").iterdir()
    return sf.open(run).results()


@pytest.mark.parametrize(("name", "code", "conditions"), [("s.py", PYTHON, 5), ("s.R", R, 4)])
def test_functions_leave_nothing_running_and_read_nothing(tmp_path, name, code, conditions):
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    write(tmp_path, name, code)
    numbers = ",".join(map(str, range(1, conditions + 1)))
    done = simferry("run", name, "-p", f"n={numbers}", "--replications", 1, "--workers", 2, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert table(tmp_path)["value"].tolist() == list(range(1, conditions + 1))
    assert simferry("replay", "latest", "--condition", 1, "--replication", 1, cwd=tmp_path).returncode == 0
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "code"), [("s.py", PYTHON_SCRIPT), ("s.R", R_SCRIPT), ("s.sh", "#!/bin/sh\n" + COMMAND)]
)
def test_programs_leave_nothing_running_and_read_nothing(tmp_path, name, code):
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    write(tmp_path, name, code).chmod(0o755)
    given = ("--args", "x", "--results-file", "result.csv", "--replications", 2, "--workers", 1)
    done = simferry("run", f"./{name}", *given, cwd=tmp_path, PIDS=str(tmp_path / "pids"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert table(tmp_path)[["read", "run"]].values.tolist() == [[0, 0], [0, 0]]
    assert left_behind(tmp_path) == []
