"""The requests of the batch backend, as the service takes them."""

import json

import pytest
import simferry as sf
from simferry.aws.contracts import batch as contract
from simferry.aws.limits import check_request
from simferry.backends import batch_requests as requests
from simferry.errors import UsageError
from simferry.sweep.options import BatchOptions

KEPT = {"image": "i@sha256:1", "queue": "q", "job_role": "arn:job", "execution_role": "arn:execution", "log_group": "g"}
SPEC = {"language": "python", "kind": "function", "env": {}}


@pytest.fixture
def run(tmp_path):
    done = sf.run(lambda n, rng: n, sf.grid(n=[1, 2]), replications=1, store=tmp_path / "runs", seed=1)
    return done._folder


def submitted(run, options, **more):
    (plan,) = run.plans()
    return requests.submission(options, run, plan, "name", "arn:definition", "eu-west-1", **more)


def carried(request):
    given = request["containerOverrides"]["environment"]
    return json.loads(next(one["value"] for one in given if one["name"] == "SIMFERRY_CARRIED"))


def test_a_container_that_carries_its_own_files():
    made = requests.definition(BatchOptions(**KEPT, vcpus=4.0, memory="8G"), SPEC, ())
    check_request("batch", "RegisterJobDefinition", {"jobDefinitionName": "n", **made})
    only = made["containerProperties"]
    assert only["command"] == contract.carrier_command()
    assert only["resourceRequirements"] == [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "8192"}]
    assert made["retryStrategy"]["attempts"] == 5 and made["platformCapabilities"] == ["EC2"]
    behind = requests.definition(BatchOptions(**KEPT, entrypoint="/usr/bin/python3"), SPEC, ())
    assert behind["containerProperties"]["command"] == contract.carrier_command()[1:]


@pytest.mark.parametrize(
    ("on", "needs"),
    [("spot", (["1", "512"], ["2", "4096"])), ("fargate", (["0.25", "512"], ["1.75", "3584"]))],
)
def test_a_container_beside_the_carrier(on, needs):
    """On Fargate the two share the size that was asked for."""
    options = BatchOptions(**KEPT, on=on, carrier_image="python", entrypoint="Rscript")
    made = requests.definition(options, {**SPEC, "language": "r"}, ("python3",))
    check_request("batch", "RegisterJobDefinition", {"jobDefinitionName": "n", **made})
    (task,) = made["ecsProperties"]["taskProperties"]
    carrier, worker = task["containers"]
    assert (carrier["name"], carrier["essential"], worker["essential"]) == ("carry", True, False)
    assert carrier["command"] == contract.carrier_command()[1:]
    beside = contract.beside_command(["Rscript", "/opt/ml/processing/input/code/worker.R", "run"])
    assert worker["command"] == contract.after_entrypoint(["Rscript"], beside)
    assert tuple([one["value"] for one in c["resourceRequirements"]] for c in (carrier, worker)) == needs
    assert len(json.dumps(made)) < contract.LONGEST_DEFINITION


def test_an_entry_point_that_takes_no_command_is_refused():
    with pytest.raises(UsageError, match=r"runs no other program, .* can't replace it: python3 app[.]py"):
        requests.definition(BatchOptions(**KEPT, entrypoint="python3 app.py"), SPEC, ())


def test_what_a_job_is_told(run):
    request = submitted(run, BatchOptions(**KEPT), kms_key="key")
    told = carried(request)
    assert told["region"] == "eu-west-1" and told["kms_key"] == "key"  # containers on EC2 are not told their region
    assert told["command"] == ["python3", "/opt/ml/processing/input/code/worker.py", "run"]
    assert told["jobs"] == run.job_address("0001-0001") and told["plan"] == "0001" and told["inputs"] == {}
    request["timeout"] = {"attemptDurationSeconds": 60}  # a local plan has no limit
    check_request("batch", "SubmitJob", request)
    assert "kms_key" in carried(submitted(run, BatchOptions(**KEPT)))


def test_beside_each_other_each_is_told_its_part(run):
    request = submitted(run, BatchOptions(**KEPT, carrier_image="python"))
    (task,) = request["ecsPropertiesOverride"]["taskProperties"]
    names = [{one["name"] for one in container["environment"]} for container in task["containers"]]
    assert names[0] == {"SIMFERRY_CARRIED"} and "SIMFERRY_INPUT" in names[1] and "SIMFERRY_CARRIED" not in names[1]


def test_too_long_variables_are_refused(tmp_path):
    env = {f"V{i}": "x" * 250 for i in range(40)}
    done = sf.run(lambda rng: 1.0, replications=1, store=tmp_path / "runs", env=env)
    with pytest.raises(UsageError, match="more than 8,192 characters"):
        submitted(done._folder, BatchOptions(**KEPT))
