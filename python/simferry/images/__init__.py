"""Images: write a recipe for a simulation, build, check, find and push.

simferry.images.build(simferry.images.recipe("folder"))      simferry.images.registry.push(name, to)
"""

from typing import TYPE_CHECKING, Any

__all__ = ["Built", "Recipe", "build", "recipe", "registry"]

if TYPE_CHECKING:
    from . import registry
    from .recipes import Built, Recipe, build, recipe
else:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = import_module(f".{name if name == 'registry' else 'recipes'}", __name__)
        return module if name == "registry" else getattr(module, name)
