"""Version 2's addresses of AWS's framework images: here those of the user's images, from the table of images."""

from typing import Any

from .frameworks import image_of
from .values import text


def retrieve(
    framework: str,
    region: str | None = None,
    version: Any = None,
    py_version: str | None = None,
    instance_type: str | None = None,
    **_: Any,
) -> str:
    """The user's image for a framework's: "sklearn", "pytorch", "tensorflow", "xgboost". Raises UsageError if the table has none.

    Region, instance type and version 2's further arguments chose among AWS's images, and are ignored.
    """
    return image_of(framework, None if version is None else text(version), py_version or "py3")
