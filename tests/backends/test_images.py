"""Sweeps of images that are programs of the training contract, in containers here."""

import signal
from pathlib import Path

import pytest
import simferry as sf
from docker_fixtures import left_behind
from image_programs import PROGRAM, RECIPE
from simferry import errors
from sweeps import digest, simferry, wait_until
from toolkit_files import TOOLKIT


@pytest.fixture
def image(scrap):
    return scrap.build(RECIPE, train=PROGRAM)


@pytest.fixture
def given(tmp_path):
    (tmp_path / "data.csv").write_text("x\n1\n2\n")
    return {"results_file": "result.csv", "inputs": {"training": tmp_path / "data.csv"}, "backend": "docker", "seed": 7,
            "store": tmp_path / "store"}  # fmt: skip


def test_one_job_for_each_condition_and_replication(image, given, engine, tmp_path):
    design = sf.grid(gain=[1, 2, 5])
    assert sf.plan(f"image:{image}", design, replications=2, **given).stretches == 6
    given |= {"metric": {"loss": "loss=([0-9.]+)"}, "env": {"MODE": "file"}}
    run = sf.run(f"image:{image}", design, replications=2, cores=1, **given)
    rows = run.results()
    assert rows[["gain", "replication", "out", "lines", "loss"]].values.tolist() == [
        [1, 1, 2, 3, 0.1], [1, 2, 2, 3, 0.1], [2, 1, 4, 3, 0.1], [2, 2, 4, 3, 0.1],
    ]  # fmt: skip
    assert rows["seed"].nunique() == 4
    assert run.errors()["message"].tolist() == ["no convergence"] * 2
    assert sorted(run.status().jobs.values()) == ["failed"] * 2 + ["succeeded"] * 4
    kept = {path.relative_to(run.folder).as_posix() for path in (run.folder / "artifacts" / "2" / "1").rglob("*.*")}
    assert kept == {f"artifacts/2/1/{name}" for name in ("model/m-algo-1.txt", "output/result.csv", "metrics.csv")}
    assert left_behind(engine, run.id) == []
    assert not [*run.folder.glob("jobs/*/ml"), *run.folder.glob("jobs/*/archives")]
    assert run.record["image"].startswith("sha256:")
    # one at a time, and in another order: the same numbers
    other = sf.run(f"image:{image}", sf.grid(gain=[2, 1]), replications=2, fresh=True, **given).results()
    key = ["gain", "replication"]
    assert other.sort_values(key)["seed"].tolist() == rows["seed"].tolist()


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("folder", "/opt/ml/output/failure is a folder; the contract has a file there, with the reason why the program failed. "
                   "In the folder: bad data"),
        ("code", "the image exited with code 4: step 3 loss=0.3\nstep 2 loss=0.2\nstep 1 loss=0.1\nno licence for gain 5"),
    ],
)  # fmt: skip
def test_a_program_that_fails_has_failed(image, given, mode, reason):
    run = sf.run(f"image:{image}", sf.grid(gain=[5]), replications=1, env={"MODE": mode}, **given)
    assert run.errors()["message"].tolist() == [reason]
    assert "loss=0.1" in run.logs()["0001-0001"]
    with pytest.raises(errors.UsageError, match="a replication of an image is a job"):
        run.replay(1, 1)


