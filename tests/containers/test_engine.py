"""Docker's engine and its images: what a user reads when they are not as they should be."""

import contextlib
import hashlib
import json
import os
import socket
import sys
import tempfile
from pathlib import Path

import pytest
from simferry.containers.engine import EngineError, ImageError, connect, find_image, repository_of, run_once
from simferry.errors import Note


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    """Whoever runs these tests may have told Docker something."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def refused() -> EngineError:
    with pytest.raises(EngineError) as caught:
        connect(timeout_seconds=5)
    assert caught.value.exit_code == 1 and caught.value.code == "docker"
    return caught.value


@contextlib.contextmanager
def programs(monkeypatch, folder: Path, *names: str):
    """A PATH with these programs and no others."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    with monkeypatch.context() as changed:
        changed.setenv("PATH", str(folder))
        yield


@pytest.fixture
def no_socket(monkeypatch):
    """The usual socket is not there."""
    monkeypatch.setattr("simferry.containers.engine._address", lambda: ("unix:///nowhere/docker.sock", ""))


def test_docker_is_not_installed(monkeypatch, tmp_path, no_socket):
    with programs(monkeypatch, tmp_path / "bin"):
        error = refused()
    assert error.message == "Docker is not installed"
    assert "docs.docker.com" in error.hint and 'backend="local"' in error.hint


def test_docker_is_not_running(monkeypatch, tmp_path, no_socket):
    with programs(monkeypatch, tmp_path / "bin", "docker"):
        error = refused()
    assert error.message == "Docker is installed, but its engine is not running"
    assert "systemctl start docker" in error.hint


@contextlib.contextmanager
def another_user():
    """Root may use every socket: for a while be somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def test_no_permission_on_its_socket(monkeypatch):
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        os.chmod(folder, 0o755)
        path = Path(folder, "docker.sock")
        listening.bind(str(path))
        listening.listen()
        path.chmod(0)
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        with another_user():
            error = refused()
    assert error.message == "this user may not use Docker: permission denied on its socket"
    assert "usermod -aG docker" in error.hint


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("unix:///nowhere/docker.sock", "No such file or directory"),
        ("tcp://127.0.0.1:9", "Connection refused"),
        ("gopher://docker", "Invalid bind address protocol"),
    ],
)
def test_a_wrong_address_is_named_with_what_names_it(monkeypatch, where, why):
    monkeypatch.setenv("DOCKER_HOST", where)
    error = refused()
    assert error.message.startswith(f"no Docker engine answers at {where}, which DOCKER_HOST names: {why}")
    assert not error.message.endswith('"')
    assert "unset DOCKER_HOST" in error.hint


def test_the_password_of_an_address_is_not_shown(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://user:secret@127.0.0.1:9")
    assert "127.0.0.1:9" in refused().message and "secret" not in str(refused())


def test_an_engine_that_is_silent_is_waited_for_with_a_note(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("DOCKER_HOST", where)
        monkeypatch.setattr("simferry.containers.engine.SOON", 0.2)
        noted = pytest.warns(Note, match=f"engine at {where} does not answer yet; it is given 1 s")
        failed = pytest.raises(
            EngineError, match=f"no Docker engine answers at {where}, which DOCKER_HOST names: .*timed out"
        )
        with noted, failed:
            connect(timeout_seconds=1)


def test_the_python_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "docker", None)
    error = refused()
    assert error.message == "the Python package docker is not installed" and "simferry[docker]" in error.hint


def test_the_engine_that_docker_context_names(monkeypatch, tmp_path, engine):
    """As Docker Desktop and rootless Docker arrange it."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": "elsewhere"}))
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"elsewhere").hexdigest()
    meta.mkdir(parents=True)
    where = {"Host": "unix:///nowhere/docker.sock", "SkipTLSVerify": False}
    (meta / "meta.json").write_text(json.dumps({"Name": "elsewhere", "Metadata": {}, "Endpoints": {"docker": where}}))
    said = refused()
    assert "unix:///nowhere/docker.sock, which the Docker context elsewhere names" in said.message
    assert "docker context use default" in said.hint
    monkeypatch.setenv(
        "DOCKER_HOST", engine.api.base_url.replace("http+docker://localhost", "unix:///var/run/docker.sock")
    )
    connect()  # DOCKER_HOST is the stronger


# ---- images ----


@pytest.mark.parametrize(
    "name, repository",
    [
        ("simferry-r", "simferry-r"),
        ("simferry-r:1", "simferry-r"),
        ("127.0.0.1:5000/simferry-r", "127.0.0.1:5000/simferry-r"),
        ("127.0.0.1:5000/lab/simferry-r:1", "127.0.0.1:5000/lab/simferry-r"),
        ("debian@sha256:abc", "debian"),
    ],
)
def test_the_name_without_its_tag(name, repository):
    assert repository_of(name) == repository


def test_an_image_that_is_not_here(scrap):
    scrap.build("FROM debian:bookworm-slim")
    with pytest.raises(ImageError) as caught:
        find_image(scrap.client, f"{scrap.name}x")
    assert caught.value.message == f"there is no image {scrap.name}x here"
    assert caught.value.hint == f"Did you mean {scrap.name}?"
    assert caught.value.exit_code == 1


def test_a_name_that_no_image_can_have(engine):
    with pytest.raises(ImageError) as caught:
        find_image(engine, "Not A Name")
    assert "'Not A Name' is no image's name" in caught.value.message


def test_an_image_for_another_architecture(scrap):
    other = "s390x"
    name = scrap.image_for(other)
    with pytest.raises(ImageError) as caught:
        find_image(scrap.client, name)
    assert caught.value.message.startswith(f"image {name} is for {other}, and this machine is ")
    assert 'platform="linux/' in caught.value.hint


def test_a_program_that_is_not_in_the_image(scrap):
    name = scrap.build("FROM debian:bookworm-slim")
    with pytest.raises(ImageError) as caught:
        run_once(scrap.client, name, ["Rscript", "--version"])
    assert caught.value.message == f"image {name} has no Rscript"
    assert scrap.left() == []


def test_what_a_program_says(scrap):
    name = scrap.build("FROM debian:bookworm-slim")
    assert run_once(scrap.client, name, ["sh", "-c", "printf out; printf err >&2; exit 3"]) == (3, "out", "err")
    assert scrap.left() == []
