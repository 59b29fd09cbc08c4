"""CloudFormation as boto3 sees it, unmodified: states, events, change sets, rollbacks, deletions."""

import boto3
import pytest
from botocore.exceptions import ClientError
from emulator_fixtures import Jobs
from emulator_requests import refused

# Second needs First; a name decides whether First is replaced
TEMPLATE = """
Parameters: {Days: {Type: Number, Default: 1, Description: of logs}, Name: {Type: String, Default: first}}
Resources:
  First: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Ref Name, RetentionInDays: !Ref Days}}
  Second: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub "${First}-second"}}
Outputs: {Second: {Value: !Ref Second, Description: its name, Export: {Name: lab-second}}}
"""
ADDED = TEMPLATE.replace("Outputs", "  Third: {Type: AWS::Logs::LogGroup, DependsOn: Second}\nOutputs")


@pytest.fixture
def cloud(emulator):
    return boto3.client("cloudformation")


def given(**parameters):
    return [{"ParameterKey": name, "ParameterValue": str(value)} for name, value in parameters.items()]


def state(cloud, name="lab"):
    return cloud.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]


def settle(cloud, name="lab"):
    Jobs.until(lambda: not state(cloud, name).endswith("IN_PROGRESS"), 30)
    return state(cloud, name)


def groups():
    return [one["logGroupName"] for one in boto3.client("logs").describe_log_groups()["logGroups"]]


def made(cloud, template=TEMPLATE, **more):
    arn = cloud.create_stack(StackName="lab", TemplateBody=template, **more)["StackId"]
    settle(cloud, arn)
    return arn


def update(cloud, template=TEMPLATE, **parameters):
    cloud.update_stack(StackName="lab", TemplateBody=template, Parameters=given(**parameters))
    return settle(cloud)


def events(cloud, name="lab"):
    return [
        (one["LogicalResourceId"], one["ResourceStatus"])
        for one in cloud.describe_stack_events(StackName=name)["StackEvents"][::-1]
    ]


def changes(cloud, template=TEMPLATE, **parameters):
    cloud.create_change_set(StackName="lab", ChangeSetName="c", TemplateBody=template, Parameters=given(**parameters))
    found = cloud.describe_change_set(StackName="lab", ChangeSetName="c")
    cloud.delete_change_set(StackName="lab", ChangeSetName="c")
    found = [one["ResourceChange"] for one in found["Changes"]]
    return [(one["Action"], one["LogicalResourceId"], one.get("Replacement")) for one in found]


def test_a_stack_from_its_creation_to_its_end(cloud):
    arn = made(cloud, Tags=[{"Key": "a", "Value": "b"}])
    assert events(cloud) == [
        ("lab", "CREATE_IN_PROGRESS"),
        *((name, f"CREATE_{end}") for name in ("First", "Second") for end in ("IN_PROGRESS", "COMPLETE")),
        ("lab", "CREATE_COMPLETE"),
    ]
    (stack,) = cloud.describe_stacks(StackName="lab")["Stacks"]
    assert stack["Outputs"] == [
        {"OutputKey": "Second", "OutputValue": "first-second", "Description": "its name", "ExportName": "lab-second"}
    ]
    assert stack["Tags"] == [{"Key": "a", "Value": "b"}] and stack["StackId"] == arn
    assert {
        one["PhysicalResourceId"] for one in cloud.list_stack_resources(StackName="lab")["StackResourceSummaries"]
    } == set(groups())
    assert len(cloud.describe_stack_resources(StackName="lab")["StackResources"]) == 2
    assert cloud.get_template(StackName="lab")["TemplateBody"] == TEMPLATE
    assert [one["ParameterKey"] for one in cloud.get_template_summary(StackName="lab")["Parameters"]] == [
        "Days",
        "Name",
    ]
    assert cloud.validate_template(TemplateBody=TEMPLATE)["Parameters"][0] == {
        "ParameterKey": "Days", "DefaultValue": "1", "NoEcho": False, "Description": "of logs"
    }  # fmt: skip
    assert cloud.list_exports()["Exports"][0]["Value"] == "first-second"
    cloud.delete_stack(StackName="lab")
    Jobs.until(lambda: state(cloud, arn) == "DELETE_COMPLETE", 30)
    assert events(cloud, arn)[-5:] == [
        *((name, f"DELETE_{end}") for name in ("Second", "First") for end in ("IN_PROGRESS", "COMPLETE")),
        ("lab", "DELETE_COMPLETE"),
    ]
    assert groups() == []
    with refused("ValidationError", "Stack with id lab does not exist"):
        state(cloud)
    cloud.delete_stack(StackName="lab")  # of what is not there is no error
    assert cloud.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"][0]["StackId"] == arn


