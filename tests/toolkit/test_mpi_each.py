"""A program once on each host: here two launchers on this machine, which is both hosts. Files of hosts: tests/backends/test_mpi.py."""

import json
import os
import socket
import subprocess
import sys

import pytest
from simferry.toolkit import mpi
from toolkit_files import contract

NAMES = ["localhost", "127.0.0.1"]
START = (
    "from simferry.toolkit import mpi, mpi_hosts; import sys; mpi_hosts.PORT = int(sys.argv[1]); mpi.main(sys.argv[2:])"
)
PROGRAM = """
import os, sys, time
host = os.environ["SM_CURRENT_HOST"]
print(host, os.environ["SIMFERRY_SEED"], flush=True)
if host == sys.argv[1]:
    sys.exit(7)
time.sleep(60 if sys.argv[1] else 0)
"""


@pytest.fixture
def launched(tmp_path):
    """Exit code and output of each host for a program's argument."""
    (tmp_path / "secret").write_text("0123456789abcdef")

    def launch(argument):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        each = [sys.executable, mpi.__file__, "each", "--", sys.executable, "-c", PROGRAM, argument]
        command = [sys.executable, "-c", START, port, "hosts", "--no-ssh", "--secret", tmp_path / "secret", "--", *each]
        children = []
        for name in NAMES:
            contract(tmp_path / name)
            path = tmp_path / name / "input" / "config" / "resourceconfig.json"
            path.write_text(json.dumps({"current_host": name, "hosts": NAMES}))
            environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path / name), "SIMFERRY_SEED": "5"}
            children.append(
                subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            )
        printed = [child.communicate(timeout=60)[0].splitlines() for child in children]
        return [child.returncode for child in children], printed

    return launch


def test_each_host_runs_the_program_with_its_own_name_and_seed(launched):
    codes, printed = launched("")
    assert codes == [0, 0]
    assert printed[0] == ["localhost 5"]
    ((name, seed),) = [line.split() for line in printed[1]]
    assert name == "127.0.0.1"
    assert seed != "5"


def test_a_program_that_fails_on_another_host_is_ended_on_all(launched):
    codes, printed = launched("127.0.0.1")
    assert codes == [7, 0]
    assert printed[0][-1] == "simferry: on host 127.0.0.1 the program ended with exit code 7; its log has more"
