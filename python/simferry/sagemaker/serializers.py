"""What turns data into the body of a request to an endpoint, with the interface of version 2."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from ..errors import UsageError

_TEXTS = (str, bytes, bytearray)


class BaseSerializer:
    """Turns data into a body. content_type: what the endpoint is told that the body is."""

    CONTENT_TYPE = "application/octet-stream"

    def __init__(self, content_type: str | None = None) -> None:
        self.content_type = content_type or self.CONTENT_TYPE
        self.CONTENT_TYPE = self.content_type

    def serialize(self, data: Any) -> Any:
        """The body for data. Raises UsageError for what can't be one."""
        raise NotImplementedError

    def __call__(self, data: Any) -> Any:  # as version 1 has it
        return self.serialize(data)


SimpleBaseSerializer = BaseSerializer


class IdentitySerializer(BaseSerializer):
    """The data as they are: text or bytes."""

    def serialize(self, data: Any) -> Any:
        """The data themselves. data: text, bytes, or an open file. Raises UsageError for others."""
        data = _read(data)
        if not isinstance(data, _TEXTS):
            raise UsageError(
                f"the data are a {type(data).__name__}, and without a serializer they have to be text or bytes",
                "CSVSerializer(), JSONSerializer() and NumpySerializer() of simferry.sagemaker.serializers turn others into those.",
            )
        return data


class StringSerializer(IdentitySerializer):
    CONTENT_TYPE = "text/plain"


class CSVSerializer(BaseSerializer):
    """Rows of commas: of a text, a row of values, a list of rows, a matrix or a data frame (without its names)."""

    CONTENT_TYPE = "text/csv"

    def serialize(self, data: Any) -> Any:
        """Lines of comma separated values. data: as of this class, or an open file. Raises UsageError where there are none."""
        data = _read(data)
        if isinstance(data, _TEXTS):
            return data
        if hasattr(data, "to_csv"):
            return data.to_csv(header=False, index=False).rstrip("\n")
        rows = _plain(data)
        if not isinstance(rows, list):
            rows = [rows]
        if not rows:
            raise UsageError("there are no data to send: the list of rows is empty")
        rows = rows if any(isinstance(row, list) for row in rows) else [rows]
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(rows)
        return out.getvalue().rstrip("\n")


class JSONSerializer(BaseSerializer):
    CONTENT_TYPE = "application/json"

    def serialize(self, data: Any) -> Any:
        """JSON. data: numbers, texts, lists, dicts, arrays, data frames; or an open file, which is taken as it is."""
        read = _read(data)
        return read if read is not data else json.dumps(_plain(data))


class JSONLinesSerializer(BaseSerializer):
    CONTENT_TYPE = "application/jsonlines"

    def serialize(self, data: Any) -> Any:
        """A line of JSON for each element. data: a list, or text that is taken as it is."""
        data = _read(data)
        return data if isinstance(data, _TEXTS) else "\n".join(json.dumps(_plain(one)) for one in data)


class NumpySerializer(BaseSerializer):
    """numpy's own format (.npy). dtype: of the array that is sent."""

    CONTENT_TYPE = "application/x-npy"

    def __init__(self, dtype: Any = None, content_type: str | None = None) -> None:
        super().__init__(content_type)
        self.dtype = dtype

    def serialize(self, data: Any) -> Any:
        """The bytes of an array. data: an array, lists of numbers, or an open file. Raises UsageError where there are none."""
        import numpy as np

        data = _read(data)
        if isinstance(data, _TEXTS):
            return data
        array = np.asarray(data, dtype=self.dtype)
        if not array.size:
            raise UsageError("there are no data to send: the array is empty")
        out = io.BytesIO()
        np.save(out, array, allow_pickle=False)
        return out.getvalue()


class LibSVMSerializer(IdentitySerializer):
    CONTENT_TYPE = "text/libsvm"


def _read(data: Any) -> Any:
    return data.read() if hasattr(data, "read") else data


def _plain(value: Any) -> Any:
    """A value as JSON and CSV hold it: arrays and tuples as lists, numbers of numpy as Python's, data frames as lists of rows."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict(orient="records")
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, _TEXTS):
        return [_plain(one) for one in value]
    return value
