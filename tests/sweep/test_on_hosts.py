"""Processes and hosts of a script: what does not go together, and what decides the numbers."""

import pytest
import simferry as sf
from simferry import errors
from sweeps import write


def sweep(tmp_path, target="run.py", text="print(1)\n", **given):
    script = write(tmp_path, target, text)
    return sf.Sweep(script, replications=1, backend="docker", image="i", **{"args": "", **given})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mpi": 4, "args": None}, "mpi is for scripts and commands, and a function is called in one process"),
        ({"mpi": 4, "target": "run.m"}, "mpi is not for scripts of Octave"),
        ({"mpi": 4, "cores": 2}, "cores goes not with mpi"),
        ({"mpi": 4, "hosts": 2, "each_host": True}, "each_host runs a script once on each host, without MPI"),
        ({"each_host": True}, "each_host is for several hosts"),
        ({"mpi_options": "-x A"}, "mpi_options is for programs with MPI"),
        ({"mpi": 4, "mpi_options": "--np 3"}, "--np is for simferry to say"),
        ({"mpi": 4, "mpi_options": "-x 'A"}, "can't be split into words"),
        ({"mpi": 0}, "mpi is 0"),
    ],
)
def test_what_does_not_go_together(tmp_path, given, message):
    with pytest.raises((errors.UsageError, errors.SimulationError), match=message):
        sweep(tmp_path, **given)


def test_an_image_that_is_the_program_starts_mpi_itself():
    with pytest.raises(errors.SimulationError, match="mpi is for scripts and commands, and image:i is an image"):
        sf.Sweep("image:i", replications=1, backend="docker", mpi=2)


def test_the_number_of_ranks_is_part_of_the_code_and_where_they_are_is_not(tmp_path):
    one, same, other = (sweep(tmp_path, hosts=hosts, mpi=mpi).simulation for hosts, mpi in ((2, 4), (1, 8), (2, 3)))
    assert one.spec()["mpi"] == {"ranks": 8, "hosts": 2, "options": []}
    assert one.code_hash() == same.code_hash()
    assert len({one.code_hash(), other.code_hash(), sweep(tmp_path).simulation.code_hash()}) == 3


def test_options_of_mpirun_are_words_and_a_sweep_file_has_them(tmp_path):
    made = sweep(tmp_path, mpi=2, mpi_options="-x 'A B' --mca btl self")
    assert made.simulation.spec()["mpi"]["options"] == ["-x", "A B", "--mca", "btl", "self"]
    made.write(tmp_path / "sweep.toml")
    assert sf.read_sweep(tmp_path / "sweep.toml") == made
