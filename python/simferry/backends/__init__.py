"""Where jobs run."""

from typing import Any

from ..sweep.options import Options, backend_kind, check
from .base import Backend

_CLASSES = {
    "local": ("local", "Local"), "docker": ("docker", "Docker"), "sagemaker": ("processing", "Sagemaker"),
    "training": ("training", "Training"), "batch": ("batch", "Batch"),
    "batch_images": ("batch_images", "BatchImages"),
}  # fmt: skip


def backend(name: str, **options: Any) -> Backend:
    """The backend of that name, with these options. Raises a UsageError that names every wrong option."""
    return backend_of(check(backend_kind(name), options))


def backend_of(options: Options) -> Backend:
    """The backend to which these options belong."""
    from importlib import import_module

    module, name = _CLASSES[options.runner]
    made: Backend = getattr(import_module(f".{module}", __name__), name)(options)
    return made
