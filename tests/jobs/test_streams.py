"""Random-number streams, against R's own functions and numpy's own generators."""

import json
import math

import numpy as np
import pytest
from common import rscript
from simferry.jobs import streams
from simferry.jobs.plan import Streams
from simferry.jobs.stretches import Work
from simferry.sweep import parameters
from simferry.sweep.design import Design, grid, table


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
    made = Streams(5, design.canonical(), whole_scripts=False)
    work = Work(*(np.array(v) for v in ([1, 2, 2], [1, 1, 4], [3, 3, 2])))
    states = made.states(work)
    current = f"c({streams.KIND}L, {', '.join(f'{v}L' for v in states[1])})".replace("-2147483648L", "NA")
    (fourth,) = r_states(f"s <- {current}; for (i in 1:3) s <- nextRNGSubStream(s); show(s)", tmp_path)
    assert fourth[1:] == states[2].tolist()


def test_a_replication_of_a_whole_script_owns_a_stream(tmp_path):
    made = Streams(5, ["{}"], whole_scripts=True)
    first, second = made.states(Work(*(np.array(v) for v in ([1, 1], [1, 2], [1, 1]))))
    current = f"c({streams.KIND}L, {', '.join(f'{v}L' for v in first)})".replace("-2147483648L", "NA")
    assert r_states(f"show(nextRNGStream({current}))", tmp_path)[0][1:] == second.tolist()


# ---- the canonical condition ----


def test_the_canonical_condition_is_json_with_names_sorted():
    (text,) = grid(n=20, effect=0.5, method="t", exact=True).canonical()
    assert text == '{"effect":0.5,"exact":true,"method":"t","n":20}'
    assert json.loads(text) == {"n": 20, "effect": 0.5, "method": "t", "exact": True}


@pytest.mark.parametrize(
    "one, other",
    [(20, 20.0), (0.1 + 0.2, 0.3), (0.0, -0.0), (np.int32(20), 20.0), (np.float64(0.5), 0.5), (1e3, 1000)],
)
def test_equal_numbers_are_the_same_condition(one, other):
    assert grid(n=[one]).canonical() == grid(n=[other]).canonical()


def test_a_declared_integer_is_the_same_number():
    assert grid(n=20, types={"n": "integer"}).canonical() == grid(n=20).canonical()


@pytest.mark.parametrize(
    "value, text",
    [
        (None, '{"number": "NA"}'),
        (math.nan, '{"number": "NaN"}'),
        (math.inf, '{"number": "Inf"}'),
        (-math.inf, '{"number": "-Inf"}'),
        (1 / 3, "0.333333333333333"),
        (1e300, "1e+300"),
        (2**53 - 1, "9.00719925474099e+15"),
        ("NA", '"NA"'),
        ('say "hej", Åsa\n', r'"say \"hej\", Åsa\n"'),
    ],
)
def test_how_values_are_written(value, text):
    assert parameters.canonical_value(value) == text


def test_names_are_escaped_too():
    assert table({'a"b': [1]}).canonical() == [r'{"a\"b":1}']


# ---- what streams depend on, and what not ----


def of_conditions(design, **left_out):
    made = Streams(3, design.canonical(**left_out), whole_scripts=False)
    return dict(zip(map(str, design.table.to_pylist()), made.numbers.tolist(), strict=True))


def test_a_stream_does_not_depend_on_the_other_conditions_or_their_order():
    some = of_conditions(grid(n=[10, 20], effect=[0, 1]))
    more = of_conditions(grid(n=[30, 20, 10], effect=[1, 0.5, 0]))
    assert some.items() <= more.items()
    assert len(set(more.values())) == 9


def test_conditions_that_differ_in_common_parameters_share_their_streams():
    design = grid(n=[10, 20], method=["t", "wilcoxon"])
    made = Streams(3, design.canonical(["method"]), whole_scripts=False)
    assert made.numbers[0] == made.numbers[1] != made.numbers[2] == made.numbers[3]
    assert (made.digests[0] == made.digests[1]).all()
    assert len(set(Streams(3, design.canonical(design.names), False).numbers.tolist())) == 1


def test_another_seed_is_another_everything():
    one, other = (Streams(seed, ["{}"], whole_scripts=False) for seed in (1, 2))
    assert (one.start != other.start).any() and (one.digests != other.digests).any()


def test_a_design_without_parameters_has_one_stream():
    assert Design({}).canonical() == ["{}"]
