"""Functions and scripts as training jobs: exit codes, the failure file, results. The toolkit is copied, as an image does it."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys

import pytest
from common import require
from toolkit_files import TOOLKIT, contract

FUNCTION = "from simferry_toolkit import train\ndef fit({arguments}):\n    {body}\ntrain(fit)\n"


class Job:
    """A container's folder, and the toolkit beside the program, without simferry."""

    def __init__(self, folder):
        self.folder, self.root = folder, folder / "ml"
        shutil.copytree(TOOLKIT, folder / "simferry_toolkit", ignore=shutil.ignore_patterns("__pycache__"))

    def begin(self, command, **hyperparameters):
        contract(self.root, hyperparameters)
        known = {"SAGEMAKER_BASE_DIR": str(self.root), "PATH": os.environ["PATH"], "PYTHONPATH": str(self.folder)}
        return subprocess.Popen(
            command, cwd=self.folder, env=known, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def call(self, body, arguments="", **hyperparameters):
        (self.folder / "own.py").write_text(FUNCTION.format(arguments=arguments, body=body))
        child = self.begin([sys.executable, "own.py"], **hyperparameters)
        self.printed = child.communicate(timeout=60)
        return child.returncode

    def script(self, name, text, **hyperparameters):
        (self.folder / name).write_text(text)
        child = self.begin([sys.executable, "-m", "simferry_toolkit", name, "train"], **hyperparameters)
        self.printed = child.communicate(timeout=60)
        return child.returncode

    @property
    def failure(self):
        return (self.root / "output" / "failure").read_text()


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path)


def test_a_function_gets_typed_hyperparameters_and_its_result_is_kept(job):
    body = "return {'double': 2 * x, 'n': n, 'nan': float('nan'), 'label': label}"
    assert job.call(body, "n, x, label='a'", n="3", x="0.1") == 0
    found = json.loads((job.root / "output" / "data" / "result.json").read_text())
    assert found == {"double": 0.2, "n": 3, "nan": "NaN", "label": "a"}
    assert not (job.root / "output" / "failure").exists()


def test_a_function_that_raises_fails_with_its_words(job):
    assert job.call("raise ValueError('no convergence')") == 1
    assert job.failure.startswith("ValueError: no convergence\n")
    assert "in fit" in job.failure
    assert "Traceback" in job.printed[1]


@pytest.mark.parametrize(("status", "code"), [("7", 7), ("256", 1), ("'bad data'", 1), ("0", 0), ("", 0)])
def test_the_exit_code_of_a_function_is_the_jobs_and_no_failure_becomes_zero(job, status, code):
    assert job.call(f"import sys; sys.exit({status})") == code
    assert (job.root / "output" / "failure").exists() == (code != 0)


def test_hyperparameters_that_do_not_fit_the_function_are_named(job):
    assert job.call("pass", "gain", gian="1") == 1
    assert "takes no hyperparameter 'gian'; it takes gain" in job.failure


def test_a_script_gets_arguments_variables_and_its_own_exit_code(job):
    text = "import os, sys\nprint(sys.argv[1:], os.environ['SM_HP_RATE'])\nsys.exit('no memory for 3 trees')\n"
    assert job.script("fit.py", text, rate="0.1", flag="true") == 1
    assert job.printed[0] == "['--flag', 'True', '--rate', '0.1'] 0.1\n"
    assert job.failure == "fit.py ended with exit code 1: no memory for 3 trees"
    assert "no memory" in job.printed[1]


def test_a_shell_script_runs_and_a_killed_one_fails(job):
    text = 'echo "$SM_CURRENT_HOST" > "$SM_MODEL_DIR/host"; kill -KILL $$'
    assert job.script("fit.sh", text) == 128 + signal.SIGKILL
    assert (job.root / "model" / "host").read_text() == "algo-1\n"
    assert job.failure == "fit.sh ended with signal 9"


