"""What commands print: JSON, and tables with nothing in them."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from command_line import said
from simferry.cli import main
from simferry.cli.output import write_results
from simferry.errors import StoreError


def test_every_verb_speaks_json(folder):
    made = json.loads(said("run", "sweep.toml", "--json", code=3))
    assert (made["state"], made["total"], made["done"], made["seed"]) == ("complete", 80, 80, 1)
    for verb, code in (("status", 0), ("watch", 3), ("resume", 3), ("cancel", 0)):
        assert json.loads(said(verb, "latest", "--json", code=code))["run"] == made["run"]
    assert json.loads(said("extend", "latest", "-n", "21", "--json", code=3))["total"] == 84
    assert json.loads(said("logs", "latest", "--json")) == {"0001-0001": "", "0002-0001": ""}
    rows = json.loads(said("results", "latest", "--json"))
    assert rows[0] == {"condition": 1, "replication": 1, "n": 0, "method": "mean", "value": "NaN"}
    assert [row["missing"] for row in json.loads(said("summary", "latest", "--json"))] == [21, 21, 0, 0]
    assert json.loads(said("errors", "latest", "--json"))[0]["message"] == "ValueError: no luck\nthis time"
    assert json.loads(said("errors", "latest", "--warnings", "--json"))[0]["count"] == 1
    assert json.loads(said("summary", "latest", "-o", "s.csv", "--json"))["rows"] == 4
    replayed = json.loads(said("replay", "latest", "--condition", "3", "--replication", "1", "--json"))
    assert float(replayed["value"].split("(")[-1].strip(")")) == next(r["value"] for r in rows if r["condition"] == 3)
    assert json.loads(said("list", "--json"))[0]["run"] == made["run"]
    assert {f["what"] for f in json.loads(said("doctor", "--json"))} >= {
        "simferry",
        "Python",
        "cores",
        "store",
        "Docker",
        "AWS",
    }
    forecast = json.loads(said("plan", "simulate.py", "-p", "n=Inf,1", "-n", "3", "--no-pilot", "--json"))
    assert forecast["total"] == 6


def test_a_script_that_returns_nothing(folder):
    (folder / "prints.py").write_text("import sys\nprint('hello', *sys.argv[1:])\n")
    said("run", "prints.py", "--args", "{n}", "-p", "n=7", "-n", "1")
    assert said("logs", "latest") == "hello 7\n"
    result = CliRunner().invoke(main, ["results", "latest"])
    assert "no rows: files of replications are in" in result.stderr and "simferry logs" in result.stderr


def test_lists_are_json_in_csv(folder):
    code = "def simulate(n):\n    return {'est': n, 'ci': [0.1, float('nan'), None, n] if n == 1 else None, 's': ['a', 'b, c']}\n"
    (folder / "lists.py").write_text(code)
    said("run", "lists.py", "-p", "n=1,2", "-n", "1")
    said("results", "latest", "-o", "out.csv")
    with (folder / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ci"] for row in rows] == ['[0.1, "NaN", null, 1.0]', ""] and json.loads(rows[0]["s"]) == ["a", "b, c"]
    rows = json.loads(said("results", "latest", "--json"))
    assert rows[0]["ci"] == [0.1, "NaN", None, 1.0] and rows[1]["ci"] is None
    assert "[0.1, NaN, NaN, 1]" in said("results", "latest")


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_a_table_that_cannot_be_written_leaves_the_file_that_was_there(tmp_path, name):
    rows = pa.table({"x": [1.5, 2.5]})

    class Unfinished:
        schema = rows.schema

        def pieces(self):
            yield rows
            raise OSError(28, "No space left on device")

        def write(self, path):
            pq.write_table(rows, path)
            raise OSError(28, "No space left on device")

    path = tmp_path / name
    path.write_bytes(b"first")
    with pytest.raises(StoreError, match="no room left on its disk"):
        write_results(Unfinished(), str(path))
    assert path.read_bytes() == b"first" and [*tmp_path.iterdir()] == [path]
