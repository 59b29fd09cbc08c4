"""run.values(): what replications returned whole."""

import pickle
import shutil

import pytest
import simferry as sf
from simferry.errors import UsageError
from simferry.worker import blocks
from sweeps import write

R = """
simulate <- function(n) if (n == 1) list(list(n, "a"), 1:2) else if (n == 2) lm(dist ~ speed, cars) else c(m = n)
"""


@pytest.fixture(scope="module")
def of_r(tmp_path_factory):
    folder = tmp_path_factory.mktemp("of_r")
    return sf.run(write(folder, "s.R", R), sf.grid(n=[1, 2, 3]), replications=2, seed=1, store=folder / "runs")


def test_values_of_r_are_read_without_running_code(of_r):
    frame = of_r.values()
    assert frame.columns.tolist() == ["condition", "replication", "n", "value"]
    assert frame[["condition", "replication", "n"]].to_numpy().tolist() == [[1, 1, 1], [1, 2, 1], [2, 1, 2], [2, 2, 2]]
    assert frame["value"][0][0] == [1.0, "a"] and frame["value"][0][1].tolist() == [1, 2]
    assert list(frame["value"][2]["coefficients"]) == ["(Intercept)", "speed"]


def test_pickles_of_an_own_run_are_read_and_others_need_trust(tmp_path):
    def simulate(n):
        return {"x": n, "odd": {"deep": [n]}} if n == 2 else [[n]] if n == 1 else None

    run = sf.run(simulate, sf.grid(n=[1, 2, 3]), replications=1, seed=1, store=tmp_path / "runs")
    assert run.values()["value"].tolist() == [[[1]], {"x": 2, "odd": {"deep": [2]}}]
    shutil.copytree(run.folder, tmp_path / "from_a_stranger" / run.id)
    other = sf.open(run.id, tmp_path / "from_a_stranger")
    with pytest.raises(UsageError, match=r"condition 1, replication 1 .*nothing shows that this user's") as told:
        other.values()
    assert "trust=True" in str(told.value.hint)
    assert other.values(trust=True)["value"].tolist() == run.values()["value"].tolist()


def test_what_is_taken_over_from_a_strangers_run_is_not_read(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    def simulate(n):
        return [[n]]

    first = sf.run(simulate, {"n": [1]}, replications=1, seed=1, store=tmp_path / "mine")
    shutil.copytree(first.folder, tmp_path / "shared" / first.id)
    (path,) = sf.open(first.id, tmp_path / "shared").artifacts(1, 1)
    path.write_bytes(pickle.dumps(Evil()))
    second = sf.run(simulate, {"n": [1]}, replications=1, seed=1, store=tmp_path / "shared")
    assert second.artifacts(1, 1)[0].read_bytes() == path.read_bytes()
    with pytest.raises(UsageError, match="nothing shows that"):
        second.values()
    assert not (tmp_path / "ran").exists()


def test_a_file_that_another_user_wrote_into_an_own_run_is_not_read_after_it_was_taken_over(tmp_path):
    def simulate(n):
        return [[n]]

    first = sf.run(simulate, {"n": [1]}, replications=1, seed=1, store=tmp_path)
    (path,) = first.artifacts(1, 1)
    path.parent.chmod(0o777)  # anybody could have put the file there, and its copy belongs to this user
    second = sf.run(simulate, {"n": [1]}, replications=1, seed=1, store=tmp_path)
    assert len(second.artifacts(1, 1)) == 1
    for run in (first, second):
        with pytest.raises(UsageError, match="nothing shows that"):
            run.values()


def test_values_of_blocks_of_earlier_versions_are_found_beside_those_of_this_one(tmp_path):
    run = sf.run(lambda n: [[n]], {"n": [1]}, replications=1, seed=1, store=tmp_path)
    (path,) = run._folder.blocks.iterdir()
    block = blocks.decode(path.read_bytes())
    block.tables = [table for table in block.tables if table.name != "objects"]
    path.write_bytes(blocks.encode(block))
    assert run.extend(2).values()["replication"].tolist() == [1, 2]


def test_a_run_of_scripts_has_files_and_no_values(tmp_path):
    script = write(tmp_path, "s.py", "open('value.pkl', 'w').write('')")
    run = sf.run(script, args="", replications=1, seed=1, store=tmp_path / "runs")
    with pytest.raises(UsageError, match="is of a script"):
        run.values()


def test_a_run_that_returned_rows_has_none(tmp_path):
    run = sf.run(lambda: 1.5, replications=2, seed=1, store=tmp_path)
    assert len(run.values()) == 0 and run.values().columns.tolist() == ["condition", "replication", "value"]
