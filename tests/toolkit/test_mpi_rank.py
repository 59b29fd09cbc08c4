"""Ranks: seeds and streams by rank, working folders of other hosts, and the files that ranks leave there."""

import io

from simferry.toolkit import mpi_rank
from simferry.worker import streams

STREAM = "10407,1,2,3,4,5,{}"


def given(replication):
    return {
        "SIMFERRY_STREAM": STREAM.format(replication),
        "SIMFERRY_PYTHON_STREAM": streams.derive(b"key", f"script {replication}").hex(),
        "SIMFERRY_PARENT": f"{replication:032x}",
        "SIMFERRY_SEED": str(replication),
        "SIMFERRY_SEED_HEX": f"{replication:032x}",
    }


def test_each_rank_has_streams_and_seeds_of_its_own():
    found = [mpi_rank.of_rank(given(r), rank) for r in range(50) for rank in range(8)]
    for name in given(0):
        assert len({one[name] for one in found}) == 400, name
    assert mpi_rank.of_rank(given(7), 0) == given(7)
    assert found[9] == mpi_rank.of_rank(given(1), 1)
    states = [list(map(int, one["SIMFERRY_STREAM"].split(","))) for one in found]
    assert all(len(one) == 7 and one[0] == 10407 and max(map(abs, one[1:])) <= 2**31 for one in states)


def test_seeds_of_31_bits_are_those_that_the_worker_has_dealt():
    dealt = {**given(1), "SIMFERRY_SEEDS": "1,5,9"}
    assert [mpi_rank.of_rank(dealt, rank)["SIMFERRY_SEED"] for rank in range(3)] == ["1", "5", "9"]
    assert "SIMFERRY_SEEDS" not in mpi_rank.of_rank(dealt, 1)


def test_the_host_of_a_rank_is_in_its_variables(monkeypatch):
    monkeypatch.delenv("SM_TRAINING_ENV", raising=False)
    known = mpi_rank.host_variables({"current_host": "b", "hosts": ["a", "b"], "network_interface_name": "ib0"})
    assert (known["SM_CURRENT_HOST"], known["SM_HOSTS"]) == ("b", '["a", "b"]')
    assert known["SM_NETWORK_INTERFACE_NAME"] == "ib0"
    assert int(known["SM_NUM_CPUS"]) >= 1


def test_files_that_ranks_leave_on_another_host_come_back(tmp_path):
    code, work, home = tmp_path / "code", tmp_path / "there" / "work", tmp_path / "here"
    (code / "simferry_worker").mkdir(parents=True)
    (code / "simferry_worker" / "folders").write_text("empty\n")
    (code / "data.csv").write_text("1")
    home.mkdir()
    place = {"work": str(work), "folder": str(work), "code": str(code), "id": "1"}
    mpi_rank.prepare(place)
    assert sorted(one.name for one in work.iterdir()) == ["data.csv", "empty"]
    (work / "empty" / "out-5.csv").write_text("5")
    (work / "result.csv").write_text("there")
    (home / "result.csv").write_text("here")
    mpi_rank.prepare(place)  # by another rank of the same program
    mpi_rank.host_files(str(work), archive := io.BytesIO())
    archive.seek(0)
    assert mpi_rank.take_files(archive, str(home)) == ["result.csv"]
    assert (home / "empty" / "out-5.csv").read_text() == "5"
    assert (home / "result.csv").read_text() == "here"
    assert not (home / "data.csv").exists()
    mpi_rank.prepare({**place, "id": "2"})  # the next program
    assert sorted(one.name for one in work.rglob("*")) == ["data.csv", "empty"]
