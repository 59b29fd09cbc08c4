"""Makes options of the command line from the options of runs and backends."""

from collections.abc import Callable, Iterable
from typing import Any

import click

from ..errors import UsageError
from ..sweep.measure_options import MeasureOptions
from ..sweep.option_values import Field
from ..sweep.options import BACKENDS, Options, RunOptions, offered

_SHORT = {"replications": ("-n",)}


def options_of(kind: type[Options], *names: str) -> list[Callable[[Any], Any]]:
    """Options of a dataclass, in the order of the names; without names, all of them."""
    known = offered(kind)
    return [_click(known[name], known[name].option.help) for name in names or known]


def option_of(kind: type[Options], name: str, text: str) -> Callable[[Any], Any]:
    """An option of a dataclass with another help. text: one sentence."""
    return _click(offered(kind)[name], text)


def options_of_backends(*names: str, default: str | None = None) -> list[Callable[[Any], Any]]:
    """Options of backends; without names, all of them. The help of each begins with the backends that have it.

    default: is shown in the help instead of the option's own default.
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
    several = field.kind in ("paths", "variables", "named texts")
    return click.option(*names, metavar=metavar, multiple=several, help=text, callback=_reader(field))


def _reader(field: Field) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Converts numbers and NAME=VALUE. Other text is returned as it is; the check of options refuses it later."""
    numeric = field.kind in ("whole number", "whole numbers", "number")
    if field.kind in ("variables", "named texts"):
        example = "{condition}" if field.kind == "variables" else "loss=([0-9.]+)"
        return lambda _, __, texts: named_values(f"--{field.name}", texts, example) or None

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


def named_values(option: str, texts: tuple[str, ...], example: str = "VALUE") -> dict[str, str]:
    """The values of an option NAME=VALUE that may be given several times, by name. option: with its dashes."""
    out = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {text} is not of the form NAME=VALUE", f"{option} {name or 'NAME'}={example}")
        out[name] = value
    return out


PAGE = """# Options

The options of runs and backends. They are the same in the shell (`simferry run --max-runtime`), in Python (`sf.run(max_runtime=)`), in R
(`sim_sagemaker(max_runtime = )`) and in the tables of sweep files (`[run]`, `[measures]`, `[local]`, `[docker]`, `[sagemaker]`, `[batch]`).
Whole numbers may be written as `2.0`. All options are checked before anything starts; one error names all wrong ones.

"""


def page() -> str:
    """docs/options.md."""
    return PAGE + _table([RunOptions, MeasureOptions, *BACKENDS.values()])


def _table(kinds: Iterable[type[Options]]) -> str:
    """The options as a table in Markdown: name, backends, type and unit, default, help."""
    rows: dict[str, tuple[Field, list[str]]] = {}
    for kind in kinds:
        for name, field in offered(kind).items():
            _, owners = rows.get(name, (field, []))
            rows[name] = field, [*owners, kind.table]
    lines = ["| option | of | value | default | |", "|---|---|---|---|---|"]
    for name, (field, owners) in rows.items():
        option = field.option
        value = " or ".join(option.choices) or " of ".join(part for part in (field.kind, option.unit) if part)
        lines.append(f"| `{name}` | {', '.join(owners)} | {value} | {option.default} | {option.help} |")
    return "\n".join(lines) + "\n"
