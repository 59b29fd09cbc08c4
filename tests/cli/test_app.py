"""Help, pipes and faults: what all commands have in common."""

import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from command_line import ended, said, started
from simferry import __version__
from simferry.cli import main


def test_help_of_every_command_has_an_example():
    listed = re.findall(r"^  (\w+) ", said("--help").partition("Commands:")[2], re.MULTILINE)
    verbs = ["run", "plan", "status", "watch", "logs", "cancel", "resume", "extend", "results", "summary"]
    verbs += ["errors", "replay", "list", "doctor", "note", "artifacts", "diff", "delete"]
    assert set(verbs) <= set(listed)
    for verb in verbs:
        text = said(verb, "--help")
        assert f"Example:\n    simferry {verb}" in text.replace("\n  Example", "\nExample"), verb
        assert "--json" in text, verb
    for group in ((), ("image",)):
        assert "..." not in said(*group, "--help").partition("Commands:")[2]  # no first line is cut
        assert said(*group) == said(*group, "--help")
    assert said("--version") == f"simferry {__version__}\n"


def test_pipes_get_text_without_colours(folder):
    said("run", "sweep.toml", code=3)
    for words in (["summary", "latest"], ["list"], ["doctor"], ["status", "none"]):
        code, out, err = ended(started(*words))
        assert "\x1b" not in out + err
        assert code in (0, 1)


@pytest.mark.parametrize("words", [["results", "latest"], ["results", "latest", "--json"], ["list"]])
def test_a_reader_that_has_seen_enough(words, folder):
    said("run", "sweep.toml", code=3)
    process = started(*words)
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr.read() == ""


@pytest.mark.skipif(os.environ.get("SIMFERRY_DEBUG") is not None, reason="SIMFERRY_DEBUG shows the traceback")
def test_a_fault_of_our_own_is_one_line_and_a_place(folder, monkeypatch):
    from simferry.verbs import runs

    def broken(*_):
        raise KeyError("oops")

    monkeypatch.setattr(runs, "open", broken)
    result = CliRunner().invoke(main, ["status", "latest"])
    assert result.exit_code == 1
    assert re.match(r"simferry: a fault of simferry's own: KeyError: 'oops' \(test_app.py:\d+\)\n", result.stderr)


def test_python_without_docstrings_has_the_command():
    command = [sys.executable, "-OO", "-m", "simferry", "run", "--help"]
    assert "--workers" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("run s.py n=10 m=a", "Parameters are given with -p n=10"),
        ("list more", "simferry list --help"),
        ("infra show more", "simferry infra show --help"),
        ("image prune --zzz x", "simferry image prune --help  lists them."),
        ("infra rstudio conquer", "simferry infra rstudio --help  lists them."),
    ],
)
def test_words_that_mean_nothing_are_told_where_the_right_ones_are(words, hint):
    result = CliRunner().invoke(main, words.split())
    assert result.exit_code == 2 and result.stderr.splitlines()[-1] == hint


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_run_needs_no_open_streams(tmp_path, closed):
    (tmp_path / "simulate.py").write_text("def simulate(): return 1\n")
    command = [sys.executable, "-m", "simferry", "run", "simulate.py", "-n", "2", "--store", "runs", "-o", "out.csv"]
    done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command], cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == ["1,1,1", "1,2,1"]
