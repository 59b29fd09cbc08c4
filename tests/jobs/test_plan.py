"""What the streams of a plan depend on, and its job files."""

import numpy as np
from simferry.jobs import plan, stretches
from simferry.jobs.plan import Streams
from simferry.sweep.design import Design, grid
from simferry.worker import blocks
from simferry.worker.job import as_python


def numbers(design, **common):
    return Streams(3, design, **common, whole_scripts=False).numbers(np.arange(1, len(design) + 1)).tolist()


def of_conditions(design):
    return dict(zip(map(str, design.table.to_pylist()), numbers(design), strict=True))


def test_a_stream_does_not_depend_on_the_other_conditions_or_their_order():
    some = of_conditions(grid(n=[10, 20], effect=[0, 1]))
    more = of_conditions(grid(n=[30, 20, 10], effect=[1, 0.5, 0]))
    assert some.items() <= more.items()
    assert len(set(more.values())) == 9


def test_conditions_that_differ_in_common_parameters_share_their_streams():
    design = grid(n=[10, 20], method=["t", "wilcoxon"])
    first, second, third, fourth = numbers(design, common=["method"])
    assert first == second != third == fourth
    made = Streams(3, design, common=["method"], whole_scripts=False).conditions(np.array([1, 2]))
    assert made["key_1"][0] == made["key_1"][1]
    assert len(set(numbers(design, common=design.names))) == 1


def test_another_seed_is_another_everything():
    one, other = (Streams(seed, Design({}), whole_scripts=False) for seed in (1, 2))
    keys = [made.conditions(np.array([1]))["key_1"] for made in (one, other)]
    assert (one.start != other.start).any() and keys[0] != keys[1]


def test_a_design_without_parameters_has_one_stream():
    assert list(Design({}).canonical()) == ["{}"]


def test_a_job_file_tells_a_worker_all_that_it_needs():
    design = grid(n=[10, 20], effect=[0.5], method=["t"], exact=[True, None], size=[7], types={"size": "integer"})
    made = plan.Streams(1, design, whole_scripts=False)
    work = stretches.all_work(4, 5).take(np.array([3, 1]))
    spec = {
        "language": "python",
        "kind": "command",
        "results_file": "",
        "args": "{n} {effect} {method} {exact} {size} x{replication}",
    }
    block = blocks.decode(plan.job_bytes({"run": "r", "plan": "0001"}, work, made, spec, design))
    assert block.facts["run"] == "r"
    assert block.table("stretches").columns["condition"].values.tolist() == [4, 2]
    assert block.table("conditions").columns["condition"].values.tolist() == [2, 4]
    assert block.table("conditions").columns["argument_4"].strings() == ["NA", "NA"]
    values = {name: as_python(column) for name, column in block.table("parameters").columns.items()}
    assert values == {"n": [10, 20], "effect": [0.5] * 2, "method": ["t"] * 2, "exact": [None] * 2, "size": [7] * 2}


def test_parameters_keep_nan_apart_from_na():
    import math

    design = grid(x=[None, math.nan, 1.5, -0.0])
    made = plan.Streams(1, design, whole_scripts=False)
    spec = {"language": "python", "kind": "function"}
    block = blocks.decode(plan.job_bytes({}, stretches.all_work(4, 1), made, spec, design))
    na, nan, number, zero = as_python(block.table("parameters").columns["x"])
    assert na is None and math.isnan(nan) and number == 1.5 and zero == 0
