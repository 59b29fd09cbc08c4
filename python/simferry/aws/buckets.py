"""S3 buckets: whether they exist, their region, who can read them."""

import contextlib
import re
from typing import Any

from ..errors import ServiceError
from ..hints import Option, Variable
from .session import AwsError, CredentialsError, account, asking, client, refused, region, session
from .tags import MADE_BY

_NEW_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_OPEN_GROUPS = ("AllUsers", "AuthenticatedUsers")


def check_bucket(name: str) -> str:
    """The region of a bucket. Raises AwsError if it does not exist, is in another region, or this identity may not use it."""
    from botocore.exceptions import ClientError

    wanted = session().region_name or ""
    try:
        with asking(f"bucket {name}"):
            try:
                # few attempts, because a user waits for the answer
                answer = client("s3", attempts=3).head_bucket(Bucket=name)["ResponseMetadata"]
            except ClientError as error:
                answer = error.response["ResponseMetadata"]
                found = answer.get("HTTPHeaders", {}).get("x-amz-bucket-region", "")
                if answer.get("HTTPStatusCode") == 404:
                    raise AwsError(
                        f"there is no bucket {name}",
                        f"aws s3 mb s3://{name}  makes one; buckets' names are unique worldwide."
                        if _NEW_NAME.fullmatch(name)
                        else "Names of new buckets have 3 to 63 lower-case letters, digits, dots and hyphens.",
                        "NoSuchBucket",
                    ) from None
                if not found or found == wanted:
                    raise refused(f"bucket {name}", error) from None
    except AwsError as error:
        if error.service_code in (
            "400",
            "403",
        ):  # the answer to HEAD has no body: STS tells whether the credentials are bad
            try:
                with asking("STS"):
                    client("sts", attempts=3).get_caller_identity()
            except CredentialsError:
                raise
            except ServiceError:  # STS can't be reached from here
                pass
        raise
    found = answer.get("HTTPHeaders", {}).get("x-amz-bucket-region", "") or wanted
    if wanted and found != wanted:
        raise AwsError(
            f"bucket {name} is in {found}, and the configured region is {wanted}",
            Variable("AWS_DEFAULT_REGION", found) + "  works there; jobs run in the region of their bucket.",
        )
    return found


def public_by(name: str) -> str:
    """What makes a bucket public: its policy, or its access control list. Empty if nothing does, or if it may not be read."""
    from botocore.exceptions import ClientError

    s3 = client("s3")
    with contextlib.suppress(ClientError):
        block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
        if block.get("RestrictPublicBuckets") and block.get("IgnorePublicAcls"):
            return ""
    with contextlib.suppress(ClientError):
        if s3.get_bucket_policy_status(Bucket=name)["PolicyStatus"]["IsPublic"]:
            return "its policy"
    with contextlib.suppress(ClientError):
        grants = s3.get_bucket_acl(Bucket=name)["Grants"]
        if any(grant["Grantee"].get("URI", "").rpartition("/")[2] in _OPEN_GROUPS for grant in grants):
            return "its access control list"
    return ""


def default_bucket() -> str:
    """SageMaker's default bucket of this account and region; created if it is missing."""
    name = default_name(region(), account())
    make_where_missing(name, client("s3"), region(), account())
    return name


def default_name(in_region: str, owner: str) -> str:
    return f"sagemaker-{in_region}-{owner}"


def make_where_missing(name: str, s3: Any, in_region: str, owner: str = "") -> None:
    """Create a bucket without public access if it does not exist. s3: a client. owner: the account that has to own the bucket.

    The name of a default bucket can be guessed. Another account could create it first, and would then read what is written there.
    """
    from botocore.exceptions import ClientError

    with asking(f"the default bucket {name}"):
        try:
            s3.head_bucket(Bucket=name, **({"ExpectedBucketOwner": owner} if owner else {}))
        except ClientError as error:
            status = error.response["ResponseMetadata"].get("HTTPStatusCode")
            if status == 403 and owner:
                raise AwsError(
                    f"the default bucket {name} is another account's, or this identity may not use it",
                    Option("store", "s3://a-bucket-of-yours/simferry") + "  uses another one; so does "
                    'Session(default_bucket="a-bucket-of-yours") of simferry.sagemaker.',
                ) from None
            if status != 404:
                raise
            _make(name, s3, in_region)


def _make(name: str, s3: Any, in_region: str) -> None:
    from botocore.exceptions import ClientError

    where = {} if in_region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": in_region}}
    try:
        s3.create_bucket(Bucket=name, **where)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("OperationAborted", "BucketAlreadyOwnedByYou"):
            raise  # another process of this account is creating it
    closed = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    with contextlib.suppress(ClientError):  # `infra list` finds it by its name, too
        tags = [{"Key": key, "Value": value} for key, value in MADE_BY.items()]
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    with contextlib.suppress(ClientError):  # buckets created since 2023 have no public access anyway
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=closed)
