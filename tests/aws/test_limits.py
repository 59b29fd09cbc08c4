"""The services' own limits, in their own words; and what their instance types have."""

import pytest
from simferry.aws.limits import RequestRefused, check_request


def request(**changes):
    base = {
        "ProcessingJobName": "sweep-0001",
        "AppSpecification": {"ImageUri": "simferry-r", "ContainerEntrypoint": ["Rscript"]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 30}
        },
        "RoleArn": "arn:aws:iam::123456789012:role/simulations",
    }
    return {**base, **changes}


def refused(**changes) -> str:
    with pytest.raises(RequestRefused) as caught:
        check_request("sagemaker", "CreateProcessingJob", request(**changes))
    assert caught.value.code == "validation"
    return caught.value.message


def an_input(number: int) -> dict:
    s3 = {
        "S3Uri": f"s3://bucket/{number}",
        "LocalPath": f"/opt/ml/processing/input/{number}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
    }
    return {"InputName": f"input-{number}", "S3Input": s3}


def application(**changes) -> dict:
    return {"ImageUri": "simferry-r", **changes}


def test_what_the_service_takes():
    check_request("sagemaker", "CreateProcessingJob", request())
    check_request(
        "sagemaker",
        "CreateProcessingJob",
        request(
            ProcessingJobName="a" * 63,
            ProcessingInputs=[an_input(i) for i in range(10)],
            AppSpecification=application(ContainerArguments=["x" * 256] * 100),
            Environment={f"VARIABLE_{i}": "x\n" * 128 for i in range(100)},
        ),
    )


def test_eleven_inputs():
    message = refused(ProcessingInputs=[an_input(i) for i in range(11)])
    assert message.startswith("1 validation error detected: Value '[{InputName=input-0, S3Input={S3Uri=s3://bucket/0")
    assert message.endswith(
        "at 'processingInputs' failed to satisfy constraint: Member must have length less than or equal to 10"
    )


def test_101_arguments():
    message = refused(AppSpecification=application(ContainerArguments=["1"] * 101))
    assert message.startswith("1 validation error detected: Value '[1, 1, 1, ")
    assert message.endswith(
        "at 'appSpecification.containerArguments' failed to satisfy constraint: "
        "Member must have length less than or equal to 100"
    )


def test_an_argument_of_257_characters():
    message = refused(AppSpecification=application(ContainerArguments=["--long", "x" * 257]))
    assert (
        "at 'appSpecification.containerArguments' failed to satisfy constraint: Member must satisfy constraint: ["
        in (message)
    )
    assert "[Member must have length less than or equal to 256, " in message


def test_an_environment_value_of_257_characters():
    message = refused(Environment={"SETTING": "x" * 257})
    assert message.startswith("1 validation error detected: Value '{SETTING=xxx")
    assert "at 'environment' failed to satisfy constraint: Map value must satisfy constraint: " in message
    assert "[Member must have length less than or equal to 256, Member must have length greater than or equal to 0" in (
        message
    )


def test_a_variable_whose_name_no_shell_takes():
    assert "Map key must satisfy constraint" in refused(Environment={"not-a-name": "1"})


def test_a_name_of_64_characters():
    assert refused(ProcessingJobName="a" * 64) == (
        f"1 validation error detected: Value '{'a' * 64}' at 'processingJobName' failed to satisfy constraint: "
        "Member must have length less than or equal to 63"
    )


def test_a_name_with_an_underscore():
    assert refused(ProcessingJobName="my_sweep") == (
        "1 validation error detected: Value 'my_sweep' at 'processingJobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


@pytest.mark.parametrize(
    "cluster, words",
    [
        (
            {"InstanceType": "ml.m5.tiny"},
            "'processingResources.clusterConfig.instanceType' failed to satisfy constraint: "
            "Member must satisfy enum value set: [",
        ),
        ({"InstanceCount": 101}, "'processingResources.clusterConfig.instanceCount' failed to satisfy constraint: "),
        ({"InstanceCount": 101}, "Member must have value less than or equal to 100"),
        ({"VolumeSizeInGB": 16385}, "Member must have value less than or equal to 16384"),
    ],
)
def test_a_cluster_that_there_is_not(cluster, words):
    config = {**request()["ProcessingResources"]["ClusterConfig"], **cluster}
    assert words in refused(ProcessingResources={"ClusterConfig": config})


def test_a_time_beyond_the_longest():
    message = refused(StoppingCondition={"MaxRuntimeInSeconds": 777_601})
    assert "'stoppingCondition.maxRuntimeInSeconds'" in message
    assert message.endswith("Member must have value less than or equal to 777600")


def test_every_fault_is_named():
    no_role = {k: v for k, v in request(ProcessingJobName="a" * 64).items() if k != "RoleArn"}
    with pytest.raises(RequestRefused) as caught:
        check_request("sagemaker", "CreateProcessingJob", no_role)
    message = caught.value.message
    assert message.startswith("2 validation errors detected: ")
    assert "Value null at 'roleArn' failed to satisfy constraint: Member must not be null; Value 'aaa" in message


def test_an_entry_that_there_is_not():
    assert "Unknown parameter 'Inputs' at 'request'" in refused(Inputs=[])


def test_what_is_used_twice_is_refused():
    """The service says little or nothing of these; two inputs in one folder would replace each other's files."""
    one, two = an_input(1), an_input(2)
    two["S3Input"]["LocalPath"] = f"{one['S3Input']['LocalPath']}/"
    assert refused(ProcessingInputs=[one, two]) == (
        "Input input-1 and Input input-2 have the same LocalPath: /opt/ml/processing/input/1"
    )
    output = {"OutputName": "o", "S3Output": {"S3Uri": "s3://b/o", "S3UploadMode": "EndOfJob"}}
    output["S3Output"]["LocalPath"] = one["S3Input"]["LocalPath"]
    outputs = {"Outputs": [output]}
    assert "Input input-1 and Output o have" in refused(ProcessingInputs=[one], ProcessingOutputConfig=outputs)
    assert "ProcessingInputs must have unique names: input-1" in refused(ProcessingInputs=[one, an_input(1)])
    tags = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    assert "Tags must have unique keys: a" in refused(Tags=tags)
    assert "the tag aws:x: keys that begin with aws: are AWS's own" in refused(Tags=[{"Key": "aws:x", "Value": "1"}])
    below = an_input(2)
    below["S3Input"]["LocalPath"] = f"{one['S3Input']['LocalPath']}/code"
    check_request("sagemaker", "CreateProcessingJob", request(ProcessingInputs=[one, below]))