def test_a_program_with_the_toolkit_does_all_replications_of_a_condition(scrap, image_python, given):
    program = """
import os, random
from simferry_toolkit import train

def fit(gain, label, sizes, n, gone):
    assert (label, sizes, gone) == ("10", [1, 2.5], 1.5 if gain == 0.5 else None), (label, sizes, gone)
    random.seed(int(os.environ["SIMFERRY_SEED_HEX"], 16))
    print("loss=0.25")
    return [{"x": gain * random.random(), "i": i} for i in range(n)]

train(fit)
"""
    files = {f"simferry_toolkit/{path.name}": path.read_text() for path in TOOLKIT.glob("*.py")}
    recipe = (
        f"FROM {image_python}\nCOPY simferry_toolkit /opt/simferry/simferry_toolkit\nENV PYTHONPATH=/opt/simferry\n"
        'COPY fit.py /opt/program/fit.py\nENTRYPOINT ["python3", "/opt/program/fit.py"]\n'
    )
    made = scrap.build(recipe, **{"fit.py": program, **files})
    design = sf.zipped(gain=[0.5, 1.5], label=["10", "10"], sizes=[[1, 2.5], [1, 2.5]], gone=[1.5, None])
    given |= {"results_file": "result.json", "metric": {"loss": "loss=(.*)"}, "replications_as": "n"}
    run = sf.run(f"image:{made}", design, replications=3, **given)
    assert run.errors()["message"].tolist() == []
    rows = run.results()
    assert rows["i"].tolist() == [0, 1, 2] * 2
    assert rows["loss"].tolist() == [0.25] * 6
    assert rows["x"].nunique() == 6
    assert len(run.status().jobs) == 2


def test_images_without_the_contracts_program(scrap, given):
    with pytest.raises(errors.SimferryError, match="has no program train, which the contract of training jobs runs"):
        sf.run("image:debian:bookworm-slim", replications=1, **given)
    made = scrap.build('FROM debian:bookworm-slim\nENTRYPOINT ["cat"]\n')
    run = sf.run(f"image:{made}", replications=1, **given)
    assert run.errors()["message"].tolist() == ["the image exited with code 1: cat: train: No such file or directory"]
    with pytest.raises(errors.SimferryError, match="there is no image simferry-none here"):
        sf.run("image:simferry-none", replications=1, **given)


def test_a_replication_that_takes_too_long_has_failed(image, given):
    run = sf.run(
        f"image:{image}", sf.grid(gain=[1]), replications=1, replication_timeout=1, env={"PAUSE": "60"}, **given
    )
    assert run.errors()["message"].tolist() == ["timed out after 1 s"]


def test_each_host_runs_the_program_and_their_models_are_merged(image, given):
    run = sf.run(f"image:{image}", sf.grid(gain=[1]), replications=1, hosts=2, **given)
    assert run.results()["out"].tolist() == [2]
    models = run.folder / "artifacts" / "1" / "1" / "model"
    assert sorted(path.name for path in models.iterdir()) == ["m-algo-1.txt", "m-algo-2.txt"]


def test_a_lost_container_is_started_again_and_a_stopped_run_goes_on(image, given, engine, tmp_path):
    words = ["run", f"image:{image}", "-p", "gain=1,2", "-n", "2", "--seed", "7", "--backend", "docker", "--store", "runs",
             "--results-file", "result.csv", "--input", "training=data.csv", "--env", "PAUSE=1.5"]  # fmt: skip
    child = simferry(*words, cwd=tmp_path, start=True)
    wait_until(lambda: containers(engine, tmp_path))
    containers(engine, tmp_path)[0].kill()
    wait_until(lambda: len(list((tmp_path / "runs").glob("*/blocks/*-f0"))) >= 1)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 4
    (folder,) = (tmp_path / "runs").iterdir()
    assert left_behind(engine, folder.name) == []
    logs = [path.read_text() for path in folder.glob("jobs/*/algo-1.log")]
    assert sum(text.endswith("simferry: exited with code 137\n") for text in logs) == 1
    before = {path.name for path in (folder / "blocks").iterdir()}
    assert 1 <= len(before) < 4
    assert simferry("resume", str(folder), cwd=tmp_path).returncode == 0
    assert before < {path.name for path in (folder / "blocks").iterdir()}
    run = sf.open(folder)
    env = {"PAUSE": "0"}
    whole = sf.run(f"image:{image}", sf.grid(gain=[1, 2]), replications=2, env=env, **given)
    assert digest(run) == digest(whole)


def containers(engine, tmp_path: Path):
    """The containers of the only run of a store."""
    runs = list((tmp_path / "runs").glob("*/run.json"))
    label = {"label": f"simferry.owner={runs[0].parent.name}"} if runs else {}
    return engine.containers.list(filters=label) if runs else []
