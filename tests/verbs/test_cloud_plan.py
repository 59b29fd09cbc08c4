"""The plan of a run in the cloud: its pilot, what it takes over, time and cost of the rest."""

import json
import os

import pytest
import simferry as sf
from click.testing import CliRunner
from sagemaker_sweeps import submit
from simferry.aws.prices import START_UP_SECONDS, prices
from simferry.backends.batch_costs import dollars_an_hour
from simferry.cli import main
from simferry.errors import SimulationError, UsageError, WorkerError
from simferry.sweep.options import BatchOptions, check
from simferry.verbs.forecast import VCPU_SPEED
from sweeps import digest, write

MEAN = "simulate <- function(n) { Sys.sleep(0.01); mean(rnorm(n)) }\n"
DESIGN = {"n": [5, 10]}


def sleepy(n, rng):
    import time

    time.sleep(0.02)
    return rng.normal()


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A machine without credentials and images."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("AWS_") or name == "SIMFERRY_STORE"]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "no-such-file"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    for backend in ("processing", "batch"):
        monkeypatch.setattr(f"simferry.backends.{backend}.on_this_machine", lambda name: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("simferry.aws.prices.session.client", lambda *_: pytest.fail("AWS was asked"))
    from simferry.aws import session

    session.session.cache_clear()
    yield tmp_path
    session.session.cache_clear()


def test_a_plan_for_the_cloud_pilots_here_and_asks_nobody(here):
    out = sf.plan(
        sleepy, sf.grid(n=[10, 20]), replications=100_000, seed=1, backend="sagemaker", deadline="2h", budget=20
    )
    assert out.pilot_replications == 6 and 0.02 <= out.longest_replication < 0.5
    assert out.core_seconds == pytest.approx(out.seconds_per_replication * 200_000)
    assert out.cloud.cheapest.seconds <= 7200 and out.cloud.fastest.dollars <= 20
    assert "the pilot ran on this machine" in out.cloud.notes and out.pilot_run is None
    assert "the pilot is not kept: there are no AWS credentials" in out.cloud.notes
    assert any("prices of eu-west-1, 2025-12-05" in note for note in out.cloud.notes)
    assert list(here.iterdir()) == []


def test_what_is_wrong_is_told_before_the_pilot(here, monkeypatch):
    def plan(**options):
        return sf.plan(sleepy, sf.grid(n=[10]), replications=10, **options)

    monkeypatch.setattr("simferry.verbs.cloud_plan.run_pilot", lambda *_: pytest.fail("the pilot ran"))
    with pytest.raises(UsageError, match="for the cloud, and the backend is local"):
        plan(deadline="2h")
    for wrong, words in (
        ({"deadline": "soon"}, "deadline is 'soon'"), ({"budget": 0}, "budget is 0"), ({"jobs": 0}, "jobs is 0"),
        ({"instance_type": "ml.c5.5xlarge"}, "no instance type 'ml.c5.5xlarge'"), ({"hosts": 2}, "hosts is 2"),
        ({"instance_type": "ml.m5.xlarge,ml.p5.4xlarge"}, "ml.p5.4xlarge"), ({"volumes": 3}, "volumes"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=words):
            plan(backend="sagemaker", **wrong)


def test_a_store_that_is_not_in_s3_is_not_used(here):
    out = sf.plan(sleepy, sf.grid(n=[10]), replications=10, backend="sagemaker", store=here / "runs")
    assert any("is not in S3" in note for note in out.cloud.notes) and not (here / "runs").exists()


def test_without_a_pilot_nothing_can_be_told(here):
    out = sf.plan(sleepy, sf.grid(n=[10]), replications=10, backend="sagemaker", pilot=False, deadline="2h")
    assert out.total == 10 and out.cloud.rows == [] and out.code
    assert out.cloud.notes == ["time and cost are not known without a pilot"]


def test_a_simulation_that_can_not_run_here_and_not_in_the_image_is_an_error_of_both(here):
    (here / "simulate.py").write_text("import no_such_module\ndef simulate(rng): return 1\n")
    with pytest.raises(SimulationError, match="no_such_module") as caught:
        sf.plan("simulate.py", replications=3, backend="sagemaker")
    assert "In the image" not in str(caught.value)
    with pytest.raises(SimulationError, match=r"no_such_module(.|\n)*In the image no-such-image on this machine: "):
        sf.plan("simulate.py", replications=3, backend="sagemaker", image="no-such-image")


def test_a_plan_for_batch_is_of_jobs_of_the_size_that_is_asked_for(here):
    out = sf.plan(
        sleepy, sf.grid(n=[10, 20]), replications=100_000, backend="batch", vcpus=4, memory="8G", jobs=20, deadline="2h", budget=50
    )  # fmt: skip
    first, rest = out.cloud.rows[0], out.cloud.rows[1:]
    assert (first.instance_type, first.jobs, first.cores, first.remark) == (
        "spot, 4 vCPUs, 8 GB",
        20,
        4,
        "as asked for",
    )
    assert {row.instance_type for row in rest} == {first.instance_type} and len({row.jobs for row in rest}) == len(rest)
    assert out.cloud.cheapest.seconds <= 7200 and 5 * out.cloud.fastest.dollars <= 50
    notes = " ".join(out.cloud.notes)
    for said in (
        "prices of eu-west-1",
        "Spot is never dearer",
        "a machine starts in 4 min",
        "the budget counts 5 attempts",
    ):
        assert said in notes
    options = check(BatchOptions, {"vcpus": 4, "memory": "8G"})
    of_a_vcpu = max(prices("eu-west-1").of(f"ml.{one}.xlarge") / 4 for one in ("m6i", "c6i", "r6i", "c7i")) / 1.2
    assert dollars_an_hour(options, "eu-west-1") == pytest.approx(4 * of_a_vcpu)
    assert first.dollars == pytest.approx(20 * first.seconds / 3600 * 4 * of_a_vcpu, rel=1e-3)


def test_fargate_costs_by_vcpu_and_memory_and_starts_sooner(here):
    out = sf.plan(
        sleepy, replications=1000, design=sf.grid(n=[10]), backend="batch", on="fargate", vcpus=1, memory="2G", jobs=1
    )
    row = out.cloud.rows[0]
    assert row.instance_type == "fargate, 1 vCPUs, 2 GB" and row.seconds > 90
    raised = 1.1 * prices("eu-west-1").of("ml.m5.xlarge") / prices("us-east-1").of("ml.m5.xlarge")
    assert row.dollars == pytest.approx((0.04048 + 2 * 0.004445) * raised * row.seconds / 3600, abs=1e-4)
    assert f"raised by {raised - 1:.0%} for eu-west-1" in out.cloud.notes[0] and "Spot" not in " ".join(out.cloud.notes)


@pytest.mark.parametrize(("cores", "fewer_jobs"), [(None, False), (1, True)])
def test_whole_scripts_share_an_instance_only_if_they_say_how_many_cores_they_use(here, cores, fewer_jobs):
    (here / "whole.py").write_text("import time\ntime.sleep(0.1)\nopen('r.csv', 'w').write('x\\n1\\n')\n")
    out = sf.plan(
        "whole.py", replications=1000, args="", results_file="r.csv", cores=cores, backend="sagemaker", workers=4,
        instance_type="ml.c5.4xlarge", jobs=1,
    )  # fmt: skip
    work = out.cloud.rows[0].seconds - START_UP_SECONDS
    alone = out.seconds_per_replication * 1000 / VCPU_SPEED
    assert work == pytest.approx(alone / 4 if fewer_jobs else alone, rel=0.05)
    assert any("cores sets" in note for note in out.cloud.notes) != fewer_jobs


def test_the_pilot_runs_in_the_image_where_r_is_not_installed_here(here, image_r, monkeypatch):
    (here / "simulate.R").write_text("simulate <- function(n) mean(rnorm(n))\n")
    (here / "bin").mkdir()
    monkeypatch.setenv("PATH", str(here / "bin"))
    with pytest.raises(WorkerError, match="R is not installed"):
        sf.plan("simulate.R", sf.grid(n=[10, 20]), replications=1000, backend="sagemaker")
    out = sf.plan("simulate.R", sf.grid(n=[10, 20]), replications=1000, backend="sagemaker", image=image_r)
    assert out.pilot_replications == 6 and out.cloud.rows
    assert any(
        f"the pilot ran in the image {image_r} on this machine: without it, R is not" in n for n in out.cloud.notes
    )


def test_a_pilot_that_fails_is_told(here):
    (here / "simulate.py").write_text("def simulate(rng):\n    open('/opt/ml/processing/input/no-such-file')\n")
    out = sf.plan("simulate.py", replications=3, backend="sagemaker")
    assert "3 of the pilot's 3 replications failed: their time may mean nothing" in out.cloud.notes


def test_the_command_shows_a_table_and_what_is_assumed(here):
    (here / "simulate.py").write_text("def simulate(n, rng):\n    return rng.normal()\n")
    command = [
        "plan",
        "simulate.py",
        "-p",
        "n=10,20",
        "-n",
        "1000",
        "--backend",
        "sagemaker",
        "--instance-type",
        "ml.c5.xlarge",
    ]
    said = CliRunner().invoke(main, [*command, "--jobs", "2", "--deadline", "1h", "--budget", "1"])
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()
    assert lines[0] == "2 conditions x 1,000 replications = 2,000"
    header = next(i for i, line in enumerate(lines) if line.startswith("instance type"))
    assert lines[header + 1].split()[:3] == ["ml.c5.xlarge", "2", "4"] and "as asked for" in lines[header + 1]
    assert "cheapest within 60 min" in said.output and "fastest within $1.00" in said.output
    assert "assumed: a core there is as fast as one here" in said.output
    made = json.loads(CliRunner().invoke(main, [*command, "--json"]).output)
    assert made["cloud"]["rows"][0]["instance_type"] == "ml.c5.xlarge" and made["cloud"]["cheapest"] is None


def planned(script, image, design=DESIGN, **given):
    given = {"replications": 20, "seed": 7, "image": image, "instance_type": "ml.t3.medium", "jobs": 1, **given}
    return sf.plan(script, sf.grid(design), backend="sagemaker", **given)


@pytest.fixture
def stored(place, tmp_path, monkeypatch):
    """A store in S3 and a script."""
    monkeypatch.setenv("SIMFERRY_STORE", place)
    return write(tmp_path, "mean.R", MEAN)


def test_an_image_pays_for_the_start_of_each_of_its_jobs(stored, emulator, scrap, capsys):
    recipe = "FROM debian:bookworm-slim\nCOPY train /usr/local/bin/train\nRUN chmod 755 /usr/local/bin/train\n"
    image = scrap.build(recipe, train="#!/bin/sh\nsleep 0.1\n")
    out = sf.plan(f"image:{image}", sf.grid(n=[1, 2]), replications=10, backend="sagemaker", spot=True, seed=1)
    (row,) = out.cloud.rows
    assert (out.stretches, row.jobs, row.instance_type) == (20, 20, "ml.m5.xlarge")
    assert row.dollars > 20 * START_UP_SECONDS / 3600 * 0.23
    assert "an image is a job for each replication, which pays for its start" in out.cloud.notes
    there = sf.plan("image:123456789012.dkr.ecr.us-east-1.amazonaws.com/x:1", replications=10, backend="sagemaker")
    assert there.cloud.rows == [] and "which is not on this machine" in there.cloud.notes[0]


def test_the_pilot_is_kept_and_the_run_takes_it_over(stored, emulator, image_r):
    out = planned(stored, image_r)
    assert (out.already_there, out.pilot_replications, out.seed) == (0, 6, 7)
    pilot = sf.open(out.pilot_run)
    (kept,) = [note for note in out.cloud.notes if "the pilot ran" in note]
    assert kept.startswith(
        f"the pilot ran in the image {image_r} on this machine, and is kept in {pilot._folder.handle}"
    )
    taken = []
    run = submit(emulator, stored, image_r, DESIGN, on_start=lambda run, count, drawn: taken.append(count))
    assert taken == [6]
    both = run.results().merge(pilot.results(), on=["condition", "replication"])
    assert len(both) == 6 and (both["value_x"] == both["value_y"]).all()
    # in a container here, which begins anew
    assert digest(run) == digest(
        sf.run(stored, sf.grid(DESIGN), replications=20, seed=7, backend="docker", image=image_r, fresh=True)
    )

    same = planned(stored, image_r)
    assert same.already_there == same.total == 40 and same.core_seconds == 0
    assert same.cloud.rows == [] and same.cloud.notes[0] == "there is nothing left to compute"
    more = planned(
        stored, image_r, {"n": [10, 20]}, replications=[50, 30]
    )  # as after extend, and with another condition
    assert (more.already_there, more.total) == (20, 80)
    assert any(n.startswith("20 of 80 replications are already in s3://") for n in more.cloud.notes)
    assert more.core_seconds < 0.9 * more.seconds_per_replication * more.total


def test_the_pilot_and_the_run_begin_with_the_same_setup_script(stored, emulator, image_r, tmp_path):
    script = write(
        tmp_path, "seven.R", 'seven <- scan("~/seven", quiet = TRUE)\nsimulate <- function(n) rnorm(1) + seven\n'
    )
    setup = write(tmp_path, "setup.sh", "echo 7 >~/seven\n")
    out = planned(script, image_r, before=setup)
    assert out.pilot_replications == 6 and {"name": "before", "path": str(setup)} in out.code
    taken = []
    submit(emulator, script, image_r, DESIGN, before=setup, on_start=lambda run, count, drawn: taken.append(count))
    assert taken == [6]


def test_without_the_image_here_the_pilot_is_not_kept_and_the_store_is_looked_at(stored, emulator, image_r):
    run = submit(emulator, stored, image_r, DESIGN, replications=2)
    uri = run._folder.record.options.backend_options["image"]
    submit(emulator, stored, uri, DESIGN, replications=4)  # R of this machine checks it
    out = planned(stored, uri)
    assert (out.already_there, out.pilot_run) == (8, None)
    assert "the pilot ran on this machine" in out.cloud.notes
    assert "the pilot is not kept: the image of the jobs is not on this machine" in out.cloud.notes
    assert len(sf.runs()) == 2


def test_large_inputs_are_not_uploaded_for_a_pilot(stored, emulator, image_r, tmp_path, monkeypatch):
    monkeypatch.setattr("simferry.verbs.cloud_plan.MOST_UPLOADED", 9)
    (tmp_path / "data.csv").write_text("x\n12345678\n")
    out = planned(stored, image_r, inputs={"data": tmp_path / "data.csv"})
    assert out.pilot_run is None and sf.runs() == []
    assert "the pilot is not kept: its inputs, 0.1 MB, would be uploaded" in out.cloud.notes


def test_a_store_that_can_not_be_used_is_told(stored, image_r):
    out = planned(stored, image_r, store="s3://no-such-bucket-of-mine/x")
    assert out.cloud.rows and out.pilot_run is None
    assert any(note.startswith("the pilot is not kept: there is no bucket") for note in out.cloud.notes)
    assert "what earlier runs have computed is not known" in out.cloud.notes
