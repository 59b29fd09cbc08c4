"""What dataclasses of options have in common, and what is said of an option that is wrong."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeVar

from ..hints import Face, Option, Part, Words


class Given(Part):
    """An option as a user gives it: --max-runtime, max_runtime, [sagemaker] max_runtime."""

    def __init__(self, table: str, name: str) -> None:
        self.table, self.name = table, name

    def spelled(self, face: Face) -> str:
        named = Option(self.name).spelled(face)
        return f"[{self.table}] {named}" if face is Face.FILE else named


class Fault(NamedTuple):
    """A wrong option: its table and name, with a message and a hint."""

    table: str
    name: str
    message: Words
    hint: Words = ""


class Options:
    """What dataclasses of options have in common. table: their table in a sweep file."""

    table: ClassVar[str]
    owner: ClassVar[str]  # whose options they are, in words
    lacks: ClassVar[Mapping[str, Words]] = MappingProxyType({})  # options of others that are missing here, and why
    lasting: ClassVar[Mapping[str, str]] = MappingProxyType({})  # options that a run keeps for ever, and why

    @property
    def runner(self) -> str:
        """Which of the classes of backends runs jobs with these options."""
        return self.table

    def conflicts(self) -> list[Fault]:
        """What is wrong between these options."""
        return []

    def check_beside(self, run: Any) -> None:
        """Raises UsageError if they do not fit those of the run, RunOptions."""

    def given(self) -> dict[str, Any]:
        """The options that are not None, as plain values that JSON can hold."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {name: _plain(value) for name, value in values.items() if value is not None}

    # not generated for each dataclass: that would take a tenth of the time of --help
    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.table, *vars(self)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.given().items())})"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value


AnyOptions = TypeVar("AnyOptions", bound=Options)
