"""Working directories: what replications write is their own, in functions, whole scripts and commands."""

import os
import shutil
import warnings
from pathlib import Path

import pytest
import simferry as sf
from common import require
from simferry.errors import Note
from simferry.worker.folders import Folder, Included
from sweeps import digest, write


@pytest.fixture
def go(tmp_path):
    def run(script, design=None, replications=2, **options):
        return sf.run(script, design, replications=replications, store=tmp_path / "runs", **{"seed": 1, **options})

    return run


@pytest.fixture(params=["R", "py"])
def language(request):
    if request.param == "R":
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    return request.param


def files(run, condition=1, replication=1):
    folder = run.folder / "artifacts" / str(condition) / str(replication)
    return {str(p.relative_to(folder)): p.read_text() for p in run.artifacts(condition, replication)}


def included(folder):
    """What comes along: a file, a folder with another one in it."""
    write(folder, "in.txt", "5\n")
    write(folder, "data/a.txt", "1\n")
    write(folder, "data/deep/b.txt", "2\n")
    return {"include": ["in.txt", "data"]}


def test_empty_folders_come_along(tmp_path, go, language):
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "none").mkdir(parents=True)
    write(tmp_path, "data/a.txt", "1")
    code = {
        "R": """
cat("1", file = "empty/loaded.txt")
simulate <- function(n) {
  cat("x", file = "data/none/x.txt")
  length(dir("empty/deep"))
}
""",
        "py": """
import os
open("empty/loaded.txt", "w").close()
def simulate(n):
    open("data/none/x.txt", "w").close()
    return len(os.listdir("empty/deep"))
""",
    }[language]
    run = go(write(tmp_path, f"s.{language}", code), sf.grid(n=[1]), include=["empty", "data"], keep_files=True)
    assert run.errors()["message"].tolist() == [] and run.results()["value"].tolist() == [0, 0]
    assert list(files(run)) == ["data/none/x.txt"]


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


# ---- functions ----

# Each replication looks what is there, writes, and reads what it wrote.
WRITES = {
    "R": """
cat("loaded\n", file = "loaded.txt")
simulate <- function(n) {
  seen <- paste(c(dir(recursive = TRUE), readLines("in.txt"), readLines("loaded.txt")), collapse = " ")
  x <- sample.int(1e9, 1)
  for (file in c("in.txt", "out.txt", "data/deep/c.txt")) { cat(x, "\n", file = file); Sys.sleep(0.002) }
  cat("more\n", file = "loaded.txt", append = TRUE)
  unlink("data/a.txt")
  setwd("data")
  list(seen = seen, right = all(scan("../in.txt", quiet = TRUE) == x, scan("deep/c.txt", quiet = TRUE) == x), x = x)
}
""",
    "py": """
import os, time
from pathlib import Path
Path("loaded.txt").write_text("loaded\\n")
def simulate(n, rng):
    names = sorted(os.path.relpath(os.path.join(f, name)) for f, _, names in os.walk(".") for name in names)
    seen = " ".join([*names, Path("in.txt").read_text().strip(), Path("loaded.txt").read_text().strip()])
    x = str(rng.integers(10**9))
    for file in ("in.txt", "out.txt", "data/deep/c.txt"):
        Path(file).write_text(x)
        time.sleep(0.002)
    with open("loaded.txt", "a") as file:
        file.write("more\\n")
    os.unlink("data/a.txt")
    os.chdir("data")
    return {"seen": seen, "right": Path("../in.txt").read_text() == Path("deep/c.txt").read_text() == x, "x": float(x)}
""",
}


