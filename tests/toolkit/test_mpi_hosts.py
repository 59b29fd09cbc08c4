"""Hosts that get to know each other: here threads of one process, without ssh's server."""

import json
import socket
import stat
import threading
from types import SimpleNamespace

import pytest
from simferry.toolkit import mpi_hosts
from simferry.toolkit.mpi_hosts import Follower, HostError, Leader, Line
from sweeps import wait_until

SECRET = b"0123456789abcdef"


@pytest.fixture
def port(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setattr(mpi_hosts, "PORT", free.getsockname()[1])
    monkeypatch.setattr(Follower, "_serve", lambda self, key: (SimpleNamespace(pid=0), 2222, "ssh-ed25519 AAAA"))


def pair(folder, said, secrets=(SECRET, SECRET), lost_after=20.0):
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    leader = Leader(["here", "localhost"], secrets[0], str(folder / "a"), said.append, lost_after)
    follower = Follower("localhost", "here", secrets[1], str(folder / "b"), said.append, lost_after)
    return leader, follower


def beside(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def test_hosts_that_know_the_secret_exchange_public_keys(tmp_path, port):
    leader, follower = pair(tmp_path, said := [])
    joining = beside(follower.join, 20)
    leader.gather(20)
    joining.join(20)
    assert json.loads((tmp_path / "a" / "hosts").read_text()) == ["here", "localhost"]
    assert (tmp_path / "a" / "known_hosts").read_text() == "[localhost]:2222 ssh-ed25519 AAAA\n"
    assert stat.S_IMODE((tmp_path / "a" / "key").stat().st_mode) == 0o600
    leader.end(0)
    assert follower.ended.wait(20)
    assert (follower.problem, said) == ("", [])


def test_a_host_that_does_not_know_the_secret_is_not_let_in(tmp_path, port):
    leader, follower = pair(tmp_path, [], secrets=(SECRET, b"another, which is as long"))

    def join():
        with pytest.raises(HostError, match=r"here, did not ask localhost within 0.5 s.*secret"):
            follower.join(0.5)

    joining = beside(join)
    with pytest.raises(HostError, match="host localhost could not be reached within 1 s"):
        leader.gather(1)
    joining.join(20)
    assert not (tmp_path / "b" / "authorized_keys").exists()


def test_a_host_that_says_nothing_any_more_is_lost(tmp_path, port, monkeypatch):
    monkeypatch.setattr(Line, "beat", lambda self: None)
    leader, follower = pair(tmp_path, [], lost_after=0.3)
    joining = beside(follower.join, 20)
    leader.gather(20)
    joining.join(20)
    assert follower.ended.wait(20)
    assert follower.problem.startswith("the first host, here, was lost")
    assert wait_until(lambda: leader.lost.startswith("host localhost was lost"))
