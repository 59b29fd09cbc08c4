"""The launcher of programs with MPI: two containers, which have the toolkit and no simferry."""

import io
import json
import secrets
import subprocess
import sys
import time
import uuid

import pytest
from simferry.toolkit import mpi
from toolkit_files import TOOLKIT

LAUNCHER = "/opt/toolkit/simferry_toolkit/mpi.py"
SUM = """
import json, os, sys
from mpi4py import MPI
world = MPI.COMM_WORLD
own = {name: os.environ.get(name) for name in ("SM_CURRENT_HOST", "SM_HOSTS", "SIMFERRY_SEED", "TEXT")}
all = world.gather(own)
total = world.allreduce(world.rank + 1)
if world.rank == 0:
    print(json.dumps([total, all]))
sys.exit(3 if world.rank == 5 else 0)
"""
TURNS = """
from mpi4py import MPI
import time
world = MPI.COMM_WORLD
while True:
    world.Barrier()
    if world.rank == 0:
        print("turn", flush=True)
    time.sleep(0.1)
"""


class Hosts:
    """Containers of one job. Docker's names of the hosts differ from those of the contract, as on the service."""

    def __init__(self, client, image, folder):
        self.client, self.image, self.folder = client, image, folder
        self.network = client.networks.create(f"simferry-mpi-{uuid.uuid4().hex[:8]}")
        self.containers = {}
        (folder / "secret").write_text(secrets.token_hex(16))

    def start(self, names, program, *options, environment=None):
        toolkit = {"bind": "/opt/toolkit/simferry_toolkit", "mode": "ro"}
        for name in names:
            config = self.folder / name / "input" / "config"
            config.mkdir(parents=True)
            known = {"current_host": name, "hosts": names, "network_interface_name": "eth0"}
            (config / "resourceconfig.json").write_text(json.dumps(known))
            (self.folder / name).chmod(0o777)
            self.containers[name] = self.client.containers.create(
                self.image,
                entrypoint=["python3", LAUNCHER, "hosts", "--secret", "/secret", "--message", "/opt/ml/message", "--"],
                command=["python3", LAUNCHER, "run", "--ranks", "8", *options, "--", "python3", "-c", program],
                environment=environment,
                hostname=f"ip-{len(self.containers)}",
                network=self.network.name,
                networking_config={self.network.name: self.client.api.create_endpoint_config(aliases=[name])},
                volumes={
                    str(self.folder / name): {"bind": "/opt/ml", "mode": "rw"},
                    str(self.folder / "secret"): {"bind": "/secret", "mode": "ro"},
                    str(TOOLKIT): toolkit,
                },
            )
        for container in self.containers.values():
            container.start()

    def ended(self):
        """The exit code of each host."""
        return {name: one.wait(timeout=60)["StatusCode"] for name, one in self.containers.items()}

    def printed(self, name):
        return self.containers[name].logs().decode()

    def remove(self):
        for container in self.containers.values():
            container.remove(force=True)
        self.network.remove()


@pytest.fixture
def hosts(engine, image_mpi, tmp_path):
    made = Hosts(engine, image_mpi, tmp_path)
    yield made
    made.remove()


def test_ranks_know_their_host_and_the_exit_code_comes_out(hosts):
    given = {"SIMFERRY_SEED": "77", "TEXT": 'a;b\n"c" $d'}
    hosts.start(["node-b", "node-a"], SUM, "--option=-x", "--option=MORE=1", environment=given)
    assert hosts.ended() == {"node-b": 3, "node-a": 0}
    total, ranks = json.loads(next(line for line in hosts.printed("node-b").splitlines() if line.startswith("[")))
    assert total == 36
    assert [one["SM_CURRENT_HOST"] for one in ranks] == ["node-b"] * 4 + ["node-a"] * 4
    assert {one["SM_HOSTS"] for one in ranks} == {'["node-b", "node-a"]'}
    assert {one["TEXT"] for one in ranks} == {given["TEXT"]}
    assert ranks[0]["SIMFERRY_SEED"] == "77"
    assert len({one["SIMFERRY_SEED"] for one in ranks}) == 8
    assert "mpirun ended with exit code 3" in hosts.printed("node-b")


def test_a_lost_host_ends_all_and_is_named(hosts):
    hosts.start(["algo-1", "algo-2"], TURNS)
    until = time.monotonic() + 60
    while "turn" not in hosts.printed("algo-1") and time.monotonic() < until:
        time.sleep(0.1)
    hosts.containers["algo-2"].kill()
    killed = time.monotonic()
    assert hosts.ended() == {"algo-1": 1, "algo-2": 137}
    assert time.monotonic() - killed < 30
    assert "host algo-2 was lost" in hosts.printed("algo-1")
    assert (hosts.folder / "algo-1" / "message").read_text().startswith("lost: host algo-2 was lost")


def test_an_image_without_mpirun(tmp_path):
    command = [sys.executable, TOOLKIT / "mpi.py", "run", "--ranks", "2", "--", "true"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(tmp_path)}, check=False)
    assert (done.returncode, done.stdout) == (
        1,
        "simferry: there is no mpirun in this image; containers/mpi has it (Open MPI)\n",
    )


def test_options_that_say_how_many_processes_there_are():
    assert mpi.problem_of(["-x", "NAME", "--mca", "btl", "tcp,self"]) == ""
    for option in ("-np", "--host", "--hostfile=hosts"):
        assert f"{option} is for simferry to say" in mpi.problem_of([option, "4"])


def test_messages_of_mpirun_become_lines():
    rule = b"-" * 74 + b"\n"
    said = (
        b"ValueError: five\n"
        + rule
        + rule
        + b"mpirun noticed that process rank 5 with PID 22 on node b exited on signal 11 (Segmentation fault).\n"
        + rule
    )
    said += rule + b"own\n" + rule + rule + b"Open MPI failed to TCP\nconnect.\n" + rule + b"end"
    mpi.pass_on(io.BytesIO(said), out := io.BytesIO())
    assert out.getvalue().decode().splitlines() == [
        "ValueError: five",
        "simferry: process rank 5 with PID 22 on node b exited on signal 11 (Segmentation fault).",
        "-" * 74, "own", "-" * 74,
        "simferry: Open MPI failed to TCP connect.",
        "end",
    ]  # fmt: skip
