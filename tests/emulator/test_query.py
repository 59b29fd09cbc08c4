"""The query protocol, by botocore's own parsers and serializers."""

from types import SimpleNamespace

import botocore.loaders
import botocore.model
import botocore.parsers
import botocore.serialize
import pytest
from simferry.emulator import query
from simferry.emulator.calls import Refusal

MODEL = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("cloudformation", "service-2"))


def sent(operation, **given):
    """The fields of a request, as boto3 sends them."""
    body = botocore.serialize.create_serializer("query").serialize_to_request(given, MODEL.operation_model(operation))[
        "body"
    ]
    return {key: str(value) for key, value in body.items() if key != "Action"}


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        (
            "CreateChangeSet",
            {
                "StackName": "lab", "ChangeSetName": "one", "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
                "Parameters": [{"ParameterKey": "a", "UsePreviousValue": True}, {"ParameterKey": "b", "ParameterValue": "ü & <"}],
                "Tags": [{"Key": str(n), "Value": "x"} for n in range(12)],
            },
        ),
        ("CreateStack", {"StackName": "lab", "TimeoutInMinutes": 5, "DisableRollback": False, "Capabilities": []}),
        ("DescribeStacks", {}),
    ],
)  # fmt: skip
def test_parameters_are_what_was_sent(operation, given):
    assert query.parameters("cloudformation", operation, sent(operation, **given)) == given


@pytest.mark.parametrize(
    "form",
    [
        {"Stack": "lab"}, {"StackName.member.1": "lab"}, {"Parameters": "lab"}, {"Parameters.1": "lab"},
        {"TimeoutInMinutes": "soon"}, {"DisableRollback": "perhaps"}, {"StackName": "a", "StackName.b": "c"},
        {"StackName.b": "c", "StackName": "a"}, {"Tags.member.\N{SUPERSCRIPT TWO}.Key": "a"},
    ],
)  # fmt: skip
def test_a_form_that_is_no_request_is_refused(form):
    with pytest.raises(Refusal) as caught:
        query.parameters("cloudformation", "CreateStack", form)
    assert caught.value.code == "MalformedInput"


def test_what_an_operation_needs():
    with pytest.raises(Refusal, match="'StackName' failed") as caught:
        query.parameters("cloudformation", "CreateStack", {"TemplateBody": "x"})
    assert caught.value.code == "ValidationError"


def test_answers_are_xml_whatever_a_template_says():
    call = SimpleNamespace(service="cloudformation", operation="ValidateTemplate")
    body = query.answer(call, {"Description": "a\x00\x1b\ud800</Description>\ufffe\U0001f600"})[2]
    assert "<Description>a\ufffd\ufffd\ufffd&lt;/Description&gt;\ufffd\U0001f600</Description>" in body.decode()


def test_answers_are_read_by_botocore():
    content = {
        "Stacks": [{
            "StackName": "lab", "CreationTime": 1795879926.25, "StackStatus": "CREATE_COMPLETE", "DisableRollback": False,
            "Outputs": [{"OutputKey": "a", "OutputValue": "<&>\r\n é"}], "Tags": [],
        }],
        "NextToken": "100",
    }  # fmt: skip
    call = SimpleNamespace(service="cloudformation", operation="DescribeStacks")
    status, headers, body = query.answer(call, content)
    parser = botocore.parsers.create_parser("query")
    shape = MODEL.operation_model("DescribeStacks").output_shape
    read = parser.parse({"status_code": status, "headers": dict(headers), "body": body}, shape)
    assert read.pop("ResponseMetadata")["RequestId"] == dict(headers)["x-amzn-RequestId"]
    (stack,) = read["Stacks"]
    assert stack.pop("CreationTime").timestamp() == 1795879926.25
    assert read == {
        "Stacks": [{k: v for k, v in content["Stacks"][0].items() if k != "CreationTime"}],
        "NextToken": "100",
    }


def test_an_operation_without_an_answer():
    body = query.answer(SimpleNamespace(service="cloudformation", operation="DeleteStack"), {})[2]
    assert body.startswith(b"<DeleteStackResponse") and b"RequestId" in body
