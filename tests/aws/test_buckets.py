"""Whether a bucket is there, and who else can read it."""

import json

import pytest
from simferry.aws.buckets import check_bucket, public_by
from simferry.aws.session import AwsError

BLOCK = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)


def open_policy(bucket: str) -> str:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_bucket_is_nobody_elses(emulator):
    assert public_by(emulator.bucket) == ""


def test_a_bucket_is_public_by_its_access_control_list(emulator, s3):
    s3.put_bucket_acl(Bucket=emulator.bucket, ACL="public-read")
    assert public_by(emulator.bucket) == "its access control list"
    s3.put_public_access_block(Bucket=emulator.bucket, PublicAccessBlockConfiguration=BLOCK)
    assert public_by(emulator.bucket) == ""


def test_a_bucket_is_public_by_its_policy(emulator, s3):
    s3.put_bucket_policy(Bucket=emulator.bucket, Policy=open_policy(emulator.bucket))
    assert public_by(emulator.bucket) == "its policy"
    s3.put_public_access_block(Bucket=emulator.bucket, PublicAccessBlockConfiguration=BLOCK)
    assert public_by(emulator.bucket) == ""


@pytest.mark.parametrize(("name", "hint"), [("no-such-lab", "aws s3 mb s3://no-such-lab"), ("My_Lab", "lower-case")])
def test_a_bucket_that_is_not_there(emulator, name, hint):
    with pytest.raises(AwsError, match=f"there is no bucket {name}") as caught:
        check_bucket(name)
    assert hint in caught.value.hint
