"""Asking endpoints: sizes, errors of the container and of the service, names that are not there."""

import io

import pandas as pd
import pytest
from botocore.exceptions import ClientError
from hosting_accounts import IMAGE
from simferry import Endpoint
from simferry.aws.session import AwsError
from simferry.errors import NoAnswer, UsageError
from simferry.hosting import endpoint


@pytest.fixture
def runtime(hosting, monkeypatch):
    """Answers InvokeEndpoint with `answers`, in order; errors are raised. What was asked is in `asked`."""

    class Runtime:
        answers, asked = [], []

        def invoke_endpoint(self, **request):
            self.asked.append(request)
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return {"Body": io.BytesIO(answer), "ContentType": "text/csv; charset=utf-8"}

    made = Runtime()
    monkeypatch.setattr(endpoint, "client", lambda service, attempts: made)
    Endpoint.deploy(IMAGE, serverless=True, yes=True, tell=lambda line: None)
    return made


def error(code, message="", status=400, **more):
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(answer, "InvokeEndpoint")


def test_a_request_and_a_prediction(runtime, tmp_path):
    served = Endpoint("trees")
    runtime.answers[:] = [b"1\n", b"2\n", b"0.5\n1\n"]
    (tmp_path / "data.csv").write_text("5,3\n")
    assert served.invoke(tmp_path / "data.csv") == b"1\n" and served.invoke("a", "text/plain", "text/csv") == b"2\n"
    assert served.predict(pd.DataFrame({"x": [1, 2], "y": [0.1, None]})).tolist() == [0.5, 1]
    assert [(one["Body"], one["ContentType"], one.get("Accept")) for one in runtime.asked] == [
        (b"5,3\n", "text/csv", None), (b"a", "text/plain", "text/csv"), (b"1,0.1\n2,\n", "text/csv", None),
    ]  # fmt: skip


def test_what_is_too_large_is_not_sent(runtime):
    with pytest.raises(
        UsageError, match="the data have 4,194,305 bytes; a serverless endpoint takes 4,194,304"
    ) as refused:
        Endpoint("trees").invoke(b"a" * (4 * 2**20 + 1))
    assert "use a batch transform" in refused.value.hint
    with pytest.raises(UsageError, match="the data have 6,291,457 bytes; an endpoint takes 6,291,456"):
        Endpoint("none").invoke(b"a" * 6_291_457)
    assert runtime.asked == []


def test_errors_have_the_words_of_the_container_or_the_service(runtime):
    said = {"OriginalStatusCode": 415, "OriginalMessage": "text/csv only\n"}
    runtime.answers[:] = [
        error("ModelError", "Received client error (415)", 424, **said), 
        error("ModelError", "", 424, OriginalStatusCode=0, OriginalMessage="timed out"),
        error("ValidationError", "Endpoint tree not found."),
        error("ServiceUnavailable", "busy", 503), error("AccessDeniedException", "no"),
    ]  # fmt: skip
    with pytest.raises(AwsError, match="endpoint trees: its container answered 415: text/csv only") as refused:
        Endpoint("trees").invoke("a")
    assert refused.value.hint == 'simferry.Endpoint("trees").logs()  shows what it has printed.'
    with pytest.raises(AwsError, match="endpoint trees: its container gave no answer: timed out"):
        Endpoint("trees").invoke("a")
    with pytest.raises(UsageError, match="there is no endpoint tree in us-west-2\nDid you mean trees"):
        Endpoint("tree").invoke("a")
    with pytest.raises(NoAnswer, match="busy"):
        Endpoint("trees").invoke("a")
    with pytest.raises(AwsError, match="access to endpoint trees is denied"):
        Endpoint("trees").invoke("a")


def test_names_that_are_not_there(hosting):
    for asked in (
        lambda: Endpoint("tree").describe(),
        lambda: Endpoint("tree").status,
        lambda: Endpoint("tree").logs(),
    ):
        with pytest.raises(UsageError, match="there is no endpoint tree in us-west-2\nsimferry"):
            asked()
    Endpoint.deploy(IMAGE, yes=True, tell=lambda line: None)
    with pytest.raises(
        UsageError, match="there is no endpoint tree in us-west-2\nDid you mean trees"
    ):  # it would cost on
        Endpoint("tree").delete()
    with pytest.raises(UsageError, match="is no name of an endpoint"):
        Endpoint("a b")