def test_a_script_of_octave_gets_its_arguments_and_fails_with_its_words(job):
    require("octave", shutil.which("octave-cli") is not None, "Octave is not installed")
    assert job.script("fit.m", "printf('%s ', argv(){:}); error('no data');", gain="2") == 1
    assert job.printed[0] == "--gain 2 "
    assert job.failure.startswith("fit.m ended with exit code 1: error: no data")


def test_a_folder_in_the_failure_files_place_becomes_the_file(job):
    (job.root / "output" / "failure").mkdir(parents=True)
    assert job.call("raise OSError('gone')") == 1
    assert job.failure.startswith("OSError: gone")


@pytest.mark.parametrize(
    ("text", "code", "failure"),
    [
        ("echo 'no data' > failure", 1, "no data"),
        ("echo 'no data' > failure; exit 4", 4, "no data"),
        ("touch failure", 1, "the program wrote {output}/failure, and nothing in it"),
        (
            "mkdir failure; echo why > failure/a.txt; echo else > failure/b",
            1,
            "why\n\nelse",
        ),  # as programs of MATLAB do
        ("echo why > failure.txt", 1, "why"),
        ("mkdir failure", 0, None),
    ],
)
def test_a_program_that_writes_a_failure_has_failed_whatever_its_exit_code(job, text, code, failure):
    assert job.script("fit.sh", f'cd "$SM_OUTPUT_DIR"; {text}') == code
    if failure is None:
        assert not (job.root / "output" / "failure").exists()
    else:
        assert job.failure == failure.format(output=job.root / "output")


@pytest.mark.parametrize(("printed", "code"), [("Error using fit (line 3)", 1), ("no Error using it", 0)])
def test_errors_on_standard_error_are_failures_where_the_program_is_known_for_it(job, printed, code):
    (job.folder / "fit.sh").write_text(f'echo "$@"; echo "{printed}" >&2; echo "no licence" >&2')
    text = "from simferry_toolkit import train\ntrain('fit.sh', arguments=['a b'], errors='Error (using|in) ')\n"
    (job.folder / "own.py").write_text(text)
    child = job.begin([sys.executable, "own.py"], rate="0.1")
    assert child.communicate(timeout=60)[0] == "a b\n"
    assert child.returncode == code
    if code:
        assert job.failure == f"fit.sh printed an error, and ended with exit code 0: {printed}\nno licence"


@pytest.mark.parametrize("kind", ["function", "script"])
def test_a_stop_reaches_the_program_which_may_save_what_it_has(job, kind):
    if kind == "function":
        body = "print('begun', flush=True); time.sleep(60)"
        wait = f"import time\n    try: {body}\n    finally: open('saved', 'w').close()"
        (job.folder / "own.py").write_text(FUNCTION.format(arguments="", body=wait))
        child = job.begin([sys.executable, "own.py"])
    else:
        (job.folder / "own.sh").write_text("trap 'touch saved; exit 9' TERM; echo begun; while :; do sleep 0.05; done")
        child = job.begin([sys.executable, "-m", "simferry_toolkit", "own.sh", "train"])
    assert child.stdout.readline() == "begun\n"
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=30)
    assert child.returncode == (143 if kind == "function" else 9)
    assert (job.folder / "saved").exists()


def test_numbers_of_numpy_are_kept_with_all_digits():
    numpy = pytest.importorskip("numpy")
    from simferry.toolkit.program import plain

    made = plain([{"x": numpy.float64(0.1) * 3, "y": numpy.arange(2), "z": -math.inf}])
    assert json.loads(json.dumps(made)) == [{"x": 0.1 * 3, "y": [0, 1], "z": "-Inf"}]


def test_the_command_says_what_it_takes(job):
    child = job.begin([sys.executable, "-m", "simferry_toolkit", "fit.py", "go"])
    assert "'go' is no command of this image: it has train and serve" in child.communicate(timeout=60)[1]
    assert child.returncode == 1
