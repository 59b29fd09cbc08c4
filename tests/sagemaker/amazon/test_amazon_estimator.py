"""Version 1's way to an image."""

from simferry import sagemaker


def test_it_is_the_users(monkeypatch):
    monkeypatch.setenv("SIMFERRY_IMAGES", "sagemaker-xgboost=mine")
    assert sagemaker.amazon.amazon_estimator.get_image_uri("us-east-1", "xgboost", "1.0-1") == "mine"
    assert sagemaker.get_image_uri("us-east-1", "xgboost") == "mine"
