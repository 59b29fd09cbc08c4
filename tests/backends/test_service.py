"""A backend for a service: what ServiceBackend makes of four functions, shown by a service of plain processes."""

import datetime
import re
import subprocess
import sys
import textwrap
import types
from collections import namedtuple
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import simferry as sf
from simferry import backends
from simferry.backends.base import Backend, Prepared, Traits, new_lines
from simferry.backends.local import make_root
from simferry.backends.service import NotNow, ServiceBackend, ServiceJob
from simferry.errors import Interrupted, ServiceError
from simferry.jobs.launch import command_here, environment_here
from simferry.sweep import options
from sweeps import DRAWS, digest, write

PLACES = 2  # processes that the service runs at once
service: dict = {}  # by a job's name: its process, when it began, its log


@dataclass(frozen=True)
class ToyOptions(options.Options):
    table = "toy"
    owner = "the toy backend"

    jobs: Annotated[int | None, options.OptionSpec("how many share the work", "N", minimum=1, maximum=options.MOST)] = (
        None
    )


class Toy(ServiceBackend):
    name = "toy"

    def __init__(self, given):
        super().__init__()
        self.options = given

    @property
    def traits(self):
        return Traits(1, self.options.jobs or 1, outlives_driver=True, poll_seconds=0.05, service="the toy")

    def default_store(self):
        return "toy-runs"

    def prepare(self, spec, store, on_progress):
        return Prepared(note="it is a toy")

    def start(self, request):
        if request.name in service:
            return
        if sum(process.poll() is None for process, _, _ in service.values()) >= PLACES:
            raise NotNow("a place", seconds=0.05)
        root, spec = make_root(request.run, request.job), request.run.record.simulation
        with open(root / "log.txt", "wb") as log:
            process = subprocess.Popen(
                [*command_here(spec["language"]), "run", root], cwd=root / "input" / "code",
                env=environment_here(spec, str(root / "input")), stdout=log, stderr=log,
            )  # fmt: skip
        service[request.name] = process, datetime.datetime.now(datetime.timezone.utc), root / "log.txt"

    def list(self, run):
        states = {None: "running", 0: "succeeded", -15: "stopped"}
        ends = {name: (states.get(process.poll(), "failed"), begun) for name, (process, begun, _) in service.items()}
        return {name: ServiceJob(*end, reason="broken" * (end[0] == "failed")) for name, end in ends.items()}

    def stop(self, name):
        if name in service:
            service[name][0].terminate()

    def lines(self, names, after):
        cursor = dict(after)
        logs = {name: service[name][2].read_bytes() for name in names if name in service}
        return [line for name, log in logs.items() for line in new_lines(name, "", log, cursor)], cursor


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(options.BACKENDS, "toy", ToyOptions)
    monkeypatch.setitem(backends._CLASSES, "toy", ("toy", "Toy"))
    module = types.ModuleType("simferry.backends.toy")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.Toy = Toy
    yield module
    for process, _, _ in service.values():
        process.kill()
        process.wait()
    service.clear()


def test_a_backend_has_nine_members_at_most():
    members = {*Backend.__annotations__, *(name for name in vars(Backend) if not name.startswith("_"))}
    assert members >= {"name", "traits", "poll"} and len(members) <= 9
    assert isinstance(Toy(ToyOptions()), Backend)


