"""Estimators of frameworks: their images from the table, and their hyperparameters as JSON."""

import re

import pytest
from aws_fixtures import ROLE
from sagemaker_fixtures import BUCKET, IMAGE, TIMED
from simferry.errors import UsageError
from simferry.sagemaker.pytorch import PyTorch
from simferry.sagemaker.sklearn import SKLearn
from simferry.sagemaker.tensorflow import TensorFlow
from simferry.sagemaker.xgboost.estimator import XGBoost

GIVEN = {"role": ROLE, "instance_count": 1, "instance_type": "ml.m5.large"}


def test_the_image_is_the_users_and_hyperparameters_are_json(account, r_script, tmp_path, monkeypatch):
    sent = []
    account("sagemaker").meta.events.register(
        "provide-client-params.sagemaker.CreateTrainingJob", lambda params, **_: sent.append(params)
    )
    (tmp_path / "train.py").write_text("")
    monkeypatch.setenv(
        "SIMFERRY_IMAGES", f"pytorch-training={IMAGE},sagemaker-scikit-learn={IMAGE},tensorflow-training={IMAGE}"
    )
    PyTorch("train.py", framework_version="2.0", py_version="py310", hyperparameters={"a": "x", "n": 3.0}, **GIVEN).fit(
        wait=False
    )
    SKLearn(entry_point="train.py", framework_version="1.2-1", **GIVEN).fit(wait=False)
    TensorFlow(entry_point="train.py", framework_version=2.1, **GIVEN).fit(wait=False, job_name="tf")
    assert [one["AlgorithmSpecification"]["TrainingImage"] for one in sent] == [IMAGE] * 3
    assert [one.get("HyperParameters") for one in sent] == [
        {"a": '"x"', "n": "3"}, None, {"model_dir": f"s3://{BUCKET}/tf/model"},
    ]  # fmt: skip
    assert re.fullmatch(f"pytorch-{TIMED}", sent[0]["TrainingJobName"])


def test_without_an_image_or_a_script_the_error_says_what_to_give(monkeypatch):
    monkeypatch.delenv("SIMFERRY_IMAGES", raising=False)
    with pytest.raises(UsageError, match=r"AWS's image sagemaker-xgboost:1.5-1 needs one of yours in its place"):
        XGBoost("train.py", "1.5-1", **GIVEN)
    with pytest.raises(UsageError, match="SKLearn needs entry_point"):
        SKLearn(image_uri=IMAGE, **GIVEN)
