"""Stacks as the package sees them: proposals, events, what others do at the same time, answers that are lost."""

import threading

import boto3
import pytest
from emulator_fixtures import allow
from simferry.aws import stacks
from simferry.aws.session import AwsError, CredentialsError, client
from simferry.errors import NoAnswer, UsageError
from sweeps import wait_until

LOGS = """
Parameters: {Days: {Type: Number, Default: 1, MinValue: 1}}
Resources:
  Logs: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: !Ref Days}}
Outputs: {Name: {Value: !Ref Logs}}
"""
TWO = LOGS.replace("Outputs", "  More: {Type: AWS::Logs::LogGroup, DependsOn: Logs}\nOutputs")
OURS = {stacks.TAG: "lab"}


def proposed(template=LOGS, before=None, name="lab", tags=OURS, **parameters):
    return stacks.propose(name, template, parameters, tags, before)


def made(template=LOGS, **parameters):
    return stacks.execute(proposed(template, stacks.find("lab"), **parameters), lambda event: None)


def events():
    told = []
    return told, lambda event: told.append((event.name, event.status))


def test_a_stack_is_made_changed_and_deleted(emulator):
    assert stacks.find("lab") is None
    proposal = proposed()
    assert proposal.new and [(one.action, one.name) for one in proposal.changes] == [("add", "Logs")]
    told, tell = events()
    stack = stacks.execute(proposal, tell)
    assert (stack.status, stack.parameters, stack.tags) == ("CREATE_COMPLETE", {"Days": "1"}, OURS)
    assert ("Logs", "CREATE_COMPLETE") in told and told[-1] == ("lab", "CREATE_COMPLETE")
    assert stack.ours and stack.usable and not stack.busy
    assert stacks.resources(stack) == {"Logs": ("AWS::Logs::LogGroup", stack.outputs["Name"])}
    assert proposed(before=stack) is None
    (change,) = proposed(before=stack, Days="3").changes
    assert (change.action, change.properties) == ("change", ["RetentionInDays"])
    told, tell = events()
    assert made(Days="3").parameters == {"Days": "3"}
    again = stacks.find("lab")
    assert proposed(before=again) is None  # what is not given keeps its value
    stacks.remove(again, tell)
    assert told[-1] == ("lab", "DELETE_COMPLETE") and all("CREATE" not in status for _, status in told)
    assert stacks.find("lab") is None and stacks.find(stack.arn).status == "DELETE_COMPLETE"


def test_a_failure_says_what_and_why(emulator):
    emulator.faults.resources["create", "More"] = "no more groups"
    with pytest.raises(
        stacks.StackError, match=r"lab: More .* can't be created: no more groups(?s:.*)infra.deploy"
    ) as caught:
        made(TWO)
    assert caught.value.code == "stack" and stacks.find("lab").status == "ROLLBACK_COMPLETE"
    stacks.remove(stacks.find("lab"), lambda event: None)
    made()
    with pytest.raises(stacks.StackError, match=r"no more groups(?s:.*)as it was before"):
        made(TWO)
    emulator.faults.resources["rollback", "Logs"] = "still in use"
    with pytest.raises(stacks.StackError, match="goes on with the way back"):
        made(TWO, Days="3")
    stuck = stacks.find("lab")
    assert stuck.status == "UPDATE_ROLLBACK_FAILED"
    with pytest.raises(stacks.StackError, match="still in use"):
        stacks.finish_rollback(stuck, lambda event: None)
    emulator.faults.resources.clear()
    assert stacks.finish_rollback(stuck, lambda event: None).status == "UPDATE_ROLLBACK_COMPLETE"
    emulator.faults.resources["delete", "Logs"] = "in use"
    with pytest.raises(stacks.StackError, match=r"can't be deleted: in use(?s:.*)goes on with the deletion"):
        stacks.remove(stuck, lambda event: None)
    emulator.faults.resources.clear()
    stacks.remove(stuck, lambda event: None)


def test_a_discarded_proposal_leaves_nothing_and_takes_nothing_away(emulator):
    stacks.discard(proposed())
    assert stacks.find("lab") is None
    mine, others = proposed(), proposed(TWO)
    stacks.discard(mine)
    assert stacks.find("lab").status == "REVIEW_IN_PROGRESS"  # with the other one's proposal
    late = proposed()
    stacks.execute(others, lambda event: None)
    with pytest.raises(AwsError):
        stacks.discard(late)  # is gone, since another one was executed
    assert stacks.find("lab").status == "CREATE_COMPLETE"


