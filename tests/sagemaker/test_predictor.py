"""Predictors: what they send, and version 1's names."""

import io

from simferry.sagemaker.deserializers import JSONDeserializer
from simferry.sagemaker.predictor import Predictor, RealTimePredictor, csv_serializer, json_deserializer
from simferry.sagemaker.serializers import CSVSerializer


class Asked:
    """A session whose endpoint answers [1, 2]."""

    def __init__(self):
        self.seen = []

    def invoke_endpoint(self, name, body, request):
        self.seen.append((name, body, request))
        return {"Body": io.BytesIO(b"[1, 2]"), "ContentType": "application/json"}


def test_the_request_is_that_of_serializer_and_deserializer():
    session = Asked()
    it = Predictor("e", session, CSVSerializer(), JSONDeserializer())
    assert it.predict([[1, 2]], {"EnableExplanations": "x"}, target_variant="v") == [1, 2]
    assert session.seen == [
        (
            "e",
            b"1,2",
            {"ContentType": "text/csv", "Accept": "application/json", "EnableExplanations": "x", "TargetVariant": "v"},
        )
    ]


def test_version_1_sets_its_members():
    session = Asked()
    it = RealTimePredictor("e", session)
    it.content_type, it.serializer, it.deserializer, it.accept = "text/csv", csv_serializer, json_deserializer, None
    assert it.predict("5,6") == [1, 2] and it.endpoint == "e"
    it.serializer, it.deserializer = str.upper, None
    it.deserializer = lambda body, kind: (body.read(), kind)
    assert it.predict("a") == (b"[1, 2]", "application/json")
    assert session.seen[-1] == ("e", b"A", {"ContentType": "text/csv", "Accept": "*/*"})
