"""Random numbers of simulations in Python: each replication draws from a stream of its own."""

import hashlib
import random

import numpy as np
import pandas as pd
import simferry as sf
from sweeps import digest, write


def test_a_replication_draws_from_philox_keyed_by_seed_and_condition(go):
    rows = go(
        lambda n, rng: {"x": rng.normal(), "y": rng.integers(10**6), "z": rng.random(n)[-1]}, sf.grid(n=[3, 10])
    ).results()
    for i, n in enumerate((3, 10)):
        key = hashlib.sha256(f'1\n{{"n":{n}}}'.encode()).digest()[:16]
        for replication in (1, 2, 3):
            bits = np.random.Philox(key=np.frombuffer(key, "<u8"), counter=[0, 0, 0, replication])
            rng = np.random.Generator(bits)
            row = rows.iloc[3 * i + replication - 1]
            assert (row["x"], row["y"], row["z"]) == (rng.normal(), rng.integers(10**6), rng.random(n)[-1])


def test_the_table_does_not_depend_on_workers_blocks_or_extension(script, go, monkeypatch):
    design = sf.grid(n=[5, 10, 20], effect=[0, 0.5])
    one = go(script, design, 12, workers=1)
    two = go(script, design, 12, workers=2, fresh=True)
    extended = go(script, design, 5, workers=2, fresh=True).extend(12)
    monkeypatch.setenv("PAUSE", "0.05")
    many_blocks = go(script, design, 12, workers=2, fresh=True)
    assert len(list((many_blocks.folder / "blocks").iterdir())) > 2
    assert digest(one) == digest(two) == digest(extended) == digest(many_blocks)
    assert one.results()["mean"].nunique() == 72


def test_a_condition_run_alone_gives_the_same_values(script, go):
    together = go(script, sf.grid(n=[5, 10, 20])).results()
    alone = go(script, sf.grid(n=[10]), fresh=True).results()
    together = together[together["n"] == 10].drop(columns="condition").reset_index(drop=True)
    pd.testing.assert_frame_equal(together, alone.drop(columns="condition"), check_exact=True)


def test_legacy_generators_are_seeded_where_the_function_takes_no_rng(go):
    def simulate(n):
        return {"numpy": np.random.normal(), "python": random.random()}

    first = go(simulate, sf.grid(n=[1, 2]), 5, workers=1)
    second = go(simulate, sf.grid(n=[1, 2]), 5, workers=2, fresh=True)
    assert digest(first) == digest(second)
    assert first.results()["numpy"].nunique() == first.results()["python"].nunique() == 10


def test_the_two_global_generators_are_not_one(tmp_path):
    code = (
        "import random\nimport numpy as np\ndef simulate():\n    return {'np': np.random.rand(), 'py': random.random()}"
    )
    run = sf.run(write(tmp_path, "simulate.py", code), replications=20, seed=1, store=tmp_path / "runs")
    again = sf.run(write(tmp_path, "simulate.py", code), replications=20, seed=1, store=tmp_path / "again")
    rows = run.results()
    assert digest(run) == digest(again) and not set(rows["np"]) & set(rows["py"])
