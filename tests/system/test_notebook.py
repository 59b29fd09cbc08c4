"""Notebooks, in a real kernel of Jupyter."""

import importlib.util
import re

import pytest
import simferry as sf
from common import require
from simferry.sweep.design import Design
from simferry.system.notebook import facts, in_notebook
from simferry.verbs import run as verbs_run
from sweeps import write

CELL = """
import simferry as sf
run = sf.run("simulate.py", sf.grid(n=[1, 2]), replications=20, seed=1, store="runs")
run
"""


@pytest.fixture
def cell(tmp_path):
    """Runs a cell; gives its messages that show something, by their kind."""
    require(
        "python", importlib.util.find_spec("ipykernel") is not None, "ipykernel is not installed: pip install ipykernel"
    )
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))

    def run(code):
        said = []
        reply = client.execute_interactive(code, timeout=120, output_hook=said.append)
        assert reply["content"]["status"] == "ok", reply["content"]
        return [(one["msg_type"], one["content"]) for one in said]

    try:
        yield run
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_a_cell_shows_progress_the_run_and_what_was_taken_over(tmp_path, cell):
    write(tmp_path, "simulate.py", "def simulate(n, rng):\n    return n + rng.random()\n")
    first = cell(CELL)
    displays = [content for kind, content in first if kind in ("display_data", "update_display_data")]
    assert len({one["transient"]["display_id"] for one in displays}) == 1  # it is updated in place
    assert displays[-1]["data"]["text/plain"].startswith("40 of 40 replications, 0 failed")
    assert '<progress value="40" max="40"' in displays[-1]["data"]["text/html"]
    (result,) = [content["data"] for kind, content in first if kind == "execute_result"]
    assert result["text/plain"].startswith("<Run ") and "40 of 40 done, 0 failed" in result["text/html"]
    again = "".join(content["text"] for kind, content in cell(CELL) if kind == "stream")
    assert (
        again == "40 of 40 replications were computed by earlier runs and are taken over (fresh=True computes anew)\n"
    )


def test_what_a_notebook_shows_of_each_value(tmp_path):
    assert not in_notebook()
    design = sf.grid(n=list(range(12)), method=["<b>"])
    assert isinstance(design, Design)
    html = design._repr_html_()
    assert "Design of 12 conditions" in html and "&lt;b&gt;" in html and "<b>1" not in html and "2 more" in html
    write(tmp_path, "simulate.py", "def simulate(n, rng):\n    return rng.random()\n")
    forecast = sf.plan(tmp_path / "simulate.py", {"n": [1]}, replications=5, store=tmp_path / "runs")
    assert re.search("1 condition x 5 replications = 5.*a replication takes.*s on average", forecast._repr_html_())
    run = sf.run(tmp_path / "simulate.py", {"n": [1]}, replications=5, store=tmp_path / "runs")
    assert "5 of 5 replications done" in run.status()._repr_html_() and "complete" in run.status()._repr_html_()
    assert facts("<a>", {"b": "<c>", "d": None, "e": 1200}).count("&lt;") == 2


def test_what_was_taken_over_is_counted_also_where_conditions_have_numbers_of_their_own(tmp_path, monkeypatch, capsys):
    write(tmp_path, "simulate.py", "def simulate(n, rng):\n    return rng.random()\n")
    monkeypatch.setattr(verbs_run, "in_notebook", lambda: True)
    for counts in ([2, 1], [1]):
        design = sf.grid(n=list(range(len(counts))))
        for _ in range(2):
            sf.run(tmp_path / "simulate.py", design, replications=counts, seed=1, store=tmp_path / str(counts))
    assert [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines() if "earlier" in line] == [
        "3 of 3 replications were computed by earlier runs and are taken over",
        "1 of 1 replication was computed by earlier runs and is taken over",
    ]