def test_functions_see_nothing_of_other_replications(tmp_path, go, language):
    script = write(tmp_path, f"s.{language}", WRITES[language])
    options, before = included(tmp_path), contents(tmp_path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run = go(script, sf.grid(n=[1, 2]), 40, workers=2, **options)
    assert run.errors()["message"].tolist() == []
    rows = run.results()
    names = f"data/a.txt data/deep/b.txt in.txt loaded.txt s.{language}"
    assert rows["seen"].unique().tolist() == [f"{names} 5 loaded"]
    assert rows["right"].all() and rows["x"].nunique() == 80
    assert [p.name for p in (run.folder / "artifacts").rglob("*")] == []
    (note,) = told
    assert (
        note.category is Note and "are not kept (first " in str(note.message) and "keep_files=True" in str(note.message)
    )
    kept = go(script, sf.grid(n=[1, 2]), 40, workers=1, keep_files=True, **options)  # takes nothing over
    assert digest(kept) == digest(run)
    one = files(kept, 2, 40)
    assert set(one) == {"in.txt", "out.txt", "data/deep/c.txt", "loaded.txt"}
    assert float(one["data/deep/c.txt"]) == rows["x"].iloc[-1] and one["loaded.txt"] == "loaded\nmore\n"
    assert {name: text for name, text in contents(tmp_path).items() if not name.startswith("runs/")} == before
    assert run.replay(2, 40)["x"] == rows["x"].iloc[-1]


def test_a_file_does_not_take_the_place_of_what_was_returned(tmp_path, go, language):
    code = {
        "R": 'simulate <- function(n) {{ if (n == 1) cat("x", file = "value.{end}"); lm(dist ~ speed, cars) }}',
        "py": "def simulate(n):\n    if n == 1: open('value.{end}', 'w').close()\n    return [object]",
    }[language]
    end = {"R": "rds", "py": "pkl"}[language]
    run = go(write(tmp_path, f"s.{language}", code.format(end=end)), sf.grid(n=[1, 2]), 2, keep_files=True)
    errors = run.errors()
    assert errors["condition"].tolist() == [1, 1] and "wrote a file of that name" in errors["message"].iloc[0]
    assert list(files(run, 1, 1)) == [f"value.{end}"]
    assert (run.folder / "artifacts" / "2" / "2" / f"value.{end}").stat().st_size > 10


def test_a_file_that_is_open_from_when_a_script_is_loaded_is_told(tmp_path, go, language):
    code = {
        "R": 'own <- file("log.txt", "w"); read <- file("s.R")\nopen(read, "r")\nsimulate <- function() 1',
        "py": "own, read = open('log.txt', 'w'), open(__file__)\ndef simulate(): return 1",
    }[language]
    with pytest.warns(UserWarning, match=rf"s\.{language} opens log\.txt when it is loaded"):
        go(write(tmp_path, f"s.{language}", code), None)


SELDOM = {
    "R": """
simulate <- function(n) {
  seen <- file.exists("out.txt")
  if (runif(1) < 0.01) cat("x", file = "out.txt")
  if (runif(1) < 0.01) stop("it fails")
  c(seen = seen, u = runif(1))
}
""",
    "py": """
import os
def simulate(n, rng):
    seen = os.path.exists("out.txt")
    if rng.random() < 0.01:
        open("out.txt", "w").close()
    if rng.random() < 0.01:
        raise ValueError("it fails")
    return {"seen": seen, "u": rng.random()}
""",
}


def test_fast_functions_that_write_seldom(tmp_path, go, language):
    """Of many quick replications only some are looked at one by one: those before are run again when one has written."""
    script = write(tmp_path, f"s.{language}", SELDOM[language])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Note)
        one, two = (go(script, sf.grid(n=[1, 2]), 2000, workers=w, fresh=True) for w in (1, 2))
    assert not one.results()["seen"].any() and 10 < one.status().failed < 80
    assert digest(one) == digest(two)
    assert one.errors()["replication"].tolist() == two.errors()["replication"].tolist()


# ---- whole scripts and commands ----

SCRIPTS = {
    "R": """
seen <- dir(recursive = TRUE)
cat("new\n", file = "data/deep/c.txt"); cat("9\n", file = "in.txt"); cat("more\n", file = "data/a.txt", append = TRUE)
unlink("data/deep/b.txt"); Sys.setFileTime("s.R", Sys.time())
dir.create("sub"); writeLines(seen, "sub/seen.txt")
""",
    "py": """
import os
from pathlib import Path
seen = sorted(os.path.relpath(os.path.join(f, name)) for f, _, names in os.walk(".") for name in names)
Path("data/deep/c.txt").write_text("new\\n"); Path("in.txt").write_text("9\\n"); open("data/a.txt", "a").write("more\\n")
os.unlink("data/deep/b.txt"); os.utime(__file__)
os.mkdir("sub"); Path("sub/seen.txt").write_text("\\n".join(seen) + "\\n")
os.mkdir("__pycache__") if not os.path.exists("__pycache__") else None
""",
    "sh": """#!/bin/sh
seen=$(find * -type f | sort)
echo new > data/deep/c.txt; echo 9 > in.txt; echo more >> data/a.txt
rm data/deep/b.txt; touch "$0"
mkdir sub; echo "$seen" > sub/seen.txt
""",
}


@pytest.mark.parametrize("kind", ["R", "py", "sh"])
def test_what_scripts_write_anywhere_below_is_their_own(tmp_path, go, kind):
    if kind == "R":
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = write(tmp_path, f"s.{kind}", SCRIPTS[kind])
    script.chmod(0o755)
    options, before = included(tmp_path), contents(tmp_path)
    run = go(script, None, 4, args="", workers=2, cores=1, **options)
    assert run.errors()["message"].tolist() == []
    expected = {
        "data/a.txt": "1\nmore\n",
        "data/deep/c.txt": "new\n",
        "in.txt": "9\n",
        "sub/seen.txt": f"data/a.txt\ndata/deep/b.txt\nin.txt\ns.{kind}\n",
    }
    assert [files(run, 1, r) for r in (1, 2, 3, 4)] == [expected] * 4
    assert {name: text for name, text in contents(tmp_path).items() if not name.startswith("runs/")} == before


