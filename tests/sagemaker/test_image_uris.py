"""The images of frameworks by version 2's names."""

import pytest
from simferry import sagemaker
from simferry.errors import UsageError


def test_a_frameworks_image_is_the_users(monkeypatch):
    monkeypatch.setenv("SIMFERRY_IMAGES", "sagemaker-scikit-learn=mine,pytorch-training:1.12-cpu-py38=torch")
    retrieve = sagemaker.image_uris.retrieve
    assert retrieve(framework="sklearn", region="us-west-2", version="1.2-1", py_version="py3") == "mine"
    assert retrieve("sklearn", "us-west-2", 0.23, instance_type="ml.m5.large", image_scope="training") == "mine"
    assert retrieve("pytorch", "us-west-2", "1.12", "py38") == "torch"
    with pytest.raises(
        UsageError, match=r"AWS.s image sagemaker-xgboost:1.5-1 needs one of yours in its place"
    ) as caught:
        retrieve("xgboost", "us-west-2", "1.5-1")
    assert "sagemaker-xgboost=simferry-python" in caught.value.hint
    with pytest.raises(UsageError, match="'blazingtext'"):
        retrieve("blazingtext", "us-west-2")
