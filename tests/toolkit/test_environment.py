"""What a training job finds out about itself, from the contract's files."""

import ast
import json
import math
import sys

import pytest
from simferry.toolkit import Environment
from simferry.toolkit.environment import TYPES, ContractError, typed
from toolkit_files import TOOLKIT, contract


def test_the_variables_of_the_training_toolkit(tmp_path):
    job = contract(tmp_path, {"gain": "0.5", "my-name": "x y"}, ["training", "my-data"], ["algo-1", "algo-2"])
    known = job.variables()
    assert json.loads(known["SM_HOSTS"]) == ["algo-1", "algo-2"]
    assert known["SM_CURRENT_HOST"] == "algo-2"
    assert known["SM_CHANNEL_TRAINING"] == str(tmp_path / "input" / "data" / "training")
    assert known["SM_CHANNEL_MY_DATA"] == known["SM_CHANNEL_MY-DATA"] == str(tmp_path / "input" / "data" / "my-data")
    assert known["SM_MODEL_DIR"] == str(tmp_path / "model")
    assert known["SM_OUTPUT_DATA_DIR"] == str(tmp_path / "output" / "data")
    assert json.loads(known["SM_HPS"]) == {"gain": 0.5, "my-name": "x y"}
    assert (known["SM_HP_GAIN"], known["SM_HP_MY_NAME"]) == ("0.5", "x y")
    assert json.loads(known["SM_USER_ARGS"]) == ["--gain", "0.5", "--my-name", "x y"]
    assert int(known["SM_NUM_CPUS"]) >= 1
    assert int(known["SM_NUM_GPUS"]) >= 0
    assert json.loads(known["SM_TRAINING_ENV"])["current_host"] == "algo-2"


def test_hyperparameters_get_their_types_back(tmp_path, monkeypatch):
    monkeypatch.setenv(TYPES, json.dumps({"label": "string", "x": "number", "y": "number"}))
    given = {"n": "20", "x": "NA", "y": "-Inf", "label": "10", "flag": "true", "sizes": "[1, 2]", "file": '"t.py"'}
    found = contract(tmp_path, {**given, "plain": "a.csv"}).hyperparameters
    assert found == {"n": 20, "x": None, "y": -math.inf, "label": "10", "flag": True, "sizes": [1, 2],
                     "file": "t.py", "plain": "a.csv"}  # fmt: skip
    assert type(found["n"]) is int


def test_all_digits_of_a_number_are_kept():
    assert typed("0.30000000000000004") == 0.1 + 0.2


def test_a_job_without_the_files_is_one_host_without_inputs(tmp_path):
    job = Environment(str(tmp_path))
    assert (job.hosts, job.channels, job.hyperparameters) == (["algo-1"], {}, {})


def test_a_damaged_file_is_an_error_that_names_it(tmp_path):
    contract(tmp_path)
    (tmp_path / "input" / "config" / "hyperparameters.json").write_text("{")
    with pytest.raises(ContractError, match=r"hyperparameters\.json can't be read"):
        Environment(str(tmp_path))


def test_it_needs_nothing_but_python_3_8():
    for file in TOOLKIT.glob("*.py"):
        tree = ast.parse(file.read_text(), feature_version=(3, 8))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert all(alias.name.partition(".")[0] in sys.stdlib_module_names for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1 or node.module.partition(".")[0] in sys.stdlib_module_names
