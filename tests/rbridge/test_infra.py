"""Infrastructure as R has it: a dialogue step by step."""

import os

import boto3
import pytest
from account_fixtures import put_image, put_run
from bridge_requests import call
from simferry._rbridge.infra import Dialogue
from simferry.aws import stacks
from simferry.r.serialization import Vector


def value_of(verb, **arguments):
    """With the emulator's variables in R's environment."""
    answer = call(verb, _environment=dict(os.environ), **arguments)
    assert answer["ok"].plain(), answer["error"].plain()
    return answer["value"]


def error_of(verb, **arguments):
    answer = call(verb, _environment=dict(os.environ), **arguments)
    assert not answer["ok"].plain()
    return answer["error"].plain()


def text(value):
    return Vector("string", [value])


def flag(value):
    return Vector("logical", [value])


def begin(name="lab", yes=True, **more):
    return value_of(
        "infra_deploy", **{"name": text(name), "template": None, "parameters": None, "yes": flag(yes), **more}
    ).plain()


def to_end(step, answer=True):
    """All steps until a question or the end."""
    steps = [step]
    while steps[-1]["kind"] == "line":
        steps.append(value_of("infra_next", answer=flag(answer)).plain())
    return steps


def test_a_stack_is_deployed_shown_and_deleted(emulator):
    *lines, question = to_end(begin(yes=False))
    assert question == {"kind": "question", "value": "Deploy?"}
    assert lines[0]["value"] == "stack lab in us-east-1, account 123456789012: new"
    step = value_of("infra_next", answer=flag(True)).plain()
    end = to_end(step)[-1]
    assert end["kind"] == "end" and set(end["value"]["stacks"]) == {"lab", "lab-batch"}
    shown = value_of("infra_show", name=text("lab"))
    assert shown.plain() == end["value"] and shown.plain()["stored"]["what"] == ["bucket", "images"]
    assert shown.plain()["dollars_an_hour"] == 0 and shown.plain()["jobs"]["name"] == []
    deleted = value_of("infra_delete", name=text("lab"), data=flag(True), yes=flag(True)).plain()
    assert to_end(deleted)[-1] == {"kind": "end", "value": True}
    assert stacks.find("lab") is None
    assert "infra_deploy()" in error_of("infra_next", answer=flag(True))["hint"]


def test_what_there_is_as_data_frames_and_what_is_deleted(emulator, machine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)
    s3, ecr = boto3.client("s3"), boto3.client("ecr")
    put_run(s3, emulator.bucket, "simferry/power-20261128-0123abcd", "")
    ecr.create_repository(repositoryName="simferry-r", tags=[{"Key": "made-by", "Value": "simferry"}])
    digests = [put_image(ecr, "simferry-r", tag) for tag in ("1", "2")]
    boto3.client("logs").create_log_group(logGroupName="/aws/sagemaker/ProcessingJobs")
    listed = value_of("infra_list").plain()
    assert listed["runs"]["address"] == f"s3://{emulator.bucket}/simferry/power-20261128-0123abcd"
    assert listed["runs"]["whole"] is True and listed["runs"]["changed"] > 1_700_000_000
    assert sorted(listed["images"]["tags"]) == ["1", "2"] and listed["repositories"]["images"] == 2
    assert listed["logs"]["days_kept"] is None and listed["stacks"]["name"] == [] and listed["unseen"] == []
    assert 'sim_delete("s3://' in "".join(listed["text"]) and "image_prune()  deletes" in "".join(listed["text"])
    number = {name: Vector("double", [value]) for name, value in (("keep", 1.0), ("older_than", 0.0))}
    asked = {"repository": None, "store": text("simferry-runs"), "used": flag(False), "yes": flag(False), **number}
    *lines, question = to_end(value_of("image_prune", **asked).plain())
    assert question == {"kind": "question", "value": "Delete 1 image?"}
    assert 'store = "s3://my-bucket/simferry"  looks there, too' in lines[-1]["value"]
    *_, end = to_end(value_of("infra_next", answer=flag(True)).plain())
    assert end["value"]["images"]["digest"] in digests and end["value"]["repositories"] == []
    *lines, end = to_end(begin())
    line, end = to_end(value_of("infra_show", name=text("lab"), costs=flag(True)).plain())
    assert "charges $0.01" in line["value"] and end["value"]["costs"]["service"] == []


def test_no_leaves_nothing(emulator):
    to_end(begin(yes=False))
    *_, end = to_end(value_of("infra_next", answer=flag(False)).plain())
    assert end == {"kind": "end", "value": None} and stacks.find("lab") is None


def test_errors_are_spelled_for_r(emulator):
    emulator.faults.resources["create", "JobRole"] = "quota exceeded"
    step = begin()
    with pytest.raises(AssertionError, match="quota exceeded"):
        to_end(step)
    assert stacks.find("lab").status == "ROLLBACK_COMPLETE"
    error = error_of("infra_show", name=text("nowhere"))
    assert error["hint"] == 'infra_deploy(name = "nowhere")  makes it.'
    error = error_of("infra_deploy", name=text("9a"), template=None, parameters=None, yes=flag(True))
    assert error["code"] == "usage" and "is no name for a stack" in error["message"]
    assert value_of("infra_template", name=text("base")).plain().startswith("AWSTemplateFormatVersion")


def test_a_dialogue_goes_on_only_when_it_is_asked_to():
    seen = []

    def work(tell, confirm):
        seen.append("begun")
        tell("one")
        seen.append("between")
        return confirm("sure?")

    dialogue = Dialogue(work)
    assert seen == []
    assert dialogue.step(True) == ("line", "one") and seen == ["begun"]
    assert dialogue.step(True) == ("question", "sure?") and seen == ["begun", "between"]
    assert dialogue.step(False) == ("end", False)
