"""Options of the command line, made from those of runs and backends."""

from collections.abc import Callable, Iterable
from typing import Any

import click

from ..sweep.options import BACKENDS, Field, Options, RunOptions, offered

_SHORT = {"replications": ("-n",)}


def options_of(kind: type[Options], *names: str) -> list[Callable[[Any], Any]]:
    """Options of a dataclass, in the order of the names; all of them where none is given."""
    known = offered(kind)
    return [_click(known[name], known[name].option.help) for name in names or known]


def option_of(kind: type[Options], name: str, text: str) -> Callable[[Any], Any]:
    """An option of a dataclass with another help. text: one sentence."""
    return _click(offered(kind)[name], text)


def options_of_backends(*names: str, default: str | None = None) -> list[Callable[[Any], Any]]:
    """Options of backends, each with the backends that have it before its help; of all where no names are given.

    default: what the help says of an option that is not given, instead of its own default.
    """
    owners: dict[str, list[str]] = {}
    known: dict[str, Field] = {}
    for backend, kind in BACKENDS.items():
        for name, field in offered(kind).items():
            owners.setdefault(name, []).append(backend)
            known[name] = field
    out = []
    for name in names or known:
        whose = "" if len(owners[name]) == len(BACKENDS) else f"{', '.join(owners[name])}: "
        out.append(_click(known[name], whose + known[name].option.help, default))
    return out


def _click(field: Field, text: str, default: str | None = None) -> Callable[[Any], Any]:
    option = field.option
    names = [*_SHORT.get(field.name, ()), f"--{field.name.replace('_', '-')}"]
    default = option.default if default is None else default
    text += f" [{default}]." if default else "."
    if field.kind == "logical":
        return click.option(*names, is_flag=True, default=None, help=text)
    metavar = "|".join(option.choices) if option.choices else option.metavar
    several = field.kind == "paths"
    return click.option(*names, metavar=metavar, multiple=several, help=text, callback=_reader(field))


def _reader(field: Field) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Numbers are read as such. What is none stays the text that it is, and is refused when options are checked."""
    numeric = field.kind in ("whole number", "number")

    def read(_: click.Context, __: click.Parameter, value: Any) -> Any:
        if not numeric or value is None:
            return None if value == () else value
        for kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
        return value

    return read


PAGE = """# Options

Each option of a run and of the backends, as `simferry run --max-runtime`, `sf.run(max_runtime=)`, `sim_sagemaker(max_runtime = )` and
the table of a sweep file (`[run]`, `[local]`, `[docker]`, `[sagemaker]`) have it. Whole numbers may be written as `2.0`. What is wrong is
refused before anything starts, all of it at once.

"""


def page() -> str:
    """docs/options.md."""
    return PAGE + _table([RunOptions, *BACKENDS.values()])


def _table(kinds: Iterable[type[Options]]) -> str:
    """The options as a table in Markdown: option, unit, default, whose it is, and what it is."""
    rows: dict[str, tuple[Field, list[str]]] = {}
    for kind in kinds:
        for name, field in offered(kind).items():
            rows.setdefault(name, (field, []))[1].append(kind.table)
    lines = ["| option | of | value | without it | |", "|---|---|---|---|---|"]
    for name, (field, owners) in rows.items():
        option = field.option
        value = " or ".join(option.choices) or " of ".join(part for part in (field.kind, option.unit) if part)
        lines.append(f"| `{name}` | {', '.join(owners)} | {value} | {option.default} | {option.help} |")
    return "\n".join(lines) + "\n"
