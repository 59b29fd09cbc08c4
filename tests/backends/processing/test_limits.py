"""Budgets, quotas and the number of requests."""

import pytest
import simferry as sf
from sagemaker_sweeps import SLOW, SMALL, described, submit
from simferry import errors
from simferry.backends import processing as backend
from simferry.emulator import Faults
from simferry.images.find import find_or_push
from simferry.verbs.compute import backend_of_run
from sweeps import DRAWS, write


def test_jobs_beyond_the_quota_go_in_waves(tmp_path, emulate, image_r):
    emulator = emulate(quotas={SMALL: 1})
    said = []
    run = submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, jobs=3, on_progress=said.append)
    assert run.status().state == "complete" and len(described(emulator)) == 3
    assert any("service limit" in now.note and now.jobs["0001-0003"] == "pending" for now in said)


def test_the_first_type_that_is_to_be_had(tmp_path, emulate, image_r):
    emulator = emulate(quotas={SMALL: 0})
    run = submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, instance_type=f"{SMALL},ml.t3.large")
    assert run.status().state == "complete"
    assert described(emulator)[0]["ProcessingResources"]["ClusterConfig"]["SelectedInstanceType"] == "ml.t3.large"


def test_a_budget_is_kept_by_the_service_itself(tmp_path, emulator, image_r):
    script = write(tmp_path, "slow.R", SLOW)
    run = submit(emulator, script, image_r, {"n": [5, 10]}, jobs=2, budget=0.02)
    for job in described(emulator):  # 2 x (start-up of 240 s and this) at 0.05 dollars an hour
        assert job["StoppingCondition"]["MaxRuntimeInSeconds"] == int(0.02 / (2 * 0.05 / 3600) - 240) == 480
    assert 0 < run.status().dollars < 0.02
    with pytest.raises(errors.BudgetReached, match=r"the budget of \$0\.001 does not allow 2 more jobs"):
        run.extend(30, budget=0.001, jobs=2)
    assert len(described(emulator)) == 2 and len(run._folder.plans()) == 1
    assert run.extend(30, budget=0.1, jobs=1).status().state == "complete"
    assert backend_of_run(run._folder).options.budget == 0.1  # from then on
    spent = run.status().dollars
    dear = backend_of_run(sf.open(run.address)._folder, instance_type="ml.m5.24xlarge")
    assert dear.poll(run._folder, []).dollars == pytest.approx(
        spent, rel=0.2
    )  # what ran has the price of what it ran on


def test_a_budget_under_a_quota(tmp_path, emulate, image_r):
    emulator = emulate(quotas={SMALL: 1})
    run = submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, jobs=3, budget=0.5)
    assert run.status().state == "complete" and len(described(emulator)) == 3
    worst = sum(240 + job["StoppingCondition"]["MaxRuntimeInSeconds"] for job in described(emulator)) * 0.05 / 3600
    assert worst <= 0.5


def test_requests_of_a_large_sweep(tmp_path, emulate, image_r, monkeypatch):
    emulator = emulate(faults=Faults(start_seconds=1000))
    uri = find_or_push(image_r).uri
    counts = []
    start_script = backend.start_script

    def counting(**job):
        start_script(**job)
        counts.append(emulator.requests.copy())
        if len(counts) == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(backend, "start_script", counting)
    emulator.requests.clear()
    given = {"replications": 1, "jobs": 10, "store": f"s3://{emulator.bucket}/many"}
    with pytest.raises(errors.Interrupted, match="10 jobs go on"):
        submit(emulator, write(tmp_path, *DRAWS["r"]), uri, {"n": range(1, 10_001)}, **given)
    s3 = sum(n for (service, _), n in counts[-1].items() if service == "s3")
    (run,) = sf.runs(given["store"])
    code = sum(path.is_file() for path in run._folder.code.rglob("*"))
    assert counts[-1].total() - s3 <= 12 and s3 - code <= 30, (counts[-1], code)
