"""Script mode: the user's archive, unpacked and run in any image that has Python. The shell starts it, as in a container."""

import io
import os
import shutil
import subprocess
import tarfile

import pytest
from toolkit_files import TOOLKIT, contract

TRAIN = """import json, os, sys, helper
sys.path.insert(0, os.environ["SM_MODEL_DIR"])
with open(os.path.join(os.environ["SM_MODEL_DIR"], "found.json"), "w") as file:
    json.dump([sys.argv[1:], helper.VALUE, os.getcwd(), os.environ["SM_CHANNELS"]], file)
"""


@pytest.fixture
def run(tmp_path):
    """Runs an entry point of an archive with these files: exit code, failure, the folder of the contract."""
    shutil.copytree(TOOLKIT, tmp_path / "in" / "simferry_toolkit")
    shutil.copy(TOOLKIT / "start.sh", tmp_path / "in")
    root = tmp_path / "ml"
    contract(root, {"lr": "0.1"}, ("training", "simferry_driver"))

    def start(entry, path=os.environ["PATH"], **files):
        with tarfile.open(tmp_path / "code.tar.gz", "w:gz") as out:
            for name, text in files.items():
                member = tarfile.TarInfo(name.replace("__", "."))
                member.size = len(text)
                out.addfile(member, io.BytesIO(text.encode()))
        known = {"SAGEMAKER_BASE_DIR": str(root), "PATH": path, "PIP_NO_INDEX": "1"}
        command = [shutil.which("sh"), str(tmp_path / "in" / "start.sh"), str(tmp_path / "code.tar.gz"), entry]
        done = subprocess.run(command, env=known, capture_output=True, text=True, timeout=120)
        failure = root / "output" / "failure"
        return done.returncode, failure.read_text() if failure.exists() else done.stderr, root

    return start


def test_a_script_finds_what_is_beside_it_and_new_code_replaces_old(run, tmp_path):
    (tmp_path / "ml" / "code").mkdir()
    (tmp_path / "ml" / "code" / "helper.py").write_text("VALUE = 'of the image'")
    code, failure, root = run("train.py", train__py=TRAIN, helper__py="VALUE = 7")
    assert (code, failure) == (0, "")
    assert (
        root / "model" / "found.json"
    ).read_text() == f'[["--lr", "0.1"], 7, "{root}/code", "[\\"training\\"]"]'  # without simferry's own channel


def test_a_shell_script_is_an_entry_point_and_its_failure_is_told(run):
    code, failure, _ = run("main.sh", main__sh='test "$1 $2" = "--lr 0.1" && echo oops >&2 && exit 3')
    assert (code, failure) == (3, "main.sh ended with exit code 3: oops")


def test_what_can_not_be_installed_or_is_not_there_is_a_failure(run, tmp_path):
    code, failure, _ = run("other.py", train__py="")
    assert code == 1 and "other.py" in failure
    code, failure, _ = run("train.py", train__py=TRAIN, requirements__txt="no-such-package-of-simferrys")
    assert code == 1 and "pip install -r requirements.txt ended with exit code 1" in failure
    (tmp_path / "bin").mkdir()
    for name in ("dirname", "mkdir"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    code, failure, _ = run("train.py", str(tmp_path / "bin"), train__py=TRAIN)
    assert code == 1 and "the image has no Python 3" in failure
