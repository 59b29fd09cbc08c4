"""What the published schemas say of types of resources."""

from simferry.emulator.schemas import (
    changed_properties,
    exists,
    fixed_properties,
    missing_properties,
    replaces,
    unknown_properties,
)


def test_what_the_schemas_say():
    kind = "AWS::S3::BucketPolicy"
    assert exists(kind) and not exists("AWS::S3::Buckt")
    assert unknown_properties(kind, {"Bucket": "a", "Polcy": {}}) == ["Polcy"]
    assert missing_properties(kind, {"Bucket": "a"}) == ["PolicyDocument"]
    assert fixed_properties(kind) == {"Bucket"}
    assert replaces(kind, {"Bucket": "a"}, {"Bucket": "b"}) and not replaces(
        kind, {"Bucket": "a"}, {"Bucket": "a", "x": 1}
    )
    nested = {"EncryptionConfiguration": {"EncryptionType": "KMS"}}
    assert replaces("AWS::ECR::Repository", {}, nested) and not replaces("AWS::ECR::Repository", nested, nested)
    assert changed_properties({"a": 1, "b": 2}, {"b": 3, "c": 4}) == ["a", "b", "c"]
