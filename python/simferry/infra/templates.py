"""The templates of the package, and those of a user's own; the names of their stacks."""

import re
from pathlib import Path

from ..aws import stacks
from ..errors import UsageError, nearest
from ..hints import Command

FOLDER = Path(__file__).parent / "templates"
# of the stack's name, by template; in the order in which they are deployed
SUFFIX = {"base": "", "batch": "-batch", "rstudio": "-rstudio"}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")
LONGEST = 51_200  # bytes that CloudFormation takes


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def template(name: str = "base") -> str:
    """The text of a template in YAML.

    name: "base": bucket, image repository, roles; "batch": a network, and queues of AWS Batch; "rstudio": a machine with
    RStudio. Raises UsageError for another name.
    """
    if name not in names():
        raise UsageError(f"there is no template {name}", nearest(name, names()) or f"There is {' and '.join(names())}.")
    return (FOLDER / f"{name}.yaml").read_text()


def read(path: str | Path) -> str:
    """The text of a user's template. Raises UsageError if it can't be read, or is too long."""
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(
            f"the template {path} can't be read: {reason}", Command("infra template", "base") + "  prints one."
        ) from None
    if not text.strip():
        raise UsageError(f"the template {path} is empty", Command("infra template", "base") + "  prints one.")
    if len(text.encode()) > LONGEST:
        raise UsageError(f"the template {path} has more than {LONGEST:,} bytes, which CloudFormation does not take")
    return text


def stack_of(name: str, template: str) -> str:
    """The name of the stack of a template."""
    return f"{name}{SUFFIX[template]}"


def checked(name: str | None) -> str:
    """The name of the stacks. Raises UsageError for one that CloudFormation refuses; an empty one is not the default."""
    name = stacks.default_name() if name is None else name
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a stack",
            "Names have letters, digits and hyphens, begin with a letter, and have at most 100.",
        )
    return name
