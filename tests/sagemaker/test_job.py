"""Jobs that are found again."""

import pytest
from aws_fixtures import ACCOUNT, REGION
from sagemaker_fixtures import processor
from simferry.aws.session import AwsError
from simferry.sagemaker.processing import ProcessingJob, ProcessingOutput


def test_a_job_is_found_again_by_its_name_or_arn(sent, r_script, session):
    it = processor(output_kms_key="key")
    it.run(r_script, outputs=[ProcessingOutput("/opt/ml/processing/output")], wait=False, job_name="mine")
    found = ProcessingJob.from_processing_name(session, "mine")
    assert found.output_config == it.latest_job.output_config
    assert [vars(one) for one in found.inputs] == [vars(one) for one in it.latest_job.inputs]
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/mine"
    assert ProcessingJob.from_processing_arn(session, arn).job_name == "mine"
    assert session.was_processing_job_successful("mine")
    with pytest.raises(AwsError, match="processing job other"):
        session.describe_processing_job("other")
