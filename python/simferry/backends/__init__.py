"""Where jobs run."""

from ..errors import UsageError, nearest
from .base import Backend


def backend(name: str, **options: object) -> Backend:
    """The backend of that name."""
    if name == "local":
        from .local import Local

        return Local(**options)  # type: ignore[arg-type]
    known = ("local",)
    raise UsageError(f"there is no backend {name!r}", nearest(name, known) or f"Backends are: {', '.join(known)}.")
