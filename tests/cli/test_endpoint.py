"""simferry endpoint and simferry transform: what the commands pass on, print and refuse."""

import json

import pytest
from click.testing import CliRunner
from command_line import said
from hosting_accounts import IMAGE
from simferry import hosting as package
from simferry.cli import main


def refused(*words, code=2):
    result = CliRunner().invoke(main, words)
    assert result.exit_code == code, result.output
    return result.stderr


def test_the_commands_from_deployment_to_deletion(hosting, monkeypatch, tmp_path):
    deploy = ("endpoint", "deploy", IMAGE, "--model", "model.tar.gz")
    assert "there is no terminal on which to ask\n--yes  does not ask." in refused(*deploy)
    assert "is more than the budget of $1.00\nChoose another --instance-type, or a larger --budget." in refused(
        *deploy, "--budget", "1"
    )
    assert "model none.tar.gz can't be read" in refused(*deploy[:3], "--model", "none.tar.gz")
    result = CliRunner().invoke(main, [*deploy, "--yes", "--env", "A=1", "--budget", "2"])
    assert result.exit_code == 0, result.output
    assert "an hour, $1.34 a day until it is deleted" in result.stderr
    assert result.stdout.splitlines() == [
        "endpoint trees  InService, 1 x ml.t2.medium, $0.06 an hour", "simferry endpoint invoke trees data.csv",
        "simferry endpoint delete trees  ends what it costs",
    ]  # fmt: skip
    assert said("endpoint", "list").splitlines()[-1] == "$0.06 an hour, $1.34 a day"
    listed = json.loads(said("endpoint", "list", "--json"))
    assert (listed[0]["name"], listed[0]["instance_type"], listed[0]["ours"]) == ("trees", "ml.t2.medium", True)

    asked = []
    with monkeypatch.context() as patched:
        patched.setattr(package.Endpoint, "invoke", lambda self, *given: asked.append((self.name, *given)) or b"1\n2\n")
        assert said("endpoint", "invoke", "trees", "data.csv", "--accept", "text/csv") == "1\n2\n"
        assert (
            said("endpoint", "invoke", "trees", "data.csv", "-o", "answer") == ""
            and (tmp_path / "answer").read_text() == "1\n2\n"
        )
        assert [str(one) for one in asked[0]] == ["trees", "data.csv", "text/csv", "text/csv"]
    assert said("endpoint", "logs", "trees", "--json") == "{}\n"
    result = CliRunner().invoke(main, ["endpoint", "delete", "trees"])
    assert result.exit_code == 0 and result.stderr.startswith("deleting endpoint trees\n  configuration trees-")
    assert said("endpoint", "list") == "$0.00 an hour, $0.00 a day\n"
    assert "there is no endpoint trees in us-west-2\nsimferry endpoint list  lists them." in refused(
        "endpoint", "logs", "trees"
    )


def test_transform(hosting, monkeypatch):
    given = []

    def transform(*what, tell, **more):
        given.append((*what, more["split"], more["env"], more["instances"]))
        return package.batch_transform.Transformed("job", "answers", ["answers/a.csv.out"], 90, 0.01)

    monkeypatch.setattr(package, "transform", transform)
    words = (
        "transform",
        "trees",
        "--model",
        "model.tar.gz",
        "a.csv",
        "-o",
        "answers",
        "--split",
        "files",
        "--env",
        "A=1",
    )
    assert said(*words) == "1 file in answers, 90 s, $0.01\n"
    assert given == [("trees", "model.tar.gz", "a.csv", "answers", "files", {"A": "1"}, 1)]
    assert json.loads(said(*words, "--json"))["files"] == ["answers/a.csv.out"]
    assert "Missing option '-o'" in refused(*words[:5])


@pytest.mark.parametrize("name", ["deploy", "list", "invoke", "logs", "delete"])
def test_each_has_help_with_an_example(name):
    assert f"simferry endpoint {name}" in said("endpoint", name, "--help")
