"""Random-number streams, against R's own functions and numpy's own generators."""

import numpy as np
import pytest
from common import rscript
from simferry.jobs import streams
from simferry.jobs.plan import Streams
from simferry.jobs.stretches import Work
from simferry.sweep.design import Design, grid


def r_states(code, folder):
    """Rows of integers that R code prints with `show`."""
    show = "show <- function(state) cat(sprintf('%d', state), '\\n')\nRNGkind(\"L'Ecuyer-CMRG\")\nlibrary(parallel)\n"
    return [
        [int(v) if v != "NA" else -(2**31) for v in line.split()] for line in rscript(show + code, folder).splitlines()
    ]


def advanced(state, count, distance):
    return streams._jump(np.asarray([state], dtype=np.uint64), np.array([count], dtype=np.uint64), distance)[0]


@pytest.mark.parametrize("seed", [0, 1, 42, 2026, 123456789, 2**31 - 1])
def test_the_initial_state_is_the_one_that_set_seed_leaves(seed, tmp_path):
    (state,) = r_states(f"set.seed({seed}); show(.Random.seed)", tmp_path)
    assert state == [streams.KIND, *streams.initial_state(seed).astype(np.uint32).view(np.int32).tolist()]


def test_streams_and_substreams_are_those_of_r(tmp_path):
    code = """set.seed(2026); s <- .Random.seed
    for (stream in 0:300) {
      sub <- s
      for (substream in 0:2) { show(c(stream, substream, sub)); sub <- nextRNGSubStream(sub) }
      s <- nextRNGStream(s)
    }"""
    expected = np.array(r_states(code, tmp_path))
    states = streams.states(streams.initial_state(2026), expected[:, 0], expected[:, 1])
    assert (states == expected[:, 3:]).all()


def test_the_hundred_thousandth_substream_is_that_of_r(tmp_path):
    (expected,) = r_states(
        "set.seed(7); s <- .Random.seed; for (i in 1:100000) s <- nextRNGSubStream(s); show(s)", tmp_path
    )
    assert streams.states(streams.initial_state(7), [0], [100_000])[0].tolist() == expected[1:]


@pytest.mark.parametrize("a, b", [(1, 1), (255, 1), (2**62, 2**62 - 1), (123456789012345678, 8000000000000000000)])
def test_jumps_add_up(a, b):
    # What R's functions prove for small counts carries over to large ones: a + b streams are a, then b.
    start = streams.initial_state(1)
    for distance in (127, 76):
        together = advanced(start, a + b, distance)
        assert (advanced(advanced(start, a, distance), b, distance) == together).all()


def test_a_jump_of_2_to_the_62_is_a_jump_of_1_doubled_62_times():
    # The matrix of a jump is found from the states that basis vectors are taken to, and multiplied by itself.
    def matrices(count):
        unit = np.concatenate([np.eye(3, dtype=np.uint64)] * 2, axis=1)
        moved = streams._jump(unit, np.full(3, count, dtype=np.uint64), 127)
        return [[[int(v) for v in row] for row in moved[:, half].T] for half in (slice(0, 3), slice(3, 6))]

    def squared(m, modulus):
        return [[sum(m[i][k] * m[k][j] for k in range(3)) % modulus for j in range(3)] for i in range(3)]

    doubled = matrices(1)
    for _ in range(62):
        doubled = [squared(m, modulus) for m, modulus in zip(doubled, (streams._M1, streams._M2), strict=True)]
    assert doubled == matrices(2**62)


def test_each_stretch_begins_where_its_replication_does(tmp_path):
    design = grid(n=[10, 20])
    made = Streams(5, design, whole_scripts=False)
    work = Work(*(np.array(v) for v in ([1, 2, 2], [1, 1, 4], [3, 3, 2])))
    states = made.states(work)
    current = f"c({streams.KIND}L, {', '.join(f'{v}L' for v in states[1])})".replace("-2147483648L", "NA")
    (fourth,) = r_states(f"s <- {current}; for (i in 1:3) s <- nextRNGSubStream(s); show(s)", tmp_path)
    assert fourth[1:] == states[2].tolist()


def test_a_replication_of_a_whole_script_owns_a_stream(tmp_path):
    made = Streams(5, Design({}), whole_scripts=True)
    first, second = made.states(Work(*(np.array(v) for v in ([1, 1], [1, 2], [1, 1]))))
    current = f"c({streams.KIND}L, {', '.join(f'{v}L' for v in first)})".replace("-2147483648L", "NA")
    assert r_states(f"show(nextRNGStream({current}))", tmp_path)[0][1:] == second.tolist()
