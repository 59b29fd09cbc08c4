"""R from Python: `sf.r.function("script.R", "name")` returns an R function, `sf.r.read_rds(path)` the object in an .rds file."""

from typing import TYPE_CHECKING, Any

__all__ = ["Function", "function", "read_rds"]

if TYPE_CHECKING:
    from .functions import Function as Function
    from .functions import function as function
    from .functions import read_rds as read_rds
else:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import functions

        return getattr(functions, name)
