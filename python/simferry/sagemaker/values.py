"""Converts arguments of callers, also from R: 1.0 to a whole number, a single value to a list of one, a number to text."""

from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from ..errors import UsageError
from ..store.objects import check_address


def whole(value: Any, name: str) -> Any:
    """A whole number; None stays None."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise UsageError(f"{name} is {value!r}, and has to be a whole number")


def text(value: Any) -> str:
    """A value as R writes it, but whole numbers with all digits: 1000.0 becomes 1000."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.15g}"
    return str(value)


def listed(value: Any) -> list[Any]:
    """A list. A single value becomes a list of one, None an empty list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def texts(value: Any, name: str = "a list of texts") -> list[str]:
    """A list of texts. name: of the argument, for errors. Raises UsageError for what is no single value."""
    given = listed(value)
    return [_single(one, f"{name}: value {number} of {len(given)}") for number, one in enumerate(given, 1)]


def named_texts(value: Any, name: str = "a named list") -> dict[str, str]:
    """A named list as a dict, also R's empty list(). Else as texts()."""
    return {str(key): _single(one, f"{name}: {key}") for key, one in dict(value or {}).items()}


def _single(value: Any, what: str) -> str:
    """A value as text. Without this, None would become the word None, and a vector of R's a list as Python writes it."""
    if value is None:
        raise UsageError(f"{what} is None (NULL in R)", "Leave it out, or give it a value.")
    if isinstance(value, (list, tuple, dict, set)):
        raise UsageError(
            f"{what} is {value!r}, and has to be a single value", "Write its values one by one, or as a text."
        )
    return text(value)


def is_s3(address: Any) -> bool:
    if not (isinstance(address, str) and urlparse(address).scheme == "s3"):
        return False
    check_address(address)
    return True


def local_path(source: Any) -> Path:
    """The path of a local source, which is a path or file://."""
    parsed = urlparse(str(source))
    if parsed.scheme not in ("", "file") and len(parsed.scheme) > 1:  # one letter is a drive of Windows
        raise UsageError(f"{source!r} is neither a path on this machine, nor file://, nor s3://")
    return Path(url2pathname(parsed.path) if parsed.scheme == "file" else str(source)).expanduser()
