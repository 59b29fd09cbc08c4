"""What an image on this machine says of itself: its entry point, its user, its architecture, and whether it has Python."""

from dataclasses import dataclass

from ..containers.engine import EngineError, ImageError, connect, find_image, run_once
from ..errors import UsageError

_HAS_PYTHON = ["python3", "-c", "import sys; sys.exit(sys.version_info < (3, 8))"]


@dataclass(frozen=True)
class ImageConfig:
    """entrypoint: the last part of its first word, such as Rscript; empty if there is none. as_root: whether its programs run as root.
    architecture: such as amd64. python: whether it has Python 3.8 or newer; None if that was not asked."""

    entrypoint: str
    as_root: bool
    architecture: str
    python: bool | None = None


def config_of(image: str, ask_python: bool = False) -> ImageConfig | None:
    """The configuration of an image. None if Docker does not run here, or does not have the image.

    image: its name or id. ask_python: start it, to see whether it has Python.
    """
    try:
        client = connect()
        found = find_image(client, image, pull=False)
    except (EngineError, ImageError, UsageError):
        return None
    has = None
    if ask_python:
        try:
            has = run_once(client, image, _HAS_PYTHON)[0] == 0
        except ImageError:  # it has no such program
            has = False
    given = found.attrs.get("Config") or {}
    words = given.get("Entrypoint") or [""]
    user = str(given.get("User") or "root").partition(":")[0]
    return ImageConfig(str(words[0]).rpartition("/")[2], user in ("root", "0"), str(found.attrs["Architecture"]), has)