def test_updates_in_place_by_replacement_and_removal(cloud):
    made(cloud)
    assert changes(cloud, Days=3) == [("Modify", "First", "False")]
    assert changes(cloud, Name="other") == [("Modify", "First", "True"), ("Modify", "Second", "Conditional")]
    assert changes(cloud, ADDED) == [("Add", "Third", None)]
    assert update(cloud, Days=3) == "UPDATE_COMPLETE" and groups() == ["first", "first-second"]
    assert update(cloud, Name="other") == "UPDATE_COMPLETE" and groups() == ["other", "other-second"]
    assert update(cloud, ADDED, Name="other") == "UPDATE_COMPLETE" and len(groups()) == 3
    assert changes(cloud, Name="other") == [("Remove", "Third", None)]
    assert update(cloud, Name="other") == "UPDATE_COMPLETE" and groups() == ["other", "other-second"]
    with refused("ValidationError", "No updates are to be performed"):
        update(cloud, Name="other")
    assert update(cloud, TEMPLATE.replace("its name", "the name"), Name="other") == "UPDATE_COMPLETE"  # outputs alone
    assert cloud.describe_stacks(StackName="lab")["Stacks"][0]["Outputs"][0]["Description"] == "the name"


def test_a_failed_creation(cloud, emulator):
    emulator.faults.resources["create", "Second"] = "no more"
    made(cloud)
    assert state(cloud) == "ROLLBACK_COMPLETE" and groups() == []
    reasons = [one.get("ResourceStatusReason") for one in cloud.describe_stack_events(StackName="lab")["StackEvents"]]
    assert "no more" in reasons
    with refused("ValidationError", "ROLLBACK_COMPLETE state and can not be updated"):
        update(cloud, Days=3)
    with refused("AlreadyExistsException", "Stack .lab. already exists"):
        made(cloud)
    cloud.delete_stack(StackName="lab")
    emulator.faults.resources["delete", "First"] = "stuck"
    assert state(cloud, made(cloud)) == "ROLLBACK_FAILED" and groups() == ["first"]
    emulator.faults.resources.clear()
    cloud.delete_stack(StackName="lab")
    Jobs.until(lambda: groups() == [], 30)
    emulator.faults.resources["create", "Second"] = "no more"
    assert state(cloud, made(cloud, OnFailure="DELETE")) == "DELETE_COMPLETE"
    assert state(cloud, made(cloud, OnFailure="DO_NOTHING")) == "CREATE_FAILED" and groups() == ["first"]


def test_a_failed_update_goes_back(cloud, emulator):
    made(cloud)
    logs, faults = boto3.client("logs"), emulator.faults.resources
    for template, parameters in [(ADDED, {"Days": 3}), (ADDED, {"Name": "other"})]:
        faults["create", "Third"] = "no more"
        assert update(cloud, template, **parameters) == "UPDATE_ROLLBACK_COMPLETE"
        assert groups() == ["first", "first-second"]
        assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 1
    faults["update", "First"] = "not now"
    assert update(cloud, Days=3) == "UPDATE_ROLLBACK_COMPLETE"
    faults.clear()
    faults["create", "Third"], faults["rollback", "First"] = "no more", "nor back"
    assert update(cloud, ADDED, Days=3) == "UPDATE_ROLLBACK_FAILED"
    with refused("ValidationError", "can not be updated"):
        update(cloud, Days=3)
    faults.clear()
    cloud.continue_update_rollback(StackName="lab")
    assert settle(cloud) == "UPDATE_ROLLBACK_COMPLETE" and groups() == ["first", "first-second"]
    assert update(cloud, ADDED, Days=3) == "UPDATE_COMPLETE"


def test_a_failed_deletion_can_be_repeated(cloud, emulator):
    made(cloud)
    emulator.faults.resources["delete", "First"] = "in use"
    cloud.delete_stack(StackName="lab")
    assert settle(cloud) == "DELETE_FAILED" and groups() == ["first"]
    cloud.delete_stack(StackName="lab", RetainResources=["First"])
    Jobs.until(lambda: not cloud.describe_stacks()["Stacks"], 30)
    assert groups() == ["first"]


def test_deletion_policies(cloud):
    kept = TEMPLATE.replace(
        "LogGroup, Properties: {LogGroupName: !Ref", "LogGroup, DeletionPolicy: Retain, Properties: {LogGroupName: !Ref"
    )
    arn = made(cloud, kept)
    cloud.delete_stack(StackName="lab")
    Jobs.until(lambda: state(cloud, arn) == "DELETE_COMPLETE", 30)
    assert groups() == ["first"] and ("First", "DELETE_SKIPPED") in events(cloud, arn)


