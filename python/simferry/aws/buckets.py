"""S3 buckets: whether they are there, where they lie, who can write to them."""

import contextlib

from .session import AwsError, CredentialsError, account, asking, client, refused, region, session

_OPEN_GROUPS = ("AllUsers", "AuthenticatedUsers")


def check_bucket(name: str) -> str:
    """The region of a bucket. Raises AwsError where there is no such bucket, it may not be asked, or lies in another region."""
    from botocore.exceptions import ClientError

    wanted = session().region_name or ""
    try:
        with asking(f"bucket {name}"):
            try:
                # few attempts: it is asked to learn why S3 does not answer
                answer = client("s3", attempts=3).head_bucket(Bucket=name)["ResponseMetadata"]
            except ClientError as error:
                answer = error.response["ResponseMetadata"]
                found = answer.get("HTTPHeaders", {}).get("x-amz-bucket-region", "")
                if answer.get("HTTPStatusCode") == 404:
                    raise AwsError(
                        f"there is no bucket {name}",
                        f"aws s3 mb s3://{name}  makes one; buckets' names are unique worldwide.",
                    ) from None
                if not found or found == wanted:
                    raise refused(f"bucket {name}", error) from None
    except AwsError as error:
        if error.service_code in ("400", "403"):  # HEAD has no body: whether it is the credentials is not told
            try:
                with asking("STS"):
                    client("sts", attempts=3).get_caller_identity()
            except CredentialsError:
                raise
            except AwsError:  # STS can't be asked from here
                pass
        raise
    found = answer.get("HTTPHeaders", {}).get("x-amz-bucket-region", "") or wanted
    if wanted and found != wanted:
        raise AwsError(
            f"bucket {name} lies in {found}, and the configured region is {wanted}",
            f"AWS_DEFAULT_REGION={found}  works there; jobs run in the region of their bucket.",
        )
    return found


def public_by(name: str) -> str:
    """By what a stranger can get at a bucket: its policy or its access control list; empty if by neither, or if we may not ask."""
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
    """SageMaker's default bucket of this account and region, made where it is missing: nobody else can read it."""
    from botocore.exceptions import ClientError

    name = f"sagemaker-{region()}-{account()}"
    s3 = client("s3")
    with asking(f"bucket {name}"):
        try:
            s3.head_bucket(Bucket=name, ExpectedBucketOwner=account())
        except ClientError as error:
            if error.response["ResponseMetadata"].get("HTTPStatusCode") != 404:
                raise
            where = {} if region() == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region()}}
            s3.create_bucket(Bucket=name, **where)
    return name
