"""Images."""

from pathlib import Path

from ..errors import UsageError
from ..hints import Command
from ..r.serialization import Vector
from .arguments import Arguments, findings, plain, text_list, verb


@verb
def image_build(given: Arguments) -> Arguments:
    from ..images import recipes as images

    options = plain(given)
    if (options["folder"] is None) == (options["script"] is None):
        raise UsageError("name a folder with a Dockerfile, or a script", Command("image build", "containers/r"))
    if options["script"] is not None:
        from ..images.infer import recipe_for, write_recipe

        made_of = recipe_for(options["script"], options["name"], text_list(options["packages"]))
        made_of.build_args = options["build_args"] or {}
        write_recipe(made_of, Path(options["script"]).with_suffix(".image"))
    else:
        made_of = images.recipe(options["folder"], options["name"], options["build_args"] or {})
    made_of.platform = options["platform"]
    return vars(images.build(made_of, rebuild=options["rebuild"]))


@verb
def image_check(given: Arguments) -> Vector:
    from ..verbs import image_check as checks

    return findings([vars(f) for f in checks.check(given["name"].plain())])


@verb
def image_push(given: Arguments) -> Arguments:
    from ..images import registry

    options = plain(given)
    return vars(registry.push(options["name"], options["to"]))
