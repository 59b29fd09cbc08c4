"""What turns an endpoint's answer into a value, with the interface of version 2. Nothing is unpickled."""

import contextlib
import csv
import io
import json
from typing import Any


class BaseDeserializer:
    """Turns an answer into a value. accept: the types of answers that the endpoint is asked for."""

    ACCEPTS: tuple[str, ...] = ("*/*",)

    def __init__(self, accept: str | tuple[str, ...] | None = None) -> None:
        self.ACCEPT = ((accept,) if isinstance(accept, str) else tuple(accept)) if accept else self.ACCEPTS

    def deserialize(self, stream: Any, content_type: str) -> Any:
        """The value of an answer. stream: its body, which is read. content_type: what it says that it is."""
        with contextlib.closing(stream):
            return self._value(stream.read(), content_type)

    def _value(self, body: bytes, content_type: str) -> Any:
        return body

    def __call__(self, stream: Any, content_type: str) -> Any:  # as version 1 has it
        return self.deserialize(stream, content_type)


SimpleBaseDeserializer = BaseDeserializer


class BytesDeserializer(BaseDeserializer):
    """The bytes of the answer."""


class StringDeserializer(BaseDeserializer):
    """The answer as text. encoding: of it."""

    ACCEPTS = ("application/json",)

    def __init__(self, encoding: str = "UTF-8", accept: str | tuple[str, ...] | None = None) -> None:
        super().__init__(accept)
        self.encoding = encoding

    def _value(self, body: bytes, content_type: str) -> Any:
        return body.decode(self.encoding)


class CSVDeserializer(StringDeserializer):
    """A list of rows, each a list of texts."""

    ACCEPTS = ("text/csv",)

    def _value(self, body: bytes, content_type: str) -> Any:
        return list(csv.reader(body.decode(self.encoding).splitlines()))


class JSONDeserializer(BaseDeserializer):
    ACCEPTS = ("application/json",)

    def _value(self, body: bytes, content_type: str) -> Any:
        return json.loads(body)


class JSONLinesDeserializer(BaseDeserializer):
    ACCEPTS = ("application/jsonlines",)

    def _value(self, body: bytes, content_type: str) -> Any:
        return [json.loads(line) for line in body.splitlines() if line.strip()]


class NumpyDeserializer(BaseDeserializer):
    """An array, of .npy, CSV or JSON. dtype: of it, where the answer has none. Arrays of objects are refused: they would be unpickled."""

    ACCEPTS = ("application/x-npy",)

    def __init__(
        self, dtype: Any = None, accept: str | tuple[str, ...] | None = None, allow_pickle: bool = False
    ) -> None:
        super().__init__(accept)
        self.dtype = dtype

    def _value(self, body: bytes, content_type: str) -> Any:
        import numpy as np

        if content_type.startswith("text/csv"):
            return np.genfromtxt(io.StringIO(body.decode()), delimiter=",", dtype=self.dtype)
        if content_type.startswith("application/json"):
            return np.array(json.loads(body), dtype=self.dtype)
        return np.load(io.BytesIO(body), allow_pickle=False)


class PandasDeserializer(BaseDeserializer):
    """A data frame, of CSV or JSON."""

    ACCEPTS = ("text/csv", "application/json")

    def _value(self, body: bytes, content_type: str) -> Any:
        import pandas as pd

        if content_type.startswith("application/json"):
            return pd.DataFrame(json.loads(body))
        return pd.read_csv(io.BytesIO(body))


class StreamDeserializer(BaseDeserializer):
    """The open answer, and what it says that it is."""

    def deserialize(self, stream: Any, content_type: str) -> Any:
        """Both of them. stream: the body. content_type: of it."""
        return stream, content_type
