"""What tests of containers share: the engine, one image with R, and a look at what is left behind."""

import functools
from pathlib import Path

from conftest import require
from simferry import engine, images
from simferry.errors import SimferryError

ROOT = Path(__file__).parents[1]


@functools.cache
def client():
    """A client of the engine; skips the test, with the reason, where there is none."""
    try:
        made, why = engine.connect(), ""
    except SimferryError as error:
        made, why = None, str(error)
    require("docker", made is not None, why)
    return made


@functools.cache
def r_image() -> str:
    """The image of containers/r, built where it is not here."""
    client()
    return images.build(images.recipe(ROOT / "containers" / "r")).tag


def left_behind(owner: str) -> list[str]:
    """Containers and networks of a run that are still there."""
    labels = {"label": f"simferry.owner={owner}"}
    found = [c.name for c in client().containers.list(all=True, filters=labels)]
    return found + [n.name for n in client().networks.list(filters=labels)]
