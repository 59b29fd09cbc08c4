"""What others wrote does not steer a terminal; files, pipes and JSON keep every byte."""

import json
import os
import pty
import shlex
import subprocess
import sys

import pytest
import simferry as sf
from simferry.errors import StoreError
from simferry.hints import Face
from simferry.store.folder_store import Store
from simferry.system.terminal import visible

EVIL = "\x1b]52;c;aGk=\x07\x1b[2J\x9b1A\u202e\x08oh\x1b[31mno\x1b[0m\t!"
SEEN = "\\x1b]52;c;aGk=\\x07\\x1b[2J\\x9b1A\\u202e\\x08oh\x1b[31mno\x1b[0m\t!"


@pytest.mark.parametrize(
    "text, seen",
    [
        (EVIL, SEEN),
        ("plain åäö 東京 😀\r\n\ttab", "plain åäö 東京 😀\r\n\ttab"),
        ("\x1b[1;38:5:1mcolours\x1b[m", "\x1b[1;38:5:1mcolours\x1b[m"),
        ("\x1b\x1b[31", "\\x1b\\x1b[31"),
        ("\x00\x7f\x0b\x0c\x84\u2067\udcff", "\\x00\\x7f\\x0b\\x0c\\x84\\u2067\\udcff"),
    ],
)
def test_what_steers_is_shown_as_its_number(text, seen):
    assert visible(text) == seen


def on_terminal(*command, folder):
    """Everything that a command writes where both of its outputs are a terminal of 200 columns."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "400", "TERM": "xterm"}
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd=folder, env=environment
    )
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 65536):
            said += part
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    os.close(ours)
    child.wait()
    return said.decode()


@pytest.fixture
def evil(hand_made):
    """A run whose texts come from somebody who would like to steer a terminal."""
    made = hand_made(sf.grid(n=[10]), 3)
    row = {"condition": [1], "replication": [1], "x": [0.5], "said": [EVIL], f"name{EVIL}": [1.5]}
    made.add([(1, 1), (1, 2, False)], [row], [(1, 2, EVIL, EVIL, EVIL)], [(1, 1, EVIL, 1)])
    (made.run.path / "plan" / "0001").mkdir(parents=True)
    plan = {
        "reason": "run",
        "replications": 3,
        "jobs": 1,
        "to_do": 3,
        "created": "2026-01-01T00:00:00+00:00",
        "place": {},
    }
    (made.run.path / "plan" / "0001" / "plan.json").write_text(json.dumps(plan))
    (made.run.jobs / "0001-0001").mkdir()
    (made.run.jobs / "0001-0001" / "log.txt").write_text(f"{EVIL}\n")
    (made.run.jobs / "0001-0001" / "job.json").write_text(json.dumps({"state": f"lost{EVIL}"}))
    (made.store.path / f"strange{EVIL}").mkdir()
    (made.store.path / f"strange{EVIL}" / "run.json").write_text("[]")
    return made


def test_no_surface_passes_on_what_steers(evil):
    """All commands in one process each: their tables, logs, errors and warnings."""
    program = (
        "import sys, simferry.cli as cli\n"
        "for verb in sys.argv[2:]:\n"
        "    try: cli.main([*verb.split(), '--store', sys.argv[1]])\n"
        "    except SystemExit: pass\n"
    )
    verbs = ["list", *(f"{v} {evil.run.id}" for v in ("status", "logs", "logs -f", "results", "errors", "errors --warnings", "summary")),
             "status strange"]  # fmt: skip
    said = on_terminal(sys.executable, "-c", program, str(evil.store.path), *verbs, folder=evil.store.path)
    assert (
        said.count("\\x1b]52;c;aGk=\\x07\\x1b[2J\\x9b1A\\u202e\\x08oh\x1b[31mno") == 7
    )  # logs twice, results twice, errors, warnings, summary
    assert visible(said) == said
    # not on a terminal
    start = [sys.executable, "-c", program, evil.store.path]
    piped = [
        subprocess.run([*start, *v], capture_output=True, check=True).stdout
        for v in (verbs, [f"errors {evil.run.id} --json"])
    ]
    assert piped[0].decode().count("\x1b]52;c;aGk=\x07\x1b[2J\x9b1A\u202e\x08oh\x1b[31mno") >= 6
    assert json.loads(piped[1])[0]["message"] == EVIL


def test_an_error_in_python_is_shown_on_a_terminal(evil):
    program = "import simferry as sf, sys; sf.open(sys.argv[2], sys.argv[1])"
    command = [sys.executable, "-c", program, str(evil.store.path), f"strange{EVIL}"]
    said = on_terminal(*command, folder=evil.store.path)
    assert "StoreError" in said and "\\x1b]52" in said and visible(said) == said
    assert EVIL in StoreError(EVIL).message


@pytest.mark.parametrize("name", ["a+b=c&d", "a b", "$(touch planted)", "it's", "-x;y"])
def test_commands_that_are_printed_can_be_pasted(hand_made, tmp_path, monkeypatch, name):
    run = hand_made(sf.grid(n=[10])).run
    (tmp_path / name).mkdir()
    moved = run.path.rename(tmp_path / name / run.id)
    monkeypatch.chdir(tmp_path)
    command = Store(tmp_path / name).folder(run.id).command("resume").spelled(Face.SHELL)
    assert shlex.split(command) == ["simferry", "resume", str(moved)]
    words = subprocess.run(
        ["sh", "-c", command.replace("simferry", "printf '%s\\n'")], capture_output=True, text=True, check=True
    )
    assert words.stdout.splitlines() == ["resume", str(moved)] and not (tmp_path / "planted").exists()
