"""What simferry has made in an account, found by its tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .session import asking, client
from .stacks import TAG

MADE_BY = {"made-by": "simferry"}  # of all that simferry makes
IN_STACK = "aws:cloudformation:stack-"  # CloudFormation's own tags begin so
# jobs are left out: they are gone by themselves, and there may be many
KINDS = (
    "batch:compute-environment", "batch:job-definition", "batch:job-queue", "cloudformation:stack", "ec2", "ecr:repository",
    "logs:log-group", "s3", "sagemaker:endpoint", "sagemaker:endpoint-config", "sagemaker:model",
)  # fmt: skip


@dataclass(frozen=True)
class Tagged:
    """A resource. arn: such as arn:aws:s3:::lab. tags: by key."""

    arn: str
    tags: Mapping[str, str]

    @property
    def service(self) -> str:
        return self.arn.split(":")[2]

    @property
    def kind(self) -> str:
        """Service and type, such as ecr:repository; of a bucket s3."""
        own = self.arn.split(":", 5)[5]
        return self.service if self.service == "s3" else f"{self.service}:{own.replace('/', ':').partition(':')[0]}"

    @property
    def name(self) -> str:
        """Such as that of a bucket, a repository or a log group."""
        own = self.arn.split(":", 5)[5]
        if self.service == "s3":
            return own
        return own[len(self.kind.partition(":")[2]) + 1 :].removesuffix(":*")

    @property
    def stack(self) -> str:
        """The name that its stack was given; empty if it belongs to none."""
        return self.tags.get(TAG) or self.tags.get(f"{IN_STACK}name", "")


def made_by_simferry(kinds: Sequence[str] = KINDS, stack: str | None = None) -> list[Tagged]:
    """The resources of simferry in the configured region, without jobs. stack: only those of stacks of this name. Raises AwsError."""
    tags = {TAG: stack} if stack else MADE_BY
    filters = [{"Key": key, "Values": [value]} for key, value in tags.items()]
    with asking("the resources of simferry"):
        pages = client("resourcegroupstaggingapi").get_paginator("get_resources")
        return [
            Tagged(one["ResourceARN"], {tag["Key"]: tag["Value"] for tag in one["Tags"]})
            for page in pages.paginate(TagFilters=filters, ResourceTypeFilters=list(kinds), ResourcesPerPage=100)
            for one in page["ResourceTagMappingList"]
        ]