def test_the_backend_in_contributing_runs_a_sweep(tmp_path, toy, monkeypatch):
    """Its text is run as it is printed. The commands of Slurm start and list processes here."""
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    code, dataclass_ = (textwrap.dedent(re.search(p, text, re.M | re.S)[1]) for p in (
        r"(^    import shutil\n.*?)^`sbatch`", r"(^      @dataclass.*?)^- Add"
    ))  # fmt: skip
    there = {**vars(options)}
    exec(dataclass_, there)
    monkeypatch.setitem(options.BACKENDS, "slurm", there["SlurmOptions"])
    monkeypatch.setitem(backends._CLASSES, "slurm", ("toy", "Slurm"))
    toy.shutil = types.SimpleNamespace(which=lambda name: "/usr/bin/sbatch")
    exec(code.replace("import shutil\n", ""), vars(toy))
    row = namedtuple("Row", "name state submitted ended reason")

    def sbatch(name, folder, command, environment):
        process = subprocess.Popen(command, cwd=folder, env=environment)
        service[name] = process, datetime.datetime.now(datetime.timezone.utc), None

    toy.sbatch, toy.STATES = sbatch, {None: "running", 0: "succeeded"}
    toy.sacct = lambda run: [row(name, process.poll(), at, None, "") for name, (process, at, _) in service.items()]
    toy.log_of = lambda name: b"printed\n"
    script, design = write(tmp_path, *DRAWS["python"]), sf.grid(n=[5, 10])
    run = sf.run(script, design, replications=4, seed=7, store=tmp_path / "runs", backend="slurm", jobs=2)
    assert len(service) == 2 and run.logs() == {"0001-0001": "printed\n", "0001-0002": "printed\n"}
    assert digest(run) == digest(sf.run(script, design, replications=4, seed=7, store=tmp_path / "here"))


def test_a_sweep_on_a_service(tmp_path, toy):
    script, design = write(tmp_path, *DRAWS["python"]), sf.grid(n=[5, 10, 20])
    waited = []
    run = sf.run(
        script, design, replications=8, seed=7, store=tmp_path / "runs", backend="toy", jobs=3,
        on_progress=lambda now: waited.append(now.note),
    )  # fmt: skip
    assert run.status().state == "complete" and len(service) == 3
    assert "a place" in waited  # the third job had to
    assert digest(run) == digest(sf.run(script, design, replications=8, seed=7, store=tmp_path / "here"))


def interrupt(_):
    raise KeyboardInterrupt


def test_jobs_of_a_service_go_on_are_followed_and_cancelled(tmp_path, toy):
    code = "import time\ndef simulate(n, rng):\n    print('begun', flush=True)\n    time.sleep(0.02)\n    return rng.random()"
    script = write(tmp_path, "slow.py", code)
    with pytest.raises(Interrupted, match=r"detached from run .*: 2 jobs go on, 1 more has not started"):
        sf.run(script, {"n": [1, 2, 3]}, replications=30, seed=7, store=tmp_path / "runs", backend="toy", jobs=3,
               on_progress=interrupt)  # fmt: skip
    (run,) = sf.runs(tmp_path / "runs")
    assert list(run.follow("0001-0002")) == [("0001-0002", "begun")] * 30
    assert run.resume().status().state == "complete" and len(service) == 3  # none is begun twice
    assert run.logs("0001-0003") == {"0001-0003": "begun\n" * 30}
    with pytest.raises(Interrupted):
        run.extend(2000, on_progress=interrupt)
    assert run.cancel().state == "incomplete"
    assert [run.status().jobs[f"0002-000{j}"] for j in (1, 2)] == ["cancelled"] * 2


def test_whoever_follows_a_job_is_told_why_it_ended(tmp_path, toy):
    code = "import time\ndef simulate(n):\n    print('begun', flush=True)\n    time.sleep(100)"
    with pytest.raises(Interrupted):
        sf.run(write(tmp_path, "slow.py", code), {"n": 1}, replications=1, store=tmp_path / "runs", backend="toy",
               on_progress=interrupt)  # fmt: skip
    (run,) = sf.runs(tmp_path / "runs")
    said = run.follow()
    assert next(said) == ("0001-0001", "begun")
    next(iter(service.values()))[0].kill()
    assert list(said) == [("0001-0001", "broken")]


def test_what_a_service_refuses_leaves_nothing(tmp_path, toy, monkeypatch):
    def refuse(self, request):
        raise ServiceError("no such partition")

    monkeypatch.setattr(Toy, "start", refuse)
    with pytest.raises(ServiceError, match="no such partition"):
        sf.run(write(tmp_path, *DRAWS["python"]), {"n": 5}, replications=8, store=tmp_path / "runs", backend="toy")
    assert sf.runs(tmp_path / "runs") == []
