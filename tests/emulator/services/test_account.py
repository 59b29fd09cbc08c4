"""What is asked of a whole account: resources by tag, and costs."""

import boto3
import pytest
from botocore.exceptions import ClientError
from simferry import infra

OURS = {"TagFilters": [{"Key": "made-by", "Values": ["simferry"]}]}


def test_resources_are_found_by_tag_and_kind_in_pages(emulator):
    ecr, tagging = boto3.client("ecr"), boto3.client("resourcegroupstaggingapi")
    bucket = infra.deploy(yes=True, tell=lambda line: None).outputs["Bucket"]
    tags = [{"Key": "made-by", "Value": "simferry"}, {"Key": "project", "Value": "ferry"}]
    ecr.create_repository(repositoryName="mine", tags=tags)
    ecr.create_repository(repositoryName="theirs")
    boto3.client("logs").create_log_group(logGroupName="/lab/a", tags={"made-by": "somebody"})
    pages = [*tagging.get_paginator("get_resources").paginate(ResourcesPerPage=1, **OURS)]
    found = {one["ResourceARN"]: one["Tags"] for page in pages for one in page["ResourceTagMappingList"]}
    # two stacks, bucket, its repository and mine, log group, compute environments and queues
    assert len(pages) == len(found) == 2 + 1 + 2 + 1 + 3 + 3
    assert found["arn:aws:ecr:us-east-1:123456789012:repository/mine"] == tags
    by_cloudformation = {one["Key"]: one["Value"] for one in found[f"arn:aws:s3:::{bucket}"]}
    assert by_cloudformation["aws:cloudformation:stack-name"] == by_cloudformation["simferry:stack"] == "simferry"

    def count(kinds, filters=OURS, region=None):
        asked = boto3.client("resourcegroupstaggingapi", region_name=region)
        return len(asked.get_resources(ResourceTypeFilters=kinds, **filters)["ResourceTagMappingList"])

    assert [count(["s3"]), count(["ecr:repository"]), count(["ecr", "s3"]), count(["ecr:image"])] == [1, 2, 3, 0]
    assert [count(["batch"]), count(["batch:job-queue"]), count(["batch:job-definition"])] == [6, 3, 0]
    assert count([], {"TagFilters": [{"Key": "made-by"}]}) == 13 and count(["s3"], region="eu-west-1") == 0
    assert count([], {"TagFilters": [*OURS["TagFilters"], {"Key": "project", "Values": ["ferry", "other"]}]}) == 1
    infra.delete(yes=True, tell=lambda line: None)
    assert count(["cloudformation:stack", "s3"]) == 0


@pytest.mark.parametrize(
    ("service", "operation", "given", "said"),
    [
        (
            "resourcegroupstaggingapi",
            "get_resources",
            {"TagFilters": [{"Key": 129 * "a"}]},
            "less than or equal to 128",
        ),
        ("resourcegroupstaggingapi", "get_resources", {"PaginationToken": "x"}, "PaginationTokenExpiredException"),
        ("resourcegroupstaggingapi", "get_tag_keys", {}, "does not answer tagging:GetTagKeys"),
        ("ce", "get_cost_and_usage", {"Metrics": ["UnblendedCost"]}, "should be before end date"),
    ],
)
def test_what_is_refused(emulator, service, operation, given, said):
    if service == "ce":
        given |= {"TimePeriod": {"Start": "2026-11-02", "End": "2026-11-02"}, "Granularity": "DAILY"}
    with pytest.raises(ClientError, match=said):
        getattr(boto3.client(service), operation)(**given)


def test_nothing_costs(emulator):
    asked = {
        "TimePeriod": {"Start": "2026-11-01", "End": "2026-12-01"},
        "Granularity": "MONTHLY",
        "Metrics": ["UnblendedCost"],
    }
    (month,) = boto3.client("ce").get_cost_and_usage(**asked)["ResultsByTime"]
    assert month["Groups"] == [] and month["TimePeriod"] == asked["TimePeriod"]
