"""A script's files and hyperparameters, as a job's request has them."""

import pytest
from sagemaker_fixtures import BUCKET, IMAGE
from simferry.errors import UsageError
from simferry.sagemaker.script_mode import Script, code_of, encoded, plain, script_of


def test_hyperparameters_are_texts_and_rs_whole_numbers_have_no_point():
    given = {"n": 10.0, "rate": 0.1 + 0.2, "flag": True, "list": [1.0, "a"], "text": "b"}
    assert plain(given) == {"n": "10", "rate": "0.30000000000000004", "flag": "True", "list": "[1, 'a']", "text": "b"}
    expected = {"n": "10", "rate": "0.30000000000000004", "flag": "true", "list": '[1, "a"]', "text": '"b"'}
    assert encoded(given) == expected
    with pytest.raises(UsageError, match="hyperparameter n is None"):
        plain({"n": None})


def test_what_a_job_of_the_services_toolkit_ran_is_known():
    told = {"sagemaker_program": '"t.py"', "sagemaker_submit_directory": '"s3://b/s.tar.gz"', "sagemaker_region": '"x"', "n": "3",
            "sagemaker_mpi_num_of_processes_per_host": "4", "sagemaker_mpi_custom_mpi_options": '"-x A"'}  # fmt: skip
    assert script_of({"AlgorithmSpecification": {}, "HyperParameters": told}) == {
        "hyperparameters": {"n": "3"},
        "environment": {},
        "entry_point": "t.py",
        "source_dir": "s3://b/s.tar.gz",
        "distribution": {"mpi": {"enabled": True, "processes_per_host": 4, "custom_mpi_options": "-x A"}},
    }
    program = {"ContainerEntrypoint": ["sh"], "ContainerArguments": ["x"]}
    found = script_of({"AlgorithmSpecification": program})
    assert (found["container_entry_point"], found["container_arguments"]) == (["sh"], ["x"])


def test_an_archive_in_s3_is_a_channel_of_its_own(session, tmp_path):
    script = Script("sub/train.py", "s3://b/c/code.tar.gz", None, f"s3://{BUCKET}/code")
    code = code_of(script, IMAGE, "job", session, False, tmp_path)
    assert [(one["ChannelName"], one["DataSource"]["S3DataSource"]["S3Uri"]) for one in code.channels] == [
        ("simferry_driver", f"s3://{BUCKET}/code/job/source/"),
        ("simferry_source", "s3://b/c/code.tar.gz"),
    ]
    assert code.arguments == ["/opt/ml/input/data/simferry_source/code.tar.gz", "sub/train.py"]
    with pytest.raises(UsageError, match="dependencies go with code of this machine"):
        code_of(Script("a.py", "s3://b/c.tar.gz", ["x"], None), IMAGE, "job", session, False, tmp_path / "none")
