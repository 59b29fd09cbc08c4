"""Who else can read a bucket."""

import json

from simferry.aws.buckets import public_by

EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
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
