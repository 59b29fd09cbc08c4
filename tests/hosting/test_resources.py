"""What waits and removes: states as they come, and an endpoint that can't be deleted yet."""

import pytest
from hosting_accounts import IMAGE, left
from simferry import Endpoint
from simferry.hosting import resources


def test_an_endpoint_that_is_being_created_is_deleted_when_it_may_be(hosting, monkeypatch):
    made = Endpoint.deploy(IMAGE, yes=True, tell=lambda line: None)
    real, states, told = resources.state, iter(["Creating", "Creating", "InService"]), []
    monkeypatch.setattr(
        resources, "state", lambda name: (found := real(name)) and {**found, "EndpointStatus": next(states)}
    )
    made.delete(tell=told.append)
    assert told[:2] == ["deleting endpoint trees", "  Creating"] and told[2].startswith("  InService after ")
    assert not any(left().values())


def test_names_alone_do_not_make_it_ours(hosting):
    """A model of another's whose name looks like one of ours stays; so does one of an endpoint whose name begins alike."""
    Endpoint.deploy(IMAGE, name="trees-2", yes=True, tell=lambda line: None)
    role = "arn:aws:iam::123456789012:role/x"
    hosting.create_model(ModelName="trees-0123456789", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=role)
    assert list(resources.made_for("trees", "model")) == []
    assert len(list(resources.made_for("trees-2", "model"))) == 1


def test_removing_what_is_gone_does_nothing(hosting):
    for kind in ("model", "endpoint_config", "endpoint"):
        resources.remove(kind, "none")
        assert not resources.there(kind, "none")
    with pytest.raises(StopIteration):
        next(resources.made_for("none", "endpoint_config"))
