"""The fixtures that every test finds by name; the modules beside this one hold them, and are imported by their names."""

import signal

import pytest
from aws_fixtures import account, moto_server  # noqa: F401
from docker_fixtures import engine, image_python, image_r, registry, scrap  # noqa: F401
from emulator_fixtures import emulate, emulator, gate, jobs, machine, place, s3  # noqa: F401
from hand_made import hand_made  # noqa: F401
from r_fixtures import in_r, library  # noqa: F401
from sagemaker_fixtures import r_script, sent, session  # noqa: F401

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # begun in a shell's background; what tests start would ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


DOCKER = {"engine", "emulate"}  # fixtures of the engine, and of the emulator, whose jobs are containers


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On several processes (pytest -n 2 --dist loadgroup) all tests that share Docker's images run in one of them, from the
    start on; the tests of any other file run in one, too."""
    if hasattr(config, "workerinput"):

        def group(item: pytest.Item) -> str:
            return "docker" if DOCKER & set(item.fixturenames) else item.nodeid.partition("::")[0]

        for item in items:
            item.add_marker(pytest.mark.xdist_group(group(item)))
        items.sort(key=lambda item: group(item) != "docker")
