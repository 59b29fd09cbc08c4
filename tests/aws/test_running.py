"""Jobs of SageMaker that run now, of both kinds."""

from types import SimpleNamespace

from simferry.aws import running


def test_jobs_of_processing_and_of_training(monkeypatch):
    asked = []

    def pages(operation):
        kind = "Training" if "training" in operation else "Processing"
        found = [{f"{kind}JobSummaries": [{f"{kind}JobName": f"{kind}-1"}]}]
        return SimpleNamespace(paginate=lambda **given: found if given["StatusEquals"] == "InProgress" else [])

    def describe(**given):
        asked.append(given)
        if "TrainingJobName" in given:
            return {
                "AlgorithmSpecification": {"TrainingImage": "a"}, "ResourceConfig": {"InstanceCount": 2}, "RoleArn": "role",
            }  # fmt: skip
        cluster = {"ClusterConfig": {"InstanceCount": 1}}
        return {"AppSpecification": {"ImageUri": "b"}, "ProcessingResources": cluster, "RoleArn": "role"}

    client = SimpleNamespace(get_paginator=pages, describe_training_job=describe, describe_processing_job=describe)
    monkeypatch.setattr(running, "client", lambda name: client)
    found = list(running.running_jobs())
    assert [name for name, _ in found] == ["Processing-1", "Training-1"] and asked == []
    assert [ask() for _, ask in found] == [
        {"image": "b", "cluster": {"InstanceCount": 1}, "role": "role"},
        {"image": "a", "cluster": {"InstanceCount": 2}, "role": "role"},
    ]
