"""What callers pass, R's too: 1 is a whole number, a single value a list of one, a number an argument."""

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
    """A value as R would write it, and whole numbers in full: 1000.0 is 1000."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.15g}"
    return str(value)


def listed(value: Any) -> list[Any]:
    """A list of R or Python; a single value is a list of one, None of none."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def texts(value: Any) -> list[str]:
    return [text(one) for one in listed(value)]


def named_texts(value: Any) -> dict[str, str]:
    """A named list; R's empty list() is one too."""
    return {str(name): text(one) for name, one in dict(value or {}).items()}


def is_s3(address: Any) -> bool:
    if not (isinstance(address, str) and urlparse(address).scheme == "s3"):
        return False
    check_address(address)
    return True


def local_path(source: Any) -> Path:
    """The path that a local source means: a path, or file://."""
    parsed = urlparse(str(source))
    if parsed.scheme not in ("", "file") and len(parsed.scheme) > 1:  # one letter: a drive of Windows
        raise UsageError(f"{source!r} is neither a path here, nor file://, nor an address s3://")
    return Path(url2pathname(parsed.path) if parsed.scheme == "file" else str(source)).expanduser()
