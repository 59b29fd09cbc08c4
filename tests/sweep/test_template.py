"""Arguments of scripts and commands, made from a template."""

import pytest
from simferry import grid
from simferry.sweep.template import as_argument, rendered_arguments


@pytest.mark.parametrize(
    ("value", "language", "text"),
    [
        (1000, "r", "1000"),
        (1000.0, "r", "1000"),
        (100000.0, "r", "100000"),
        (1e15, "r", "1000000000000000"),
        (0.1, "r", "0.1"),
        (-0.5, "python", "-0.5"),
        (1e-5, "r", "0.00001"),
        (1e-300, "r", "1e-300"),
        (0.1 + 0.2, "r", "0.30000000000000004"),
        (True, "r", "TRUE"),
        (True, "python", "True"),
        (False, "command", "false"),
        (None, "r", "NA"),
        (float("inf"), "r", "Inf"),
        (float("-inf"), "command", "-Inf"),
        (float("nan"), "r", "NaN"),
        ("a b", "r", "a b"),
    ],
)
def test_parameters_in_a_command_line(value, language, text):
    assert as_argument(value, language) == text


def test_arguments_are_made_from_the_template():
    spec = {"args": "--args {n} --name='{method} {{x}}' 0", "language": "r", "kind": "script"}
    columns = rendered_arguments(spec, grid(n=[10, 2.5], method=["a b"]))
    assert list(zip(*columns, strict=True)) == [
        ("--args", "10", "--name=a b {x}", "0"),
        ("--args", "2.5", "--name=a b {x}", "0"),
    ]
