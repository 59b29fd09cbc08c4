"""An endpoint that is asked for predictions, with the interface of version 2, and version 1's names."""

from typing import Any

from .deserializers import BaseDeserializer, BytesDeserializer, CSVDeserializer, JSONDeserializer, NumpyDeserializer
from .serializers import BaseSerializer, CSVSerializer, IdentitySerializer, JSONSerializer, NumpySerializer
from .session import Session
from .values import text

csv_serializer, json_serializer, npy_serializer = CSVSerializer(), JSONSerializer(), NumpySerializer()
csv_deserializer, json_deserializer, numpy_deserializer = CSVDeserializer(), JSONDeserializer(), NumpyDeserializer()


class Predictor:
    """An endpoint. serializer: makes the body of a request [data are text or bytes]. deserializer: reads the answer [bytes].

    content_type, accept: of requests, in place of those of serializer and deserializer.
    """

    def __init__(
        self,
        endpoint_name: str | None = None,
        sagemaker_session: Session | None = None,
        serializer: Any = None,
        deserializer: Any = None,
        content_type: str | None = None,
        accept: Any = None,
        endpoint: str | None = None,
        component_name: str | None = None,
    ) -> None:
        self.endpoint_name = str(endpoint_name or endpoint)
        self.sagemaker_session = sagemaker_session or Session()
        self.serializer: Any = serializer or IdentitySerializer()
        self.deserializer: Any = deserializer or BytesDeserializer()
        self._content_type, self._accept = content_type, accept

    @property
    def endpoint(self) -> str:
        """Version 1's name of endpoint_name."""
        return self.endpoint_name

    @property
    def content_type(self) -> str:
        return str(self._content_type or getattr(self.serializer, "CONTENT_TYPE", BaseSerializer.CONTENT_TYPE))

    @content_type.setter
    def content_type(self, value: str) -> None:
        self._content_type = value

    @property
    def accept(self) -> Any:
        return self._accept or getattr(self.deserializer, "ACCEPT", BaseDeserializer.ACCEPTS)

    @accept.setter
    def accept(self, value: Any) -> None:
        self._accept = value

    def predict(
        self,
        data: Any,
        initial_args: Any = None,
        target_model: str | None = None,
        target_variant: str | None = None,
        inference_id: str | None = None,
        custom_attributes: str | None = None,
    ) -> Any:
        """What the endpoint answers, read by the deserializer.

        data: what the serializer takes. initial_args: more arguments of InvokeEndpoint, by name. target_model, target_variant,
        inference_id, custom_attributes: of InvokeEndpoint.

        Raises UsageError for data that can't be sent, AwsError if AWS refuses, or the model fails.
        """
        body = self.serializer.serialize(data) if hasattr(self.serializer, "serialize") else self.serializer(data)
        accept = self.accept if isinstance(self.accept, str) else ", ".join(self.accept)
        named = {
            "TargetModel": target_model, "TargetVariant": target_variant, "InferenceId": inference_id,
            "CustomAttributes": custom_attributes,
        }  # fmt: skip
        request = {"ContentType": self.content_type, "Accept": accept, **dict(initial_args or {})}
        request |= {name: text(value) for name, value in named.items() if value is not None}
        answer = self.sagemaker_session.invoke_endpoint(
            self.endpoint_name, body.encode() if isinstance(body, str) else body, request
        )
        read = self.deserializer
        return (read.deserialize if hasattr(read, "deserialize") else read)(answer["Body"], answer["ContentType"])

    def delete_endpoint(self, delete_endpoint_config: bool = True) -> None:
        """Delete the endpoint. delete_endpoint_config: its configuration too. Raises AwsError."""
        self.sagemaker_session.delete_endpoint(self.endpoint_name, bool(delete_endpoint_config))

    delete_predictor = delete_endpoint

    def delete_model(self) -> None:
        """Delete the endpoint's models; call it before delete_endpoint, as in version 2. Raises AwsError."""
        for name in self.sagemaker_session.models_of(self.endpoint_name):
            self.sagemaker_session.delete_model(name)


RealTimePredictor = Predictor
