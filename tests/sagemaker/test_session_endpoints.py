"""What a session does with endpoints of the service; those of this machine are tested in test_endpoints_here.py."""

import pytest
from simferry.aws.session import AwsError


def test_an_endpoint_that_does_not_exist_is_an_error_by_its_name(session):
    for call in (lambda: session.delete_endpoint("no"), lambda: session.models_of("no")):
        with pytest.raises(AwsError, match="endpoint no: "):
            call()
    with pytest.raises(AwsError, match="endpoint configuration no: "):
        session.delete_endpoint_config("no")
    with pytest.raises(AwsError, match="model no: "):
        session.delete_model("no")
