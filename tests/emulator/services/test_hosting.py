"""Models, endpoint configurations and endpoints that the emulator refuses, and who may ask for them."""

import boto3
from emulator_fixtures import allow
from emulator_requests import refused, send, signed
from hosted_models import Host

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
VARIANT = {"VariantName": "AllTraffic", "ModelName": "m", "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 1}


def without(*names, **more):
    return {name: value for name, value in VARIANT.items() if name not in names} | more


CONFIGS = [
    ({}, [VARIANT, without(VariantName="B")], "one production variant; this configuration has 2"),
    ({}, [without(ServerlessConfig=SERVERLESS)], "Exactly one of InstanceType and ServerlessConfig"),
    ({}, [without("InstanceType")], "Exactly one of InstanceType and ServerlessConfig"),
    ({}, [without("InstanceType", ServerlessConfig=SERVERLESS)], "InitialInstanceCount can't be given with Serverless"),
    ({}, [without("InstanceType", "InitialInstanceCount", ServerlessConfig={**SERVERLESS, "MemorySizeInMB": 1500})],
     "must be one of 1024, .*, and is 1500"),
    ({}, [without("InstanceType", ServerlessConfig={**SERVERLESS, "MaxConcurrency": 201})], "less than or equal to 200"),
    ({}, [without(InitialInstanceCount=5)], "on at most 4 instances; InitialInstanceCount is 5"),
    ({}, [without("InitialInstanceCount")], "InitialInstanceCount must be given"),
    ({}, [without(InstanceType="ml.inf1.xlarge")], "ml.inf1.xlarge: simferry emulator does not know"),
    ({}, [without(InstanceType="ml.huge")], "Member must satisfy enum value set"),
    ({}, [without("ModelName")], "ModelName must be given"),
    ({}, [VARIANT], rf'Could not find model "{ARN}:model/m"'),
    ({"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/o"}}}, [VARIANT], "does not have AsyncInferenceConfig"),
    ({"DataCaptureConfig": {"EnableCapture": True, "InitialSamplingPercentage": 1, "DestinationS3Uri": "s3://b/o",
      "CaptureOptions": [{"CaptureMode": "Input"}]}}, [VARIANT], "does not capture data"),
]  # fmt: skip
CONTAINER = {"Image": "some-image"}
MODELS = [
    ({}, "Exactly one of PrimaryContainer and Containers"),
    ({"Containers": [CONTAINER, CONTAINER]}, "of one container; this one has 2"),
    ({"PrimaryContainer": {"ModelDataUrl": "s3://b/m.tar.gz"}}, "Image must be given"),
    ({"PrimaryContainer": {**CONTAINER, "ModelDataUrl": "https://b/m"}}, "begin with s3:// only, not 'https://b/m'"),
    ({"PrimaryContainer": {**CONTAINER, "Mode": "MultiModel"}}, "does not have multi-model endpoints"),
    ({"PrimaryContainer": {**CONTAINER, "ModelDataSource": {"S3DataSource": {
        "S3Uri": "s3://b/m/", "S3DataType": "S3Prefix", "CompressionType": "None"}}}}, "models that are one tar.gz"),
    ({"PrimaryContainer": CONTAINER, "ExecutionRoleArn": "arn:aws:iam::123456789012:role/other"},
     "Could not assume role arn:aws:iam::123456789012:role/other"),
    ({"PrimaryContainer": CONTAINER, "ExecutionRoleArn": "arn:aws:iam::999999999999:role/simferry"},
     "ExecutionRoleArn: Cross-account pass role is not allowed"),
]  # fmt: skip


def test_what_is_refused(emulator):
    sagemaker, bad = boto3.client("sagemaker"), "ValidationException"
    for more, variants, words in CONFIGS:
        with refused(bad, words):
            sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=variants, **more)
    for given, words in MODELS:
        with refused(bad, words):
            sagemaker.create_model(**{"ModelName": "m", "ExecutionRoleArn": emulator.role, **given})
    with refused(bad, "ExecutionRoleArn must be given"):
        sagemaker.create_model(ModelName="m", PrimaryContainer=CONTAINER)
    with refused(bad, f'Could not find endpoint configuration "{ARN}:endpoint-config/c"'):
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    for what, named in (
        ("model", "ModelName"),
        ("endpoint_config", "EndpointConfigName"),
        ("endpoint", "EndpointName"),
    ):
        for verb in ("describe", "delete"):
            with refused(bad, f"Could not find {what.replace('_config', ' configuration')} "):
                getattr(sagemaker, f"{verb}_{what}")(**{named: "nothing"})
    with refused(bad, "Could not find"):
        sagemaker.list_tags(ResourceArn=f"{ARN}:model/m")
    host = Host(emulator, "")
    with refused("ValidationError", "Endpoint e of account 123456789012 not found"):
        host.ask("e", b"1")
    with refused("ValidationError", "less than or equal to 1024"):
        host.ask("e", b"1", CustomAttributes="x" * 1025)


def test_requests_that_are_no_invocations(emulator):
    """InvokeEndpoint has a path, and no target; it has to be signed."""
    path = "/endpoints/e/invocations"
    assert send(emulator, "POST", path, {}, b"1")[0] in (400, 403)
    for where, headers, words in [
        ("/", {"X-Amz-Target": "SageMaker.InvokeEndpoint"}, "does not answer sagemaker"),
        (path, {"X-Amz-Target": "SageMaker.DeleteEndpoint"}, "does not answer sagemaker"),
        (f"{path}?a=1", {}, "does not answer sagemaker"),
        ("/endpoints/e/f/invocations", {}, "does not answer sagemaker"),
        ("/endpoints/-e/invocations", {}, "Endpoint -e of account 123456789012 not found"),
        (path, {}, "Endpoint e of account 123456789012 not found"),
    ]:
        status, said = send(
            emulator, "POST", where, signed(emulator, "sagemaker", "POST", where, b"{}", headers), b"{}"
        )
        assert status == 400 and words in said, (where, headers, said)


def test_who_may_ask(limited):
    emulator, _ = limited(
        allow("sagemaker:InvokeEndpoint", f"{ARN}:endpoint/mine"),
        allow(["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"], [f"{ARN}:endpoint/mine", f"{ARN}:endpoint-config/mine"]),
        allow(["sagemaker:CreateModel", "sagemaker:CreateTransformJob"], "*"),
    )  # fmt: skip
    host, denied = Host(emulator, "some-image"), "AccessDeniedException"
    with refused("ValidationError", "Endpoint mine"):
        host.ask("mine", b"1")
    with refused(denied, rf"sagemaker:InvokeEndpoint on resource: {ARN}:endpoint/other"):
        host.ask("other", b"1")
    for verb in ("create_endpoint", "update_endpoint"):
        with refused("ValidationException", "Could not find"):
            getattr(host.sagemaker, verb)(EndpointName="mine", EndpointConfigName="mine")
        with refused(denied, f"on resource: {ARN}:endpoint-config/other"):
            getattr(host.sagemaker, verb)(EndpointName="mine", EndpointConfigName="other")
    with refused(denied, f"iam:PassRole on resource: {emulator.role}"):
        host.model("m")
    with refused(denied, "sagemaker:ListModels"):
        host.sagemaker.list_models()
    emulator.faults.throttle = 1.0
    with refused("ThrottlingException", "Rate exceeded"):
        host.ask("mine", b"1")
