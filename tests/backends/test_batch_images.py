"""Images that are the program, on AWS Batch: sweeps on the emulator, in real containers."""

import json

import pytest
import simferry as sf
from batch_sweeps import arrays, own_cache  # noqa: F401
from image_programs import PROGRAM, RECIPE
from sweeps import digest, simferry


@pytest.fixture
def image(scrap):
    return scrap.build(RECIPE, train=PROGRAM)


@pytest.fixture
def given(tmp_path):
    (tmp_path / "data.csv").write_text("x\n1\n2\n")
    return {"results_file": "result.csv", "inputs": {"training": tmp_path / "data.csv"}, "seed": 7, "replications": 2,
            "metric": {"loss": "loss=([0-9.]+)"}, "env": {"MODE": "file"}}  # fmt: skip


def test_a_job_for_each_replication_gives_the_table_of_docker(tmp_path, on_batch, image, given):
    design = sf.grid(gain=[1, 5])
    docker = sf.run(f"image:{image}", design, backend="docker", store=tmp_path / "store", **given)
    run = sf.run(f"image:{image}", design, backend="batch", vcpus=1, **given)
    assert digest(run) == digest(docker)
    assert run.errors()["message"].tolist() == ["no convergence"] * 2
    assert sorted(run.status().jobs.values()) == ["failed"] * 2 + ["succeeded"] * 2
    assert sorted(job["status"] for job in arrays()) == ["FAILED"] * 2 + ["SUCCEEDED"] * 2  # as the console shows them
    names = [path.name for path in run.artifacts(1, 1)]
    assert names[0] == "metrics.csv" and names[2] == "result.csv" and names[1].startswith("m-")
    assert "loss=0.1" in run.logs()["0001-0001"]
    assert json.loads(simferry("status", run.address, "--json", cwd=tmp_path).stdout)["failed"] == 2
    assert run.resume().status().state == "complete" and len(arrays()) == 4