def test_a_results_file_that_came_along_is_none(tmp_path, go):
    script = write(tmp_path, "s.sh", "#!/bin/sh\n[ $1 = 1 ] || echo 7 > r.txt\n")
    script.chmod(0o755)
    write(tmp_path, "r.txt", "7\n")
    run = go(script, None, 2, args="{replication}", results_file="r.txt", include=["r.txt"])
    assert run.errors()["replication"].tolist() == [1]  # it wrote nothing
    assert run.results()["value"].tolist() == [7]


# ---- large files ----

LARGE = {
    "R": """
simulate <- function(n) {
  link <- nzchar(Sys.readlink("large.bin"))
  first <- readBin("large.bin", "integer", 1L, 1L)
  if (n == 1) { f <- file("large.bin", "r+b"); writeBin(as.raw(7L), f); close(f) }
  c(link = link, first = first)
}
""",
    "py": """
import os, sys
link, first = os.path.islink("large.bin"), open("large.bin", "rb").read(1)[0]
if sys.argv[1] == "1":
    with open("large.bin", "r+b") as file:
        file.write(bytes([7]))
open("r.csv", "w").write(f"link,first\\n{int(link)},{first}\\n")
""",
}


def test_large_files_are_shared_until_one_is_written_to(tmp_path, go, language):
    with open(tmp_path / "large.bin", "wb") as file:
        file.write(b"\3")
        file.truncate(17 * 2**20)
    options = {} if language == "R" else {"args": "{n}", "results_file": "r.csv", "cores": 1}
    options |= {"include": ["large.bin"], "workers": 2, "retries": 0}
    script = write(tmp_path, f"s.{language}", LARGE[language])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Note)
        reads, writes = (go(script, sf.grid(n=[n]), 6, **options) for n in (0, 1))
    assert reads.results()[["link", "first"]].to_numpy().tolist() == [[1, 3]] * 6
    assert writes.results()[["link", "first"]].to_numpy().tolist() == [[0, 3]] * 6
    assert (tmp_path / "large.bin").read_bytes()[:1] == b"\3"
    assert (writes.folder / "code" / "large.bin").read_bytes()[:1] == b"\3"


# ---- a folder by itself ----


@pytest.fixture
def folder(tmp_path, monkeypatch):
    included(tmp_path / "code")
    folder = Folder(tmp_path / "folder", tmp_path / "spare", Included(tmp_path / "code"))
    monkeypatch.chdir(folder.path)
    return folder


def test_every_change_is_noticed_at_once(folder):
    def in_place():
        with open("data/a.txt", "r+") as file:
            file.write("3")

    def away_and_back():
        os.rename("in.txt", "other")
        os.rename("other", "in.txt")

    def new_and_gone():
        write(Path(), "x", "")
        os.unlink("x")

    acts = [
        in_place, away_and_back, new_and_gone,
        lambda: os.mkdir("data/deep/new"),
        lambda: os.unlink("data/deep/b.txt"),
        lambda: os.chmod("in.txt", 0o600),
        lambda: os.symlink("in.txt", "link"),
        lambda: os.chdir("data"),
    ]  # fmt: skip
    for act in acts:
        for _ in range(20):  # quicker than the clock of the file system
            assert not folder.changed()
            act()
            assert folder.changed()
            folder.tidy()
    assert contents(folder.path) == {"in.txt": b"5\n", "data/a.txt": b"1\n", "data/deep/b.txt": b"2\n"}


def test_what_takes_the_place_of_something_is_moved_away(folder, tmp_path):
    shutil.rmtree("data")
    write(Path(), "data", "a file")
    os.unlink("in.txt")
    write(Path(), "in.txt/f", "in a folder")
    os.chmod("in.txt", 0o500)
    os.symlink("/etc/hostname", "link")
    write(Path(), "__pycache__/x.pyc", "compiled")
    assert folder.tidy(tmp_path / "kept") == ["data", "in.txt", "link"]
    assert contents(folder.path).keys() == {"in.txt", "data/a.txt", "data/deep/b.txt", "__pycache__/x.pyc"}
    assert (tmp_path / "kept" / "data").read_text() == "a file" and os.path.islink(tmp_path / "kept" / "link")
    assert (tmp_path / "kept" / "in.txt" / "f").read_text() == "in a folder"
    assert not folder.changed()
    assert folder.tidy(tmp_path / "kept") == []
