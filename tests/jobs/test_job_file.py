"""Job files: columns of a design, and jobs that run nothing."""

import math

import pyarrow as pa
import pytest
from common import bits
from simferry.jobs import job_file
from simferry.worker import blocks


@pytest.mark.parametrize(
    ("array", "kind", "values"),
    [
        (pa.array([1, None, -3], pa.int32()), "integer", [1, blocks.NA_INTEGER, -3]),
        (pa.array([True, None, False]), "logical", [1, blocks.NA_INTEGER, 0]),
    ],
)
def test_missing_values_are_na(array, kind, values):
    column = job_file.column_of(array)
    assert (column.kind, column.values.tolist()) == (kind, values)


def test_nan_and_na_stay_two_values():
    column = job_file.column_of(pa.array([0.1, None, math.nan, -0.0]))
    assert column.kind == "double" and bits(column.values) == bits([0.1, blocks.NA_DOUBLE, math.nan, -0.0])
    assert job_file.column_of(pa.array(["a", None, ""])).strings() == ["a", None, ""]


def test_a_job_that_runs_nothing_has_all_facts_and_tables():
    block = blocks.decode(job_file.encode({"language": "r", "workers": 3}))
    assert (block.facts["language"], block.facts["workers"], block.facts["on_error"]) == ("r", "3", "continue")
    assert [len(block.table(name).columns["condition"].values) for name in ("stretches", "conditions")] == [0, 0]
