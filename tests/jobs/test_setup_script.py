"""The script that containers run before the worker: what it may be, and how worker/start.sh runs it."""

import os
import shutil
import signal
import subprocess

import pytest
from simferry.errors import SimulationError
from simferry.jobs import setup_script
from sweeps import wait_until

SHELLS = [shell for shell in (["dash"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]
RECORDS = ["sh", "-c", 'echo "worker: $1 in $(basename "$PWD") finds ${PATH%%:*}"', "sh", "run"]


class Container:
    """A folder like that of a job, in which start.sh runs as in a container."""

    def __init__(self, root, content):
        self.root, self.code = root, root / "input" / "code"
        (self.code / "study").mkdir(parents=True)
        (root / "script").write_bytes(content)
        for name, one in setup_script.files_of(setup_script.content_of(root / "script")).items():
            (self.code / name).parent.mkdir(exist_ok=True)
            (self.code / name).write_bytes(one if isinstance(one, bytes) else one.read_bytes())
        (root / "tmp").mkdir()

    def command(self, shell):
        made = setup_script.command_after({"before": "setup.sh", "folder": "study"}, str(self.code), RECORDS)
        return [*shell, *made[1:]]

    def start(self, shell=("sh",), **environment):
        given = {**os.environ, "HOME": str(self.root), "TMPDIR": str(self.root / "tmp"), **environment}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command(shell), cwd=self.root, env=given, stdout=pipe, stderr=pipe, text=True, errors="replace"
        )

    def run(self, shell=("sh",), **environment):
        job = self.start(shell, **environment)
        out, err = job.communicate(timeout=30)
        return job.returncode, out.splitlines(), err

    @property
    def message(self):
        return (self.root / "message").read_text() if (self.root / "message").exists() else ""


def test_a_shell_is_here_of_each_kind():
    assert SHELLS


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_it_runs_in_the_scripts_folder_and_then_the_worker_as_without_it(tmp_path, shell):
    content = b"echo one >made; echo $DEBIAN_FRONTEND; echo two >&2\nread -r line || echo no input\nexport LOST=1\n"
    job = Container(tmp_path, content.replace(b"\n", b"\r\n"))
    status, out, err = job.run(shell)
    assert (status, err, job.message) == (0, "", "")
    assert out[:4] == ["simferry: the setup script begins", "noninteractive", "two", "no input"]
    assert out[4].startswith("simferry: the setup script took ")
    assert out[5:] == [f"worker: run in {tmp_path.name} finds {tmp_path}/.local/bin"]
    assert (job.code / "study" / "made").read_text() == "one\n"
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize(
    ("content", "status", "last"),
    [
        (b"echo first\nfalse\necho never\n", 1, ["first"]),
        (b"#!/bin/sh\nfalse\necho goes on\nexit 7", 7, ["goes on"]),
        (b"#! /usr/bin/env python3\nimport sys\nprint('\xc5\x82', flush=True); sys.exit('no \xc5\xbc')\n", 1, ["ł", "no ż"]),
        (b"#!/bin/sh\nprintf 'a\\rb\\377c\\033\\n'; kill -9 $$\n", 137, ["a", "bc"]),
        (b"#!/bin/sh\nseq 1000\nexit 1\n", 1, [str(i) for i in range(991, 1001)]),
    ],
)  # fmt: skip
def test_the_end_of_one_that_fails_is_the_jobs_message(tmp_path, shell, content, status, last):
    job = Container(tmp_path, content)
    code, out, _ = job.run(shell)
    assert code == 1 and out[-1] == f"simferry: the setup script failed with exit code {status}"
    first, *lines = job.message.splitlines()
    assert first.startswith(f"before: {status} ") and lines == last
    assert setup_script.has_failed(job.message)
    error = setup_script.failure("setup.sh", job.message)
    assert f"{error.message}".splitlines() == [
        f"setup.sh failed with exit code {status}, before the simulation:", *(f"  {line}" for line in last)
    ]  # fmt: skip


def test_a_long_line_leaves_a_message_that_a_service_takes(tmp_path):
    job = Container(tmp_path, b"printf '%0999dz\\n' 1; echo \xc5\x82\xc5\x82; exit 1")
    job.run()
    assert 900 < len(job.message.encode()) <= 1024 and job.message.endswith("z\nłł\n")


def test_a_program_that_cannot_be_found(tmp_path):
    job = Container(tmp_path, b"#!/no/such/shell\necho")
    assert job.run()[0] == 1 and job.message.startswith("before: 127 ") and "/no/such/shell" in job.message


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_a_server_that_it_leaves_running_holds_nothing_up(tmp_path, shell):
    job = Container(tmp_path, b"sleep 300 & echo $! >pid; echo ready\n")
    process = job.start(shell)
    lines = [process.stdout.readline() for _ in range(4)]
    assert lines[1] == "ready\n" and lines[3].startswith("worker: run")
    os.kill(int((job.code / "study" / "pid").read_text()), signal.SIGKILL)  # it lived
    process.communicate(timeout=10)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_a_job_that_is_stopped_ends_at_once(tmp_path, shell):
    job = Container(tmp_path, b"echo $$ >pid; exec sleep 300\n")
    process = job.start(shell)
    wait_until(lambda: (job.code / "study" / "pid").exists() and (job.code / "study" / "pid").read_text())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 143 and job.message == ""
    os.kill(int((job.code / "study" / "pid").read_text()), signal.SIGKILL)


def test_what_is_no_script(tmp_path):
    for name, content, says in [
        ("empty.sh", b"\xef\xbb\xbf \r\n", "is empty"),
        ("utf16.sh", "echo".encode("utf-16"), "is not a text file: it holds null bytes"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SimulationError, match=rf"before: .*{name} {says}"):
            setup_script.content_of(tmp_path / name)
    with pytest.raises(SimulationError, match="is a folder, not a script"):
        setup_script.content_of(tmp_path)
    with pytest.raises(SimulationError, match="can't be read: No such file"):
        setup_script.content_of(tmp_path / "gone.sh")
    (tmp_path / "windows.sh").write_bytes(b"\xef\xbb\xbf#!/bin/sh\r\necho \xe9\r\n")
    assert setup_script.content_of(tmp_path / "windows.sh") == b"#!/bin/sh\necho \xe9\n"


def test_requirements_are_installed_by_pip(tmp_path):
    (tmp_path / "requirements-dev.txt").write_bytes(b"no-such-package-of-simferrys==1.26\r\n")
    content = setup_script.content_of(tmp_path / "requirements-dev.txt")
    job = Container(tmp_path / "job", content)
    status, _, _ = job.run(PIP_NO_INDEX="1")
    assert status == 1 and "no-such-package-of-simferrys==1.26" in job.message


def test_what_a_failure_says():
    refused = (
        "before: 100 simulation\nE: Unable to lock, are you root?\n/x/simferry_worker/before: line 2: foo: not found\n"
    )
    error = setup_script.failure("setup.sh", refused)
    assert "setup.sh: line 2: foo: not found" in error.message and "It ran as simulation, the image's user" in str(
        error
    )
    assert "image's user" not in str(setup_script.failure("setup.sh", refused.replace("simulation", "root", 1)))
    assert "logs latest" in str(setup_script.failure("setup.sh", "before: 1 me\n", "logs latest"))


def test_with_network_isolation_a_note_says_that_it_downloads_nothing():
    assert setup_script.note({"before": "setup.sh"}, isolated=True).startswith("setup.sh can't download anything")
    assert setup_script.note({"before": "setup.sh"}, isolated=False) == setup_script.note({}, isolated=True) == ""