def test_two_at_once(emulator):
    of_lab = {"name": "lab-rstudio", "tags": {**OURS, stacks.TAG: "lab"}}
    first, second = proposed(**of_lab), proposed(TWO, **of_lab)
    stacks.execute(first, lambda event: None)
    with pytest.raises(stacks.StackError, match=r'stack lab-rstudio\n.*infra.rstudio.deploy\(name="lab"\)  waits'):
        stacks.execute(second, lambda event: None)
    first, second = proposed(), proposed(TWO)
    stacks.execute(first, lambda event: None)
    with pytest.raises(stacks.StackError, match=r"somebody else is changing stack lab(?s:.*)infra.deploy"):
        stacks.execute(second, lambda event: None)
    held = threading.Event()
    emulator.stacks.fails = lambda verb, name: held.wait(10) and None
    emulator.stacks.stacks[-1].fails = emulator.stacks.fails
    update = proposed(TWO, stacks.find("lab"))
    runs = threading.Thread(target=stacks.execute, args=[update, lambda event: None])
    runs.start()
    wait_until(lambda: stacks.find("lab").busy)
    with pytest.raises(stacks.StackError, match="somebody else is changing stack lab"):
        proposed(before=stacks.find("lab"), Days="9")
    held.set()
    runs.join()
    assert stacks.find("lab").status == "UPDATE_COMPLETE"


@pytest.mark.parametrize("operation", ["CreateChangeSet", "ExecuteChangeSet", "DeleteStack"])
def test_a_lost_answer(emulator, operation):
    """The request was carried out; botocore sends it again, and may be told that it can't be."""
    lost, cloudformation = [], client("cloudformation")
    original = cloudformation._make_api_call

    def twice(name, given):
        answer = original(name, given)
        if name == operation and not lost:
            lost.append(name)
            return original(name, given)
        return answer

    cloudformation._make_api_call = twice
    assert made().status == "CREATE_COMPLETE"
    stacks.remove(stacks.find("lab"), lambda event: None)
    assert lost == [operation] and stacks.find("lab") is None


def test_no_answer_at_all(emulator):
    cloudformation, proposal = client("cloudformation"), proposed()
    original = cloudformation._make_api_call

    def silent(name, given):
        answer = original(name, given)
        if name == "ExecuteChangeSet":
            raise NoAnswer("lost", service="AWS")
        return answer

    cloudformation._make_api_call = silent
    assert stacks.execute(proposal, lambda event: None).status == "CREATE_COMPLETE"


def test_a_state_that_is_old_is_not_the_end(emulator, monkeypatch):
    """The service shows the state from before for a while after it has accepted a change."""
    made()
    real, old = stacks.find, [stacks.find("lab")] * 3
    monkeypatch.setattr(stacks, "find", lambda name: old.pop() if old else real(name))
    stacks.execute(proposed(before=real("lab"), Days="5"), lambda event: None)
    assert not old and boto3.client("logs").describe_log_groups()["logGroups"][0]["retentionInDays"] == 5


def test_a_deletion_that_has_just_ended_is_not_waited_for(emulator):
    stack = made()
    stacks.remove(stack, lambda event: None)
    told, tell = events()
    stacks.remove(stack, tell)  # as somebody sees it who found the stack a moment ago
    assert told == []


def test_a_template_that_is_wrong(emulator):
    for text, words in [
        ("a: [", r"YAML not well-formed. \(line"),
        ("Resources: {A: {Type: AWS::S3::Buckt}}", r"Unrecognized resource types: \[AWS::S3::Buckt\]"),
    ]:
        with pytest.raises(
            stacks.StackError, match=f"CloudFormation refuses the template: .*{words}(?s:.*)infra.template"
        ):
            stacks.declared(text)
    assert list(stacks.declared(LOGS)) == ["Days"]
    with pytest.raises(stacks.StackError, match="has roles or policies with fixed names\nWithout RoleName"):
        proposed("Resources: {A: {Type: AWS::IAM::Role, Properties: {RoleName: a, AssumeRolePolicyDocument: {}}}}")
    with pytest.raises(stacks.StackError, match=r"refuses the change of stack lab: .*Days.*[^)]$"):
        proposed(Days="0")
    assert stacks.find("lab") is None


def test_the_outputs_that_a_run_uses(emulator, monkeypatch):
    assert stacks.outputs(None) == {}
    with pytest.raises(UsageError, match=r"the stack lab does not exist in us-east-1(?s:.*)infra.deploy"):
        stacks.outputs("lab")
    made()
    assert set(stacks.outputs("lab")) == {"Name"}
    stacks.execute(proposed(name="simferry", tags={}), lambda event: None)
    assert stacks.outputs(None) == {}  # a stack of this name that is not ours
    monkeypatch.setenv("SIMFERRY_STACK", "lab")
    assert set(stacks.outputs(None)) == {"Name"}
    monkeypatch.setenv("SIMFERRY_STACK", "laboratory")
    with pytest.raises(UsageError, match="the stack laboratory does not exist"):
        stacks.outputs(None)


def test_who_may_not_look_for_stacks_uses_none(limited):
    limited(allow("s3:GetObject", "*"))
    assert stacks.outputs(None) == {}
    with pytest.raises(AwsError, match="access to stack lab is denied"):
        stacks.outputs("lab")


def test_no_credentials(emulator, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    with pytest.raises(CredentialsError):
        stacks.outputs(None)
