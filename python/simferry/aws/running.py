"""The jobs of SageMaker that run now, of Processing and of Training."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from .session import asking, client

_KINDS = ("processing", "training")


def running_jobs() -> Iterator[tuple[str, Callable[[], Mapping[str, Any]]]]:
    """The name of each job that runs, and a function that asks for its `image`, its `cluster` (the resources as the service has
    them), and its `role`. Raises AwsError."""
    sagemaker = client("sagemaker")
    for kind in _KINDS:
        with asking("SageMaker"):
            pages = sagemaker.get_paginator(f"list_{kind}_jobs")
            for page in pages.paginate(StatusEquals="InProgress", PaginationConfig={"PageSize": 100}):
                for one in page[f"{kind.title()}JobSummaries"]:
                    name = one[f"{kind.title()}JobName"]
                    yield name, partial(_described, kind, name)


def _described(kind: str, name: str) -> Mapping[str, Any]:
    sagemaker = client("sagemaker")
    with asking("SageMaker"):
        if kind == "training":
            said = sagemaker.describe_training_job(TrainingJobName=name)
            image, cluster = said["AlgorithmSpecification"].get("TrainingImage", ""), said["ResourceConfig"]
        else:
            said = sagemaker.describe_processing_job(ProcessingJobName=name)
            image, cluster = said["AppSpecification"]["ImageUri"], said["ProcessingResources"]["ClusterConfig"]
    return {"image": image, "cluster": cluster, "role": said.get("RoleArn", "")}
