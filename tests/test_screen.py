"""What the terminal shows."""

import re
import sys

import pandas as pd
from simferry import screen
from simferry.driver.progress import Progress


def test_without_a_terminal_there_is_no_bar(capsys):
    with screen.progress_bar(show=True) as update:
        update(Progress(10, 5, 0, "running", {}))
    assert capsys.readouterr() == ("", "")


def test_a_dumb_terminal_gets_lines_without_control_characters(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(screen.time, "monotonic", iter(range(0, 1000, 11)).__next__)
    with screen.progress_bar(show=True) as update:
        update(Progress(10, 5, 0, "running", {}))
    with screen.last_line(show=True) as step:
        step("pushing")
    assert capsys.readouterr().err == "5 of 10 replications, 0 failed\n  pushing\n"


FRAME = pd.DataFrame(
    {
        "condition": [1, 2],
        "x_length": [1000.0, 1000.0],
        "method": ["bootstrap", "a\nb"],
        "failed": [0, 1],
        "output": ["a_long_name_of_an_output"] * 2,
        "mean": [0.123456789, float("nan")],
        "mcse": [0.01, None],
    }
)


def shown(frame, capsys, monkeypatch, width=None):
    if width:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("COLUMNS", str(width))
    screen.show_table(frame)
    return capsys.readouterr().out


def test_tables_without_a_terminal_are_never_folded(capsys, monkeypatch):
    assert shown(FRAME, capsys, monkeypatch).splitlines() == [
        "condition  x_length  method     failed  output                        mean  mcse",
        "        1      1000  bootstrap       0  a_long_name_of_an_output  0.123457  0.01",
        "        2      1000  a b             1  a_long_name_of_an_output       NaN   NaN",
    ]


def test_a_narrow_terminal_names_constant_columns_once(capsys, monkeypatch):
    lines = shown(FRAME, capsys, monkeypatch, 60).splitlines()
    assert lines[0] == "in all rows: x_length 1000, output a_long_name_of_an_output"
    assert lines[3] == "        1  bootstrap       0  0.123457  0.01"


def test_a_narrower_one_goes_on_below(capsys, monkeypatch):
    text = re.sub("\x1b[^m]*m", "", shown(FRAME, capsys, monkeypatch, 32))
    assert max(map(len, text.splitlines())) <= 32
    assert text.count("condition") == 2 and text.count("mcse") == 1


def test_a_terminal_shows_the_first_rows_and_a_pipe_all(capsys, monkeypatch):
    frame = pd.DataFrame({"n": range(100)})
    assert len(shown(frame, capsys, monkeypatch).splitlines()) == 101
    assert shown(frame, capsys, monkeypatch, 80).endswith("... and 60 more rows (-o FILE writes them all)\n")


def test_a_terminal_shows_what_fits_of_very_many_columns(capsys, monkeypatch):
    frame = pd.DataFrame({"condition": [1, 2], **{f"out_{i}": [0.5 + i, 0.25] for i in range(20_000)}})
    lines = shown(frame, capsys, monkeypatch, 80).splitlines()
    assert max(len(re.sub("\x1b[^m]*m", "", line)) for line in lines) <= 80
    count = int(re.search(r"and ([\d,]+) more columns: out_\d+, …, out_19999", lines[-1])[1].replace(",", ""))
    last = re.findall(r"out_\d+", lines[-4])[-1]  # the names of the last part that is shown
    assert count == 20_000 - 1 - int(last.removeprefix("out_"))


def test_long_texts_are_clipped_on_a_terminal_only(capsys, monkeypatch):
    frame = pd.DataFrame({"condition": [1], "message": ["x" * 500]})
    assert "x" * 500 in shown(frame, capsys, monkeypatch)
    assert "x" * 39 + "…" in shown(frame, capsys, monkeypatch, 80)


def test_wide_characters_keep_columns_aligned(capsys, monkeypatch):
    lines = shown(pd.DataFrame({"m": ["中文", "ab"], "n": [1, 2]}), capsys, monkeypatch).splitlines()
    assert lines == ["m     n", "中文  1", "ab    2"]


def test_a_text_that_is_not_there_is_empty_and_no_number(capsys, monkeypatch):
    frame = pd.DataFrame({"n": [1, 2], "output": pd.array(["a", None], dtype="str"), "mean": [0.5, float("nan")]})
    assert shown(frame, capsys, monkeypatch).splitlines() == ["n  output  mean", "1  a        0.5", "2           NaN"]
