"""Files of the user's that a simulation reads in $SIMFERRY_INPUT."""

import json
import os

import pytest
import simferry as sf
from simferry.errors import StoreError, UsageError
from simferry.sweep.inputs import as_inputs
from sweeps import simferry, write

FUNCTIONS = {
    "r": (
        "simulate.R",
        """simulate <- function(k) {
  folder <- Sys.getenv("SIMFERRY_INPUT")
  c(sum = k * sum(read.csv(file.path(folder, "data", "data.csv"))$x), files = length(list.files(folder, recursive = TRUE)))
}""",
    ),
    "python": (
        "simulate.py",
        """import os
def simulate(k):
    folder = os.environ["SIMFERRY_INPUT"]
    with open(folder + "/data/data.csv") as file:
        x = [float(line) for line in file.read().split()[1:]]
    return {"sum": k * sum(x), "files": sum(len(files) for _, _, files in os.walk(folder, followlinks=True))}""",
    ),
}
CSV = "x\n1\n2\n4\n"


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "own", "data.csv", CSV)


def sums(run: sf.Run) -> list[float]:
    return run.results()["sum"].tolist()


@pytest.mark.parametrize("language", FUNCTIONS)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_functions_read_a_file_or_a_folder(tmp_path, data, language, kind):
    script = write(tmp_path, *FUNCTIONS[language])
    given = data if kind == "file" else data.parent
    run = sf.run(script, sf.grid(k=[1, 10]), replications=1, seed=1, inputs={"data": given}, store=tmp_path / "runs")
    assert sums(run) == [7, 70]
    assert (run.folder / "input" / "data" / "data.csv").read_text() == CSV
    assert run.record["inputs"]["data"]["place"] == "" and str(tmp_path) not in json.dumps(run.record["inputs"])


def test_the_run_keeps_the_input_it_began_with(tmp_path, data):
    script = write(tmp_path, *FUNCTIONS["python"])
    run = sf.run(script, sf.grid(k=[1]), replications=1, seed=1, inputs={"data": data}, store=tmp_path / "runs")
    data.unlink()
    assert run.extend(2).results()["sum"].tolist() == [7, 7]
    assert run.replay(1, 1)["sum"] == 7


def test_whole_scripts_read_it_too(tmp_path, data):
    code = """x <- read.csv(file.path(Sys.getenv("SIMFERRY_INPUT"), "data", "data.csv"))$x
cat("sum\\n", sum(x) * as.numeric(commandArgs(TRUE)[1]), "\\n", sep = "", file = file.path(Sys.getenv("SIMFERRY_OUTPUT"), "o.csv"))
"""
    script = write(tmp_path, "whole.R", code)
    run = sf.run(
        script, sf.grid(k=[2]), args="{k}", results_file="o.csv", replications=1, seed=1,
        inputs={"data": data}, store=tmp_path / "runs",
    )  # fmt: skip
    assert sums(run) == [14]


def test_another_content_is_another_simulation(tmp_path, data):
    script = write(tmp_path, *FUNCTIONS["python"])
    sweep = {"replications": 1, "seed": 1, "inputs": {"data": data}, "store": tmp_path / "runs"}
    first = sf.run(script, sf.grid(k=[1]), **sweep)
    same = sf.run(script, sf.grid(k=[1]), **sweep)
    data.write_text("x\n5\n")
    other = sf.run(script, sf.grid(k=[1]), **sweep)
    assert same._folder.plans() == [] and sums(same) == sums(first) == [7]
    assert sums(other) == [5] and other.record["code_hash"] != first.record["code_hash"]


def test_a_name_or_a_place_in_the_folder_matters(tmp_path, data):
    def version(given) -> str:
        return as_inputs({"data": given})["data"].version

    one = version(data)
    assert one == version(str(data)) == version(data.parent)
    data.rename(data.with_name("other.csv"))
    assert version(data.parent) != one


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("language, image", [("r", "image_r"), ("python", "image_python")])
def test_containers_read_it(tmp_path, data, language, image, request):
    script = write(tmp_path, *FUNCTIONS[language])
    run = sf.run(
        script, sf.grid(k=[1]), replications=2, seed=1, inputs={"data": data}, store=tmp_path / "runs",
        backend="docker", image=request.getfixturevalue(image), workers=1,
    )  # fmt: skip
    assert sums(run) == [7, 7]


# ---- in S3 ----


@pytest.mark.parametrize("address", ["data/data.csv", "data", "data/"])
def test_an_address_in_s3(place, s3, emulator, tmp_path, address):
    s3.put_object(Bucket=emulator.bucket, Key="data/data.csv", Body=CSV.encode())
    s3.put_object(Bucket=emulator.bucket, Key="data/", Body=b"")  # as the console makes folders
    s3.put_object(Bucket=emulator.bucket, Key="data/sub/", Body=b"")
    s3.put_object(Bucket=emulator.bucket, Key="database.csv", Body=b"not this")
    given = {"data": f"s3://{emulator.bucket}/{address}"}
    script = write(tmp_path, *FUNCTIONS["python"])
    run = sf.run(script, sf.grid(k=[1]), replications=1, seed=1, inputs=given, store=tmp_path / "runs")
    assert sums(run) == [7] and run.results()["files"].max() >= 1
    assert not (run.folder / "input" / "data").exists()  # it is read where it lies
    whole = "data/data.csv" if address.endswith("csv") else "data/"
    assert run.record["inputs"]["data"]["place"] == f"s3://{emulator.bucket}/{whole}"


