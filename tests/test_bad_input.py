"""Bad input: an error of one or two lines that names the value, the place and the way out; never a traceback.

Each case is what a user's folder holds, what the user types, and fragments of what simferry should say.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from common import require
from simferry.cli import main

R = "simulate <- function(n, effect = 0) mean(rnorm(n, effect))\n"
PYTHON = "def simulate(n, effect=0, rng=None):\n    return rng.normal(effect, 1, n).mean()\n"
FILES = {"simulate.R": R, "simulate.py": PYTHON}


@dataclass
class Case:
    name: str
    command: str | list[str]
    says: list[str]
    files: dict[str, str | bytes] = field(default_factory=dict)
    code: int = 2

    @property
    def words(self) -> list[str]:
        return self.command.split() if isinstance(self.command, str) else self.command


def run(options: str | list[str]) -> list[str]:
    return ["run", *(options.split() if isinstance(options, str) else options), "-n", "2"]


def script(name: str, text: str | bytes, says: list[str], title: str = "", code: int = 2) -> Case:
    return Case(title or name, run(f"{name} -p n=10"), says, {name: text}, code)


def batch(title: str, options: str, says: list[str]) -> Case:
    return Case(title, run(f"simulate.py -p n=1 --backend batch {options}"), says)


def sweep(title: str, text: str, says: list[str]) -> Case:
    return Case(title, ["run", "sweep.toml"], says, {"sweep.toml": text})


TARGETS = [
    Case("script not there", run("simulat.R"), ["simulat.R is not there", "Did you mean simulate.R"]),
    Case("script in a folder not there", run("nowhere/s.R"), ["nowhere/s.R is not there", "Looked in"]),
    Case("folder as script", run("."), ["'.' is a folder, not a script", "Name the script in it"]),
    Case("not executable", run("data.txt"), ["data.txt is neither an R script", "chmod +x"], {"data.txt": "x"}),
    Case("no such command", "rnu simulate.R", ["there is no command rnu", "Did you mean run?"]),
    Case("no such option", "run simulate.R --wrokers 2", ["run has no option --wrokers", "Did you mean --workers"]),
    Case("no simulation", "run", ["Missing argument 'SIMULATION'", "simferry run --help"]),
]

R_SCRIPTS = [
    script(
        "s.R",
        "simulate <- function(n) {\n  x <- rnorm(n)\n  mean(x))\n}\n",
        ["s.R can't be parsed: line 3", "mean(x))"],
    ),
    script("pkg.R", "library(nothere)\n" + R, ["pkg.R needs packages", "nothere", "install.packages"]),
    script("typo.R", "simulte <- function(n) n\n", ["defines no function simulate", "Did you mean simulte?"]),
    script("other.R", "draw <- function(n) n\n", ["defines no function simulate", "It defines draw", "--function"]),
    script("value.R", "simulate <- 3\n", ["defines no function simulate", "--args"]),
    script("empty.R", "", ["empty.R defines no function simulate"]),
    script("junk.R", bytes(range(256)), ["junk.R is not a text file", "null bytes"]),
    script("wide.R", R.encode("utf-16"), ["wide.R is not a text file", "UTF-8"]),
    script("bom.R", b"\xef\xbb\xbf" + R.encode(), ["bom.R begins with a byte order mark", "UTF-8 without one"]),
    script("quit.R", "quit()\n" + R, ["quit.R ended Rscript while it was loaded", "quit()"]),
    script("stop.R", "stop('no data')\n" + R, ["stop.R fails when it is loaded", "no data"]),
    script(
        "late.R",
        "p <- 'nothere'; library(p, character.only = TRUE)\n" + R,
        ["needs packages that are not installed: nothere"],
    ),
    script("source.R", "source('helpers.R')\n" + R, ["source.R fails when it is loaded", "There is no helpers.R in"]),
    script("source2.R", "source('simulate.R')\n", ["fails when it is loaded", "--include simulate.R"]),
    script("worker.R", R, ["worker.R is the name of a file that simferry puts beside the script", "Rename"]),
]

PYTHON_SCRIPTS = [
    script("s.py", "def simulate(n):\n    return (n\n\nx = 1\n", ["s.py can't be parsed", "line 2", "never closed"]),
    script("pkg.py", "import nothere\n" + PYTHON, ["pkg.py needs packages", "nothere", "pip install nothere"]),
    script("imports.py", "import simulate\n", ["imports simulate, which is not installed", "--include simulate.py"]),
    script("typo.py", "def simulte(n):\n    return n\n", ["defines no function simulate", "Did you mean simulte?"]),
    script("junk.py", bytes(range(256)), ["junk.py is not a text file"]),
    script("exit.py", "import sys\nsys.exit('bye')\n", ["fails when it is loaded", "SystemExit: bye", "line 2"]),
    script("exit2.py", "import os\nos._exit(3)\n", ["exit2.py ended", "while it was loaded (exit code 3)"]),
    script("open.py", "open('data.csv')\n" + PYTHON, ["fails when it is loaded", "There is no data.csv in"]),
    script("rng.py", "def simulate(n, m):\n    return n\n", ["argument 'm' of function simulate", "-p m="]),
]

RETURNS = [
    script("function.R", "simulate <- function(n) mean\n", ["returned a function, which can't be kept", "data frame"]),
    script("connection.R", "simulate <- function(n) stdin()\n", ["which can't be kept: return numbers"]),
    script("function.py", "def simulate(n):\n    return print\n", ["which can't be kept", "dict"]),
    script(
        "file.py", "def simulate(n):\n    return open('/dev/null')\n", ["returned a TextIOWrapper", "can't be kept"]
    ),
]

DESIGNS = [
    Case("given twice", run("simulate.py -p n=10 -p n=20"), ["parameter n is given twice", "-p n=10,20"]),
    Case("equal conditions", run("simulate.py -p n=10,20,10.0"), ["conditions 1 and 3", "equal", '{"n":10}', "replications"]),
    Case("named replication", run("simulate.py -p replication=1"), ["can't be named 'replication'", "another name"]),
    Case("no value", run("simulate.py -p n="), ["-p n=: a value is empty", 'n=""']),
    Case("empty value", run("simulate.py -p n=1,,2"), ["-p n=1,,2: a value is empty"]),
    Case("no equals sign", run("simulate.py -p n"), ["-p n is not of the form NAME=VALUE", "-p n=10,20"]),
    Case("no name", run("simulate.py -p =3"), ["-p =3 is not of the form"]),
    Case("quote not closed", run(["simulate.py", "-p", 'n=10,"a']), ['n=10,"a: a quote is not closed']),
    Case("text after quote", run(["simulate.py", "-p", 'n="a"b']), ["there is text beside it"]),
    Case("mixed", run("simulate.py -p n=10,a"), ["-p n=10,a mixes values of kind number and string", "Quotes"]),
    Case("not an integer", run("simulate.py -p n=10L,2.5"), ["parameter n is declared integer"]),
    Case("too large", run("simulate.py -p n=99999999999999999999"), ["parameter n", "2^53", "string"]),
    Case("not an argument", run("simulate.py -p n=1 -p efect=1"), ["no argument 'efect'", "Did you mean effect?"]),
    Case("other case", run("simulate.R -p N=1"), ["no argument 'N'", "Did you mean n?"]),
    Case("argument without value", run("simulate.R -p effect=1"), ["argument 'n' of function simulate in simulate.R", "-p n="]),
    Case("common", run("simulate.py -p n=1 --common m"), ["common: there is no parameter 'm'", "It has: n."]),
    Case("rows missing", run("simulate.py --table t.csv"), ["the design has no rows"], {"t.csv": "n\n"}),
    Case("table not there", run("simulate.py --table no.csv"), ["no.csv"]),
    Case("table empty", run("simulate.py --table t.csv"), ["t.csv can't be read as a table"], {"t.csv": ""}),
    Case("table ragged", run("simulate.py --table t.csv"), ["t.csv can't be read"], {"t.csv": "n,effect\n1,2\n3\n"}),
    Case("table binary", run("simulate.py --table t.parquet"), ["t.parquet can't be read"], {"t.parquet": b"\xff\x00"}),
    Case("columns twice", run("simulate.py --table t.csv"), ["two columns named 'n'"], {"t.csv": "n,n\n1,2\n"}),
    Case("both", run("simulate.py --table t.csv -p n=1"), ["both --table and -p"], {"t.csv": "n\n1\n"}),
]  # fmt: skip

OPTIONS = [
    Case("no replications", "run simulate.py -p n=1", ["how many replications?", "--replications 1000"]),
    *(Case(f"replications {n}", f"run simulate.py -p n=1 -n {n}", [n]) for n in ("0", "-1", "many", "1.5", "99999999999")),
    *(Case(f"seed {n}", run(f"simulate.py -p n=1 --seed {n}"), [n]) for n in ("2147483648", "-1", "1.5")),
    Case("workers 0", run("simulate.py -p n=1 --workers 0"), ["--workers is 0; it has to be a whole number from 1 to 2147483647"]),
    Case("cores 0", run("simulate.py -p n=1 --cores 0"), ["--cores is 0; it has to be a whole number from 1"]),
    Case("retries -1", run("simulate.py -p n=1 --retries -1"), ["--retries is -1; it has to be a whole number from 0"]),
    Case("timeout 0", run("simulate.py -p n=1 --replication-timeout 0"), ["--replication-timeout is 0; it has to be"]),
    Case("on error", run("simulate.py -p n=1 --on-error halt"), ['--on-error is "halt"; it has to be continue or stop']),
    batch("jobs of an array", "--jobs 20000", ["--jobs is 20000; it has to be a whole number from 1 to 10000"]),
    batch("short attempt", "--max-runtime 30", ["--max-runtime is 30; it has to be a number of seconds from 60"]),
    batch("no such machine", "--on spto", ['--on is "spto"; it has to be spot, demand or fargate', "Did you mean spot?"]),
    batch("Fargate's sizes", "--on fargate --vcpus 3", ["has no size of 3 vCPUs with 4 GB", "--vcpus 4 --memory 8G"]),
    batch("memory of a job", "--memory 8", ["--memory is", "it has to be a size such as 4G"]),
    batch("several hosts", "--hosts 2", ["the batch backend has no option --hosts", "one machine"]),
    batch("more cores than a job", "--cores 8", ["--cores is 8, and a job of AWS Batch has 2 vCPUs", "--vcpus 8"]),
    batch("folder as store", "--store here", ["here is not in S3, where jobs of AWS Batch", "--store s3://"]),
    Case("backend", run("simulate.py -p n=1 --backend locl"), ['--backend is "locl"; it has to be local', "Did you mean local?"]),
    Case("store is a file", run("simulate.py -p n=1 --store simulate.R"), ["simulate.R"], code=1),
    Case("output's kind", run("simulate.py -p n=1 -o t.xlsx"), ["t.xlsx", ".parquet or .csv"]),
    Case("output's folder", run("simulate.py -p n=1 -o no/t.csv"), ["there is no folder", "mkdir -p"]),
    Case("output is a folder", run("simulate.py -p n=1 -o d.csv"), ["d.csv can't be written"], {"d.csv/x": ""}),
    Case("output when detached", run("simulate.py -p n=1 --detach -o t.csv"), ["--output and --detach"]),
    Case("include not there", run("simulate.R -p n=1 --include simulat.py"), ["simulat.py is not there", "simulate.py"]),
    Case(
        "include in place of the script",
        run("a/simulate.R -p n=1 --include ../simulate.R"),
        ["would overwrite another simulate.R"],
        {"a/simulate.R": R},
    ),
    Case("function", run("simulate.py -p n=1 --function simulat"), ["no function simulat", "Did you mean simulate?"]),
    Case("results file", run("simulate.py -p n=1 --results-file x.csv"), ["results_file is for whole scripts"]),
    Case("args: unused", run("simulate.R -p n=1 -p m=2 --args {n}"), ["parameter m", "not used", "Put {m} in args"]),
    Case("args: unknown", run("simulate.R -p num=1 --args {nun}"), ["no parameter 'nun'", "Did you mean num?"]),
    Case("args: quote", run(["simulate.R", "-p", "n=1", "--args", "{n} 'a"]), ["{n} 'a", "no closing quotation"]),
    Case("args: none", "run simulate.R --args", ["'--args' requires an argument"]),
]  # fmt: skip

SIMULATION = '[simulation]\nscript = "simulate.py"\n[run]\nreplications = 2\n'
SWEEPS = [
    Case("sweep not there", "run swep.toml", ["no sweep file swep.toml", "Did you mean sweep.toml?"], {"sweep.toml": ""}),
    sweep("not TOML", "[simulation\n", ["sweep.toml is not TOML", "line 1"]),
    sweep("a parameter twice", SIMULATION + "[design.grid]\nn = 1\nn = 2\n", ["sweep.toml", "line 7"]),
    sweep("empty", "", ["sweep.toml: [simulation] is missing"]),
    sweep("not a table", "simulation = 3\n", ["line 1: [simulation] has to be a table (it is 3)"]),
    sweep("no script", "[simulation]\nfunction = 'f'\n", ["[simulation] needs a script or a program"]),
    sweep("an unknown key", SIMULATION + "sed = 1\n", ["sweep.toml, line 5: a run has no option [run] sed. Did you mean seed?"]),
    sweep("equal conditions", SIMULATION + "[design.grid]\nn = [1, 1]\n", ["sweep.toml, [design.grid]", "1 and 2", "equal"]),
    sweep("no rows", SIMULATION + "[design.grid]\nn = []\n", ["sweep.toml, [design.grid]", "parameter n has no values"]),
    sweep("mixed", SIMULATION + "[design.grid]\nn = [1, 'a']\n", ["sweep.toml, [design.grid]", "parameter n mixes"]),
    sweep("type in a list", SIMULATION + "[design.grid]\nn = 1\n[design.types]\nn = ['number']\n", ["[design.types] n is ['number']"]),
    sweep("type", SIMULATION + "[design.grid]\nn = 1\n[design.types]\nn = 'int'\n", ["[design.types] n is 'int'; it has to be number"]),
    sweep("table not there", SIMULATION + "[design.table]\nfile = 'no.csv'\n", ["sweep.toml, [design.table]", "no.csv"]),
    sweep("replications", SIMULATION.replace("2", "0"), ["[run] replications is 0; it has to be a whole number from 1 to 2147483647"]),
    sweep(
        "range",
        SIMULATION + "[design.random]\nsize = 3\nparameters = {n = {low = 1, hgh = 2}}\n",
        ["[design.random.parameters] n: a range is {low = 1, high = 2}"],
    ),
]  # fmt: skip


def typed(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch):
    for name, content in {**FILES, **case.files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SIMFERRY_STORE", str(folder / "store"))
    return CliRunner().invoke(main, case.words)


def check(case: Case, result, lines: int = 2) -> None:
    said = result.stderr
    assert result.exit_code == case.code, said
    assert said.startswith("simferry: ")
    assert len(said.splitlines()) <= lines, said
    assert "Traceback" not in said and "fault of simferry" not in said
    for fragment in case.says:
        assert fragment in said


def parametrized(cases: list[Case]):
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


@parametrized([*TARGETS, *DESIGNS, *OPTIONS, *SWEEPS])
def test_what_is_asked_for(case, tmp_path, monkeypatch):
    if "simulate.R" in case.words:
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    check(case, typed(case, tmp_path, monkeypatch))
    assert not list((tmp_path / "store").glob("*/run.json"))  # said before anything starts


@parametrized([*R_SCRIPTS, *PYTHON_SCRIPTS])
def test_scripts(case, tmp_path, monkeypatch):
    if case.words[1].endswith(".R"):
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    check(case, typed(case, tmp_path, monkeypatch))
    assert not list((tmp_path / "store").glob("*/run.json"))


@parametrized(RETURNS)
def test_results_that_cannot_be_kept(case, tmp_path, monkeypatch):
    if case.words[1].endswith(".R"):
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    result = typed(case, tmp_path, monkeypatch)
    (said,) = [line for line in result.stdout.splitlines() if line.startswith("all have failed, the first with: ")]
    assert result.exit_code == 3 and all(fragment in said for fragment in case.says)


def test_r_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    case = Case(
        "no R", run("simulate.R -p n=1"), ["R is not installed", "no Rscript on the PATH", "cran.r-project.org"], code=1
    )
    check(case, typed(case, tmp_path, monkeypatch))


def test_all_faults_of_a_sweep_file_at_once(tmp_path, monkeypatch):
    text = """
        [simulation]
        scrip = "simulate.py"
        function = 3
        [design.gird]
        n = [1]
        [design.grid]
        m = [{ a = 1 }]
        [run]
        replications = "many"
        seed = 1.5
        common = 3
        on_error = "stp"
        [lcal]
        workers = 2
        [local]
        workrs = 3
    """
    says = [
        "sweep.toml has 10 faults:",
        "line 3: a simulation has no option [simulation] scrip. Did you mean script?",
        "line 4: [simulation] function is 3; it has to be a text",
        "line 5: there is no design [design] gird. Did you mean grid?",
        "[design.grid] m: values are numbers, strings, true and false, lists of those, or a list of such values",
        'line 10: [run] replications is "many"; it has to be a whole number from 1 to 2147483647',
        "line 11: [run] seed is 1.5; it has to be a whole number from 0 to 2147483647",
        "line 12: [run] common is 3; it has to be a text, or several",
        'line 13: [run] on_error is "stp"; it has to be continue or stop. Did you mean stop?',
        "line 14: there is no table [lcal]. Did you mean local?",
        "line 17: the local backend has no option [local] workrs. Did you mean workers?",
    ]
    case = sweep("all", text, says)
    check(case, typed(case, tmp_path, monkeypatch), lines=11)


VERBS = ["status", "watch", "logs", "cancel", "resume", "extend -n 3", "results", "summary", "errors"]
VERBS.append("replay --condition 1 --replication 1")


@pytest.mark.parametrize("verb", VERBS)
def test_run_ids_that_do_not_exist(verb, tmp_path, monkeypatch, hand_made):
    from simferry import grid

    made = hand_made(grid(n=[1]))
    (tmp_path / "store" / "mode-20260101-0000").mkdir()
    name = made.run.id[:-1] + "x"
    case = Case(
        verb,
        f"{verb} {name}",
        [f"there is no run {name} in {tmp_path / 'store'}", f"Did you mean {made.run.id}?"],
        code=1,
    )
    check(case, typed(case, tmp_path, monkeypatch))
    case = Case(verb, f"{verb} mdae", [f"Did you mean {made.run.id}?"], code=1)
    check(case, typed(case, tmp_path, monkeypatch))


@pytest.mark.parametrize("verb", VERBS)
def test_a_run_folder_of_a_newer_version(verb, tmp_path, monkeypatch, hand_made):
    from simferry import grid

    made = hand_made(grid(n=[1]), simferry="9.1.0")
    record = made.run.path / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_bytes()), "format": 99}))
    says = [f"run {made.run.id} was written by a newer simferry (9.1.0", "format 99", "pip install --upgrade simferry"]
    case = Case(verb, f"{verb} {made.run.id}", says, code=1)
    check(case, typed(case, tmp_path, monkeypatch))


def test_damaged_run_json(tmp_path, monkeypatch, hand_made):
    from simferry import grid

    made = hand_made(grid(n=[1]))
    (made.run.path / "run.json").write_text("{")
    case = Case("damaged", f"status {made.run.id}", ["run.json can't be read"], code=1)
    check(case, typed(case, tmp_path, monkeypatch))


def test_no_runs_yet(tmp_path, monkeypatch):
    case = Case("none", "status latest", ["there is no run in", "simferry run --help"], code=1)
    check(case, typed(case, tmp_path, monkeypatch))


@pytest.mark.parametrize(
    "case",
    [
        Case(
            "output", run("simulate.py -p n=1 -o closed/t.csv"), ["closed/t.csv can't be written", "Permission denied"]
        ),
        Case("store", run("simulate.py -p n=1 --store closed"), ["closed", "permission denied", "--store"], code=1),
    ],
    ids=lambda case: case.name,
)
def test_a_place_without_write_permission(case, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    (tmp_path / "simulate.py").write_text(PYTHON)
    # root may write everywhere, unless it gives up that right
    limits = ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override"] if os.geteuid() == 0 else []
    command = [*limits, sys.executable, "-m", "simferry", *case.words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    check(case, SimpleNamespace(stderr=done.stderr, exit_code=done.returncode))
    assert not list((tmp_path / "closed").iterdir())


UNUSUAL = {
    "crlf.R": R.replace("\n", "\r\n"),
    "crlf.py": PYTHON.replace("\n", "\r\n"),
    "bom.py": b"\xef\xbb\xbf" + PYTHON.encode(),
    "söme dir/sim ülate.R": R,
    "söme dir/sim ülate.py": PYTHON,
    "lower.r": R,
    "UPPER.PY": PYTHON,
    "loud.R": "for (i in 1:20000) cat('line', i, '\\n')\n" + R,
    "loud.py": "for i in range(20000): print('line', i)\n" + PYTHON,
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_scripts_that_are_fine(name, tmp_path, monkeypatch):
    if name.lower().endswith(".r"):
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    result = typed(
        Case(name, ["run", name, "-p", "n=10", "-n", "2", "--json"], [], {name: UNUSUAL[name]}), tmp_path, monkeypatch
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["done"] == 2
