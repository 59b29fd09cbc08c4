"""Tables as bodies of requests, and answers as arrays and tables."""

import csv
import io
import json
import warnings
from collections.abc import Sequence
from typing import Any

from ..errors import UsageError
from ..hints import Option
from ..words import counted

_MISSING = ["", "NA", "NaN", "nan"]  # in an answer


def body_of(data: Any, content_type: str, header: bool = False) -> tuple[bytes, int]:
    """The body for a table, and the number of its rows. Missing values are empty in CSV, null in JSON; no digits are lost."""
    import pandas as pd

    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    if not len(frame) or not len(frame.columns):
        raise UsageError("the data have no rows or no columns, so there is nothing to predict")
    kind = _kind(content_type)
    if kind == "text/csv":
        return frame.to_csv(index=False, header=header, lineterminator="\n").encode(), len(frame)
    if kind == "application/json":
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        named = [{str(name): value for name, value in row.items()} for row in rows]
        return json.dumps(named, default=lambda v: v.item() if hasattr(v, "item") else str(v)).encode(), len(frame)
    raise UsageError(f"a table can't be sent as {content_type}", Option("content_type", "text/csv"))


def values_of(body: bytes, content_type: str, rows: int) -> Any:
    """An answer's values: an array, or a DataFrame where each row has several. rows: those that were sent.

    Raises UsageError for an answer that is neither CSV nor JSON, or damaged.
    """
    kind = _kind(content_type)
    try:
        text = body.decode()
        if kind == "application/json" or (kind not in ("text/csv", "text/plain", "") and text.lstrip()[:1] in "[{"):
            values = _of_json(json.loads(text))
        elif kind in ("text/csv", "text/plain", "", "text/html"):
            values = _of_csv(text, rows)
        else:
            raise UsageError(
                f"the answer is {content_type}, which is neither CSV nor JSON",
                "Ask for another: " + Option("accept", "text/csv") + ", or take its bytes with invoke.",
            )
    except (ValueError, csv.Error) as error:
        raise UsageError(f"the answer ({content_type or 'of no type'}) can't be read: {error}") from None
    count = len(values) if hasattr(values, "__len__") else 1
    if count != rows:
        warnings.warn(f"{counted(rows, 'row')} had {counted(count, 'answer')}", stacklevel=3)
    return values


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _of_json(value: Any) -> Any:
    """Lists of numbers as an array, of records or lists as a DataFrame; what `predictions` holds, if that is all."""
    import numpy as np
    import pandas as pd

    if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), list):
        (value,) = value.values()
    if not isinstance(value, list) or not value:
        return value
    if all(isinstance(one, (dict, list)) for one in value):
        frame = pd.DataFrame(value)
        return frame if len(frame.columns) != 1 or isinstance(value[0], dict) else frame.iloc[:, 0].to_numpy()
    numbers = all(isinstance(one, (int, float)) or one is None for one in value)
    if numbers and any(one is None for one in value):
        value = [float("nan") if one is None else one for one in value]
    return np.array(value) if numbers or all(isinstance(one, str) for one in value) else value


def _of_csv(text: str, rows: int) -> Any:
    """One value a row as an array, else a DataFrame. A header is known by the number of lines; one line may have all answers."""
    import pandas as pd

    cells = [row or [""] for row in csv.reader(io.StringIO(text, newline=""))]
    while len(cells) > rows and cells[-1] == [""]:
        cells.pop()
    if not cells:
        raise ValueError("it is empty")
    names: list[Any] = []
    if len(cells) == rows + 1:
        names = cells.pop(0)
    if rows > 1 and len(cells) == 1 and len(cells[0]) == rows:
        cells = [[one] for one in cells[0]]
    if ragged := [number for number, row in enumerate(cells, 1) if len(row) != len(cells[0])]:
        raise ValueError(f"line {ragged[0]} has {len(cells[ragged[0] - 1])} values, the first {len(cells[0])}")
    columns = [_column(column) for column in zip(*cells, strict=True)]
    if len(columns) == 1:
        return columns[0]
    frame = pd.DataFrame(dict(enumerate(columns)))
    return frame.set_axis(names, axis="columns") if names else frame


def _column(cells: Sequence[str]) -> Any:
    """Whole numbers, numbers with all their digits, or texts, with None for what is missing."""
    import numpy as np

    missing = [cell.strip() in _MISSING for cell in cells]
    for kind in () if any("_" in cell for cell in cells) else (int, float):  # Python takes 1_000 for a number
        try:
            return np.array([float("nan") if none else kind(cell) for cell, none in zip(cells, missing, strict=True)])
        except (ValueError, OverflowError):
            continue
    return np.array([cell or None for cell in cells], dtype=object)
