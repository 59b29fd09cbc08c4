"""What the tests of AWS share: an empty account behind moto's server, where every client of simferry's looks."""

import urllib.request

import pytest
from simferry.aws import session

REGION = "us-west-2"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/simferry"


def forget_clients() -> None:
    """The clients and facts that simferry keeps are those of the environment as it was."""
    for kept in (session.session, session.client, session.account):
        kept.cache_clear()


@pytest.fixture(scope="session")
def moto_server():
    """The address of moto's server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def account(moto_server, monkeypatch, tmp_path):
    """An empty account, and credentials for it; no files of the user's."""
    urllib.request.urlopen(urllib.request.Request(f"{moto_server}/moto-api/reset", method="POST")).close()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "SIMFERRY_ROLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL": moto_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
    }.items():
        monkeypatch.setenv(name, value)
    forget_clients()
    yield session.client
    forget_clients()
