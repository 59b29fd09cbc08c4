"""Arguments of scripts and commands, made from a template."""

import re

import pytest
from simferry import grid
from simferry.errors import SimulationError
from simferry.sweep.template import as_argument, rendered_arguments, results_name, results_patterns


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
        ([1000.0, 0.1, None], "r", "1000,0.1,NA"),
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


@pytest.mark.parametrize(
    ("given", "name"),
    [("r.csv", "r.csv"), ("out/*.csv", "out/*.csv"), ("/opt/ml/processing/output/a/r.csv", "a/r.csv")],
)
def test_results_files_are_named_in_the_output_folder(given, name):
    assert results_name(given) == name


@pytest.mark.parametrize(
    "given", ["/tmp/r.csv", "../r.csv", "~/r.csv", "C:/r.csv", "/opt/ml/processing/r.csv", "a/../../r.csv"]
)
def test_results_files_elsewhere_are_refused(given):
    with pytest.raises(SimulationError, match="outside of the script's output folder"):
        results_name(given)
    with pytest.raises(SimulationError, match="names a folder"):
        results_name("results/")


@pytest.mark.parametrize(
    ("name", "matches", "others"),
    [
        ("r_{n}.csv", ["r_100000.csv", "r_1e+05.csv", "r_100000.0.csv"], ["r_1.csv", "r_100000xcsv", "a/r_100000.csv"]),
        ("*_{s}.c?v", ["x_a+b.csv", "_a+b.c-v"], ["x_aab.csv", "d/x_a+b.csv", "x_a+b.cv"]),
        ("**/r{{1}}.csv", ["r{1}.csv", "a/b/r{1}.csv"], ["ar{1}.csv"]),
    ],
)
def test_patterns_of_results_files(name, matches, others):
    design = grid(n=[100000], s=["a+b"])
    (pattern,) = results_patterns({"results_file": name, "language": "r"}, design)
    assert [text for text in [*matches, *others] if re.fullmatch(pattern, text)] == matches


def test_a_name_is_no_pattern_and_a_placeholder_needs_a_parameter():
    assert results_patterns({"results_file": "out[1].csv", "language": "r"}, grid(n=[1])) is None
    with pytest.raises(SimulationError, match="no parameter 'm' in the design"):
        results_patterns({"results_file": "out_{m}.csv", "language": "r"}, grid(n=[1]))
