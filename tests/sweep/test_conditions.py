"""conditions.csv: a design comes back exactly."""

import math

import numpy as np
import pyarrow as pa
import pytest
import simferry as sf
from simferry.errors import StoreError
from simferry.sweep.conditions import read_conditions


def test_conditions_come_back_exactly(hand_made):
    design = sf.table(
        {
            "x": [1 / 3, 0.1 + 0.2, None, math.nan, math.inf, -math.inf, -0.0, 5e-324, 1e300, 123456789012345.0],
            "text": [
                "plain",
                "",
                None,
                "NA",
                'quote " comma ,',
                "two\nlines\r\n",
                "Åsa 東京",
                " space ",
                "2020-01-05",
                "007",
            ],
            "flag": [True, False, None] * 3 + [True],
            "n": [*range(9), None],
            'odd "name",\n': [1.5] * 10,
            "list": [[1 / 3, None, math.nan, math.inf, -0.0], None, [], [5e-324], *([[1, 2]] * 6)],
            "texts": [["a", None, "", 'b"\n,東']] * 10,
            "array": [np.array([0.1, 2.0])] * 10,
        },
        types={"n": "integer"},
    )
    back = read_conditions(hand_made(design).run)
    assert back.types == design.types and len(back) == 10
    assert back == design
    for name in design.names[:5]:
        given, got = design.table[name].combine_chunks(), back.table[name].combine_chunks()
        assert got.type == given.type and got.is_null().equals(given.is_null())
        if pa.types.is_floating(given.type):
            given, got = (a.fill_null(7).to_numpy().view("<u8") for a in (given, got))
            assert given.tolist() == got.tolist()
        else:
            assert got.to_pylist() == given.to_pylist()
    assert list(back.canonical()) == list(design.canonical())


def test_a_design_without_parameters_comes_back(hand_made):
    back = read_conditions(hand_made(sf.grid()).run)
    assert len(back) == 1 and back.names == []


def test_a_string_of_megabytes_comes_back(hand_made):
    text = 'long, "quoted"\n' * 200_000
    assert read_conditions(hand_made(sf.grid(text=[text, "short"])).run).condition(0) == {"text": text}


def test_conditions_that_were_cut_short_are_an_error(hand_made):
    run = hand_made(sf.grid(n=[10, 20, 30])).run
    path = run.path / "conditions.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(StoreError, match=r"conditions.csv has 2 rows where run.json says 3"):
        read_conditions(run)
