"""Which conditions are equal: as their canonical texts are, found without these."""

import itertools
import math

import numpy as np
import pytest
import simferry as sf
from simferry.errors import DesignError
from simferry.sweep.canonical import ROWS
from simferry.sweep.design import Design, grid

ODD = [0.3, 0.1 + 0.2, 0.0, -0.0, math.nan, None, math.inf, -math.inf, 1.7976931348623157e308, 1.7976931348623155e308, 5e-324,
       1e-323, 2.0**53 - 1, 2.0**53 - 2, 2.0**53 - 40, 1 / 3, 0.333333333333333, 0.33333333333334, -1 / 3, 20]  # fmt: skip
COLUMNS = {
    "number": ODD,
    "integer": [None, 0, 20, 2**31 - 1, 1 - 2**31],
    "logical": [None, True, False],
    "string": [None, "", "NA", "0.3", "20", "true"],
    "number list": [None, [None], [], [1.0], [1.0, 2.0], [0.3], [0.1 + 0.2]],
}


def design(**columns):
    return Design({name: values for name, (_, values) in columns.items()},
                  {name: kind for name, (kind, _) in columns.items()}, known_distinct=True)  # fmt: skip


@pytest.mark.parametrize("kind", COLUMNS)
def test_values_are_equal_where_their_texts_are(kind):
    for one, other in itertools.combinations(COLUMNS[kind], 2):
        pair = design(a=(kind, [one, other]))
        first, second = pair.canonical()
        if first == second:
            with pytest.raises(DesignError, match="conditions 1 and 2 of the design are equal"):
                Design({"a": [one, other]}, {"a": kind})
        else:
            assert len(Design({"a": [one, other]}, {"a": kind})) == 2


@pytest.mark.parametrize("kind, other", list(itertools.combinations_with_replacement(COLUMNS, 2)))
def test_rows_of_another_design_are_found_by_their_texts(kind, other):
    def one_of_each(kind):
        values = {next(design(a=(kind, [v])).canonical()): v for v in COLUMNS[kind]}
        return design(a=(kind, list(values.values())))

    first, second = one_of_each(kind), one_of_each(other)
    texts = list(first.canonical())
    assert first.rows_of(second).tolist() == [texts.index(t) if t in texts else -1 for t in second.canonical()]


def test_many_columns_with_many_values():
    rng = np.random.default_rng(1)
    columns = {f"x{i}": rng.normal(size=2000) for i in range(7)}  # 2001^7 is above 2^63
    made = Design(columns)
    order = rng.permutation(2000)[:50]
    assert made.rows_of(Design({name: values[order] for name, values in columns.items()})).tolist() == order.tolist()
    again = {name: np.append(values, values[[5, 3]]) for name, values in columns.items()}
    with pytest.raises(DesignError, match="conditions 6 and 2001 of the design are equal"):
        Design(again)


def test_texts_come_in_pieces_and_of_some_conditions():
    values = np.arange(ROWS + 3)
    made = grid(n=values)
    assert list(made.canonical()) == [f'{{"n":{n}}}' for n in values]
    assert list(made.rows(np.array([1, ROWS + 1])).canonical()) == ['{"n":1}', f'{{"n":{ROWS + 1}}}']


def test_a_design_has_a_limit():
    many = range(4000)
    with pytest.raises(DesignError, match="the design has 16,000,000 conditions, and a design has at most 10,000,000"):
        grid(a=many, b=many)
    with pytest.raises(DesignError, match="at most 10,000,000"):
        sf.random(10_000_001, x=(0, 1))
