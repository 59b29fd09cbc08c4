"""RStudio in AWS as R has it: a connection that R holds open, and dialogues."""

import os

from bridge_requests import call
from simferry import infra
from simferry.infra import rstudio
from simferry.r.serialization import Vector


def value_of(verb, **arguments):
    answer = call(verb, _environment=dict(os.environ), **arguments)
    assert answer["ok"].plain(), answer["error"].plain()
    return answer["value"].plain()


def text(value):
    return Vector("string", [value])


def flag(value):
    return Vector("logical", [value])


def to_end(step):
    while step["kind"] == "line":
        step = value_of("infra_next", answer=flag(True))
    return step["value"]


class Tunnel:
    """A connection that is open once more, and then has ended."""

    def __init__(self):
        self.left, self.closed = 1, 0

    def is_open(self):
        self.left -= 1
        return self.left >= 0

    def check(self):
        pass

    def close(self):
        self.closed += 1


def test_it_is_deployed_connected_and_deleted(emulator, monkeypatch):
    infra.deploy("lab", yes=True, tell=lambda line: None)
    given = {"name": text("lab"), "accept_licence": flag(True), "template": None, "parameters": None, "yes": flag(True)}
    made = to_end(value_of("infra_rstudio_deploy", **given))
    assert made["state"] == "running" and made["text"][0].startswith("stack lab-rstudio ")
    assert value_of("infra_rstudio_show", name=text("lab")) == made
    assert to_end(value_of("infra_rstudio_stop", name=text("lab")))["state"] == "stopped"
    answer = call(
        "infra_rstudio_open", _environment=dict(os.environ), name=text("lab"), port=Vector("double", [8787.0])
    )
    assert answer["error"].plain()["hint"] == 'infra_rstudio_start(name = "lab")  starts it.'
    assert to_end(value_of("infra_rstudio_start", name=text("lab"))) == made

    tunnel = Tunnel()
    monkeypatch.setattr(rstudio, "connect", lambda name, port, tell: tell(f"{name} at {port:g}") or tunnel)
    assert value_of("infra_rstudio_open", name=text("lab"), port=Vector("double", [8800.0])) == "lab at 8800"
    assert value_of("infra_rstudio_is_open") is True and value_of("infra_rstudio_is_open") is False
    assert call("infra_rstudio_close", _environment={})["ok"].plain()
    assert tunnel.closed == 1 and value_of("infra_rstudio_is_open") is False
    monkeypatch.setattr(rstudio, "password", lambda name: f"of {name}")
    assert value_of("infra_rstudio_password", name=text("lab")) == "of lab"
    assert to_end(value_of("infra_rstudio_delete", name=text("lab"), yes=flag(True))) is True
