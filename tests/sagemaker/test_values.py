"""Values as R gives them."""

import pytest
from sagemaker_fixtures import processor
from simferry.errors import UsageError
from simferry.sagemaker.processing import ProcessingInput


def test_numbers_of_r_and_single_values_will_do(sent, r_script):
    it = processor(command="/usr/bin/Rscript", instance_count=2.0, volume_size_in_gb=5.0, max_runtime_in_seconds=3600.0,
                   env={"N": 1000.0, "FLAG": True}, tags={"project": "a"})  # fmt: skip
    it.run(
        r_script,
        inputs=ProcessingInput("s3://b/x", "/opt/ml/processing/input"),
        outputs=[],
        arguments=["--args", 1000.0, 0.1, 1e5, True, 3],
        wait=False,
    )
    assert sent[0]["AppSpecification"]["ContainerArguments"] == ["--args", "1000", "0.1", "100000", "TRUE", "3"]
    assert sent[0]["AppSpecification"]["ContainerEntrypoint"][0] == "/usr/bin/Rscript"
    cluster = sent[0]["ProcessingResources"]["ClusterConfig"]
    assert cluster == {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 5}
    assert sent[0]["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600}
    assert sent[0]["Environment"] == {"N": "1000", "FLAG": "TRUE"}
    assert sent[0]["Tags"] == [{"Key": "project", "Value": "a"}]
    with pytest.raises(UsageError, match=r"instance_count is 1\.5"):
        processor(instance_count=1.5)


def test_what_is_no_single_value_is_not_passed_on(sent, r_script):
    """os.environ.get() of a variable that is not set; NULL in a list of R."""
    with pytest.raises(UsageError, match=r"arguments: value 2 of 2 is None \(NULL in R\)"):
        processor().run(r_script, arguments=["--seed", None], wait=False)
    with pytest.raises(UsageError, match=r"arguments: value 2 of 2 is \[1.0, 2.0\], and has to be a single value"):
        processor().run(r_script, arguments=["--n", [1.0, 2.0]], wait=False)
    with pytest.raises(UsageError, match="env: SEED is None"):
        processor(env={"SEED": None})
    assert sent == []