def test_what_was_changed_in_s3_is_not_taken_for_what_the_run_began_with(place, s3, emulator, machine, tmp_path):
    s3.put_object(Bucket=emulator.bucket, Key="data/data.csv", Body=CSV.encode())
    given = {"data": f"s3://{emulator.bucket}/data"}
    script = write(tmp_path, *FUNCTIONS["python"])
    run = sf.run(script, sf.grid(k=[1]), replications=1, seed=1, inputs=given, store=place)
    first = as_inputs(given)["data"].version
    s3.put_object(Bucket=emulator.bucket, Key="data/data.csv", Body=b"x\n5\n")
    assert as_inputs(given)["data"].version != first
    machine("second")
    with pytest.raises(StoreError, match=r"the files at s3://.*/data/ are not those with which the run began"):
        sf.open(run.address).extend(2)


def test_inputs_that_came_along_lie_in_the_store(place, machine, data, tmp_path):
    script = write(tmp_path, *FUNCTIONS["r"])
    run = sf.run(script, sf.grid(k=[1]), replications=1, seed=1, inputs={"data": data.parent}, store=place)
    data.unlink()
    machine("second")
    assert sums(sf.open(run.address).extend(3)) == [7, 7, 7]


# ---- bad input ----


@pytest.mark.parametrize(
    "name, given, words",
    [
        ("data", "own/dta.csv", r"input data: there is no .*own/dta.csv\nDid you mean data.csv"),
        ("data", {"place": "own/data.csv", "mod": "Pipe"}, r"input data: mod is not known\nDid you mean mode"),
        ("data", {"place": "own/data.csv", "mode": "Fast"}, r"mode is 'Fast'; it can be File or Pipe"),
        ("data", {"mode": "File"}, r"input data is \{'mode': 'File'\}; it has to be a path or an address in S3"),
        ("data", 7, r"input data is 7; it has to be a path or an address in S3"),
        ("data", "empty", r"input data: there is no file in empty"),
        ("code", "own/data.csv", r"input 'code': names are .*code and plan are reserved"),
        ("1st", "own/data.csv", r"input '1st': names are letters"),
        ("a/b", "own/data.csv", r"input 'a/b': names are letters"),
        ("data", "http://example.org/data.csv", r"http://example.org.* is not a store"),
    ],
)
def test_a_bad_input_is_named(tmp_path, data, monkeypatch, name, given, words):
    monkeypatch.chdir(tmp_path)
    os.mkdir("empty")
    with pytest.raises(UsageError, match=words):
        sf.run(write(tmp_path, *FUNCTIONS["python"]), sf.grid(k=[1]), replications=1, inputs={name: given})


def test_an_address_with_nothing_there_is_named(place, emulator):
    with pytest.raises(UsageError, match=rf"input data: there is nothing at s3://{emulator.bucket}/dta\naws s3 ls"):
        as_inputs({"data": f"s3://{emulator.bucket}/dta"})


# ---- from the shell ----


def test_the_command_line_and_the_sweep_file_name_inputs(tmp_path, data):
    write(tmp_path, *FUNCTIONS["python"])
    done = simferry(
        "run", "simulate.py", "-p", "k=1", "-n", "1", "--input", f"data={data}", "--store", "a", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    sweep = """
[simulation]
script = "simulate.py"
[design.grid]
k = [3]
[run]
replications = 1
store = "b"
[inputs]
data = "own/data.csv"
"""
    write(tmp_path, "sweep.toml", sweep)
    done = simferry("run", "sweep.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sums(sf.open("latest", tmp_path / "a")) == [7] and sums(sf.open("latest", tmp_path / "b")) == [21]


@pytest.mark.parametrize("given", ["data", "=own/data.csv", "data=", "data=nowhere.csv"])
def test_a_bad_input_on_the_command_line_is_a_usage_error(tmp_path, data, given):
    write(tmp_path, *FUNCTIONS["python"])
    done = simferry("run", "simulate.py", "-p", "k=1", "-n", "1", "--input", given, cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_a_sweep_that_is_kept_sees_that_an_input_has_changed(tmp_path, data):
    script = write(tmp_path, *FUNCTIONS["python"])
    sweep = sf.Sweep(
        script, sf.grid(k=[1]), inputs={"data": data}, replications=1, seed=1, store=tmp_path / "runs", workers=1
    )
    assert sums(sf.run(sweep)) == [7]
    data.write_text("x\n10\n")
    assert sums(sf.run(sweep)) == [10]  # and not what the first run has computed
    data.unlink()
    with pytest.raises(UsageError, match="input data"):
        sf.run(sweep)
