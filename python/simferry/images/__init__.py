"""Images: write a recipe for a simulation, build, check, find and push.

simferry.images.build(simferry.images.recipe("folder"))      simferry.images.build(simferry.images.recipe_for("power.R"))
simferry.images.registry.push(name, to)
"""

from typing import TYPE_CHECKING, Any

__all__ = ["Built", "Recipe", "build", "recipe", "recipe_for", "registry"]

if TYPE_CHECKING:
    from . import registry
    from .infer import recipe_for
    from .recipes import Built, Recipe, build, recipe
else:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        where = {"registry": "registry", "recipe_for": "infer"}.get(name, "recipes")
        module = import_module(f".{where}", __name__)
        return module if name == "registry" else getattr(module, name)
