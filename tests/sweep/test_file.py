"""Sweep files. Faults in them are among the cases of test_bad_input.py."""

from pathlib import Path

import pytest
from simferry.errors import SweepFileError
from simferry.sweep.file import arguments

SIMULATION = '[simulation]\nscript = "code/simulate.R"\n'


def swept(folder: Path, text: str) -> dict:
    path = folder / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return arguments(path)


def test_a_whole_sweep(tmp_path):
    out = swept(
        tmp_path,
        """
        [simulation]
        script = "code/simulate.R"
        args = "--args {n}"
        include = ["helpers.R"]
        project = true
        results_file = "result.csv"
        [design.grid]
        n = [10, 20]
        effect = 0.5
        [design.types]
        n = "integer"
        [run]
        replications = 100
        seed = 2026
        common = ["effect"]
        store = "runs"
        on_error = "stop"
        replication_timeout = 60
        retries = 0
        cores = 1
        keep_files = true
        fresh = true
        [local]
        workers = 2
        """,
    )
    design = out.pop("design")
    assert design.types == {"n": "integer", "effect": "number"}
    assert [design.condition(row) for row in range(2)] == [{"n": 10, "effect": 0.5}, {"n": 20, "effect": 0.5}]
    assert out == {
        "inputs": {},
        "simulation": tmp_path / "code" / "simulate.R",  # paths are relative to the sweep file
        "store": tmp_path / "runs",
        "function": "simulate",
        "args": "--args {n}",
        "include": ["helpers.R"],
        "project": True,
        "large_project": False,
        "replications_as": "",
        "seed_as": "",
        "results_file": "result.csv",
        "replications": 100,
        "seed": 2026,
        "common": ["effect"],
        "backend": "local",
        "on_error": "stop",
        "replication_timeout": 60,
        "retries": 0,
        "cores": 1,
        "many_jobs": False,
        "keep_files": True,
        "fresh": True,
        "workers": 2,
    }


@pytest.mark.parametrize(
    ("table", "conditions"),
    [
        ("", [{}]),
        ("[design.grid]\nn = [1, 2]\nm = [3, 4]", [{"n": a, "m": b} for a in (1, 2) for b in (3, 4)]),
        ("[design.zipped]\nn = [1, 2]\nm = [3, 4]", [{"n": 1, "m": 3}, {"n": 2, "m": 4}]),
        ('[design.table]\nfile = "t.csv"', [{"n": 1, "m": "x"}, {"n": 2, "m": "y"}]),
        ("[design.grid]\nb = [[1, 2], [3.5]]", [{"b": [1, 2]}, {"b": [3.5]}]),
        ('[design.table]\nfile = "l.csv"\n[design.types]\nb = "number list"', [{"b": [1, 2]}, {"b": []}, {"b": None}]),
        ("[design.grid]\nn = [1, inf]\nm = true", [{"n": 1, "m": True}, {"n": float("inf"), "m": True}]),
    ],
)
def test_designs(table, conditions, tmp_path):
    (tmp_path / "t.csv").write_text("n,m\n1,x\n2,y\n")
    (tmp_path / "l.csv").write_text('b\n"[1, 2]"\n[]\nNA\n')
    design = swept(tmp_path, f"{SIMULATION}{table}\n")["design"]
    assert [design.condition(row) for row in range(len(design))] == conditions


@pytest.mark.parametrize("kind", ["random", "latin_hypercube", "sobol"])
def test_designs_that_are_drawn(kind, tmp_path):
    text = f"{SIMULATION}[design.{kind}]\nsize = 8\nseed = 3\n[design.{kind}.parameters]\n"
    design = swept(tmp_path, text + 'n = {low = 10, high = 5000}\neffect = {low = 0.0, high = 1.0}\nm = ["a", "b"]\n')[
        "design"
    ]
    frame = design.to_pandas()
    assert len(frame) == 8
    assert frame["n"].between(10, 5000).all() and (frame["n"] % 1 == 0).all()
    assert frame["effect"].between(0, 1).all() and frame["effect"].nunique() == 8
    assert set(frame["m"]) <= {"a", "b"}


def test_programs_are_found_beside_the_file_or_on_the_path(tmp_path):
    (tmp_path / "draw").touch()
    assert swept(tmp_path, '[simulation]\nprogram = "draw"\n')["simulation"] == tmp_path / "draw"
    assert swept(tmp_path, '[simulation]\nprogram = "octave"\n')["simulation"] == "octave"


@pytest.mark.parametrize("key", ["script", "program"])
def test_an_image_has_no_path(key, tmp_path):
    assert swept(tmp_path, f'[simulation]\n{key} = "image:some/program:1"')["simulation"] == "image:some/program:1"


def test_home_folders_and_addresses(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    out = swept(tmp_path, '[simulation]\nscript = "~/s.R"\n[run]\nstore = "~/runs"\n')
    assert (out["simulation"], out["store"]) == (tmp_path / "home" / "s.R", tmp_path / "home" / "runs")
    assert swept(tmp_path, SIMULATION + '[run]\nstore = "s3://bucket/runs"\n')["store"] == "s3://bucket/runs"


def test_windows_line_endings_and_a_byte_order_mark(tmp_path):
    out = swept(tmp_path, "\ufeff" + (SIMULATION + "[design.grid]\nn = 3\n").replace("\n", "\r\n"))
    assert out["design"].condition(0) == {"n": 3}


def test_every_known_key_is_offered(tmp_path):
    with pytest.raises(
        SweepFileError,
        match="It has: function, args, include, project, large_project, env, results_file, "
        "metric, replications_as, seed_as, script, program",
    ):
        swept(tmp_path, SIMULATION + "zzz = 1\n")