def test_change_sets(cloud):
    cloud.create_change_set(StackName="lab", ChangeSetName="a", TemplateBody=TEMPLATE, ChangeSetType="CREATE")
    assert state(cloud) == "REVIEW_IN_PROGRESS"
    with refused("AlreadyExistsException", "ChangeSet a already exists"):
        cloud.create_change_set(StackName="lab", ChangeSetName="a", TemplateBody=TEMPLATE, ChangeSetType="CREATE")
    assert [one["ChangeSetName"] for one in cloud.list_change_sets(StackName="lab")["Summaries"]] == ["a"]
    cloud.execute_change_set(StackName="lab", ChangeSetName="a")
    assert settle(cloud) == "CREATE_COMPLETE"
    with refused("InvalidChangeSetStatus", "EXECUTE_COMPLETE"):
        cloud.execute_change_set(StackName="lab", ChangeSetName="a")
    cloud.create_change_set(StackName="lab", ChangeSetName="b", TemplateBody=TEMPLATE)
    found = cloud.describe_change_set(StackName="lab", ChangeSetName="b")
    assert (found["Status"], found["ExecutionStatus"]) == (
        "FAILED",
        "UNAVAILABLE",
    ) and "didn't contain changes" in found["StatusReason"]
    with refused("ChangeSetNotFound", "does not exist"):
        cloud.delete_change_set(StackName="lab", ChangeSetName="none")
    with refused("ValidationError", "does not exist"):
        cloud.create_change_set(StackName="none", ChangeSetName="a", TemplateBody=TEMPLATE)


def test_an_export_that_is_used_holds_its_stack(cloud):
    made(cloud)
    user = "Resources: {A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub ['${a}-user', {a: !ImportValue lab-second}]}}}"
    cloud.create_stack(StackName="user", TemplateBody=user)
    assert settle(cloud, "user") == "CREATE_COMPLETE" and "first-second-user" in groups()
    assert cloud.list_imports(ExportName="lab-second")["Imports"] == ["user"]
    with refused("ValidationError", "Export lab-second cannot be deleted as it is in use by user"):
        cloud.delete_stack(StackName="lab")


def test_what_is_refused(cloud, emulator):
    role = "Resources: {A: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}}"
    with refused("InsufficientCapabilitiesException", r"Requires capabilities : \[CAPABILITY_IAM\]"):
        cloud.create_stack(StackName="lab", TemplateBody=role)
    with refused("ValidationError", "failed to satisfy constraint"):
        cloud.create_stack(StackName="9a", TemplateBody=TEMPLATE)
    for text, words in [
        (TEMPLATE.replace("RetentionInDays", "Retention"), "extraneous key"),
        (
            "Resources: {A: {Type: AWS::Lambda::Function, Properties: {}}}",
            "has no resources of type AWS::Lambda::Function",
        ),
        (
            TEMPLATE.replace("{Value: !Ref Second", "{Value: !GetAtt Second.Nothing"),
            "does not support attribute type Nothing",
        ),
    ]:
        arn = made(cloud, text)
        assert state(cloud, arn) == "ROLLBACK_COMPLETE" and groups() == []
        assert words in str(cloud.describe_stack_events(StackName=arn)["StackEvents"])
        cloud.delete_stack(StackName="lab")
        Jobs.until(lambda: not cloud.describe_stacks()["Stacks"], 30)


def test_a_stack_has_no_more_rights_than_its_user(limited):
    emulator, _ = limited(
        {"Effect": "Allow", "Action": ["cloudformation:*", "logs:PutRetentionPolicy"], "Resource": "*"}
    )
    cloud = boto3.client("cloudformation")
    arn = made(cloud)
    assert state(cloud, arn) == "ROLLBACK_COMPLETE"
    assert "is not authorized to perform: logs:CreateLogGroup" in str(cloud.describe_stack_events(StackName=arn))
    assert "logs:CreateLogGroup" not in emulator.actions


def test_policies_name_stacks(limited):
    limited(
        {
            "Effect": "Allow",
            "Action": "cloudformation:DescribeStacks",
            "Resource": "arn:aws:cloudformation:us-east-1:123456789012:stack/lab/*",
        }
    )
    cloud = boto3.client("cloudformation")
    with refused("ValidationError", "does not exist"):
        state(cloud)
    for name in ("laboratory", "other"):
        with pytest.raises(ClientError, match=f"DescribeStacks on resource: .*stack/{name}/"):
            state(cloud, name)


def test_a_change_set_of_another_stack_is_not_taken(cloud):
    """Rights are those on the stack that a request names."""
    for name in ("lab", "other"):
        cloud.create_change_set(StackName=name, ChangeSetName="one", ChangeSetType="CREATE", TemplateBody=TEMPLATE)
    arn = cloud.describe_change_set(StackName="other", ChangeSetName="one")["ChangeSetId"]
    for operation in (cloud.describe_change_set, cloud.delete_change_set, cloud.execute_change_set):
        with refused("ChangeSetNotFound", "does not exist"):
            operation(StackName="lab", ChangeSetName=arn)
    assert cloud.describe_change_set(ChangeSetName=arn)["StackName"] == "other"


def test_properties_of_a_wrong_form_fail_the_resource_and_nothing_else(cloud):
    wrong = (
        "Resources: {A: {Type: AWS::Logs::LogGroup}, B: {Type: AWS::S3::Bucket, DependsOn: A, Properties: {Tags: [x]}}}"
    )
    arn = made(cloud, wrong)
    assert state(cloud, arn) == "ROLLBACK_COMPLETE" and groups() == []
    reasons = [one.get("ResourceStatusReason", "") for one in cloud.describe_stack_events(StackName=arn)["StackEvents"]]
    assert any("Properties validation failed" in one for one in reasons)
