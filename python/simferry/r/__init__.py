"""R from Python: `sf.r.function("script.R", "name")` is an R function, `sf.r.read_rds(path)` what a file holds."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .functions import Function, function, read_rds

__all__ = ["Function", "function", "read_rds"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import functions

    return getattr(functions, name)
