"""The command `simferry`: its errors and exit codes, and the parts that its commands share."""

import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .._version import __version__
from ..errors import Interrupted, Note, SimferryError, UsageError, nearest
from ..hints import Face, Shell, Text, Variable, Words, speak, speaking
from ..system.terminal import guarded, shown, styled


class Command(click.Command):
    """A command that creates its options when it needs them, so that `simferry --help` is fast."""

    _params: list[Any]

    @property
    def params(self) -> list[click.Parameter]:
        self._params = [made for one in self._params for made in (one.made() if isinstance(one, Deferred) else [one])]
        return self._params

    @params.setter
    def params(self, given: list[Any]) -> None:
        self._params = given


class Deferred:
    """A decorator that adds options. options: returns click's decorators, when the command needs them."""

    def __init__(self, options: Callable[[], list[Callable[[Any], Any]]]) -> None:
        self.options = options

    def __call__(self, function: Any) -> Any:
        function.__click_params__ = [*getattr(function, "__click_params__", []), self]  # where click's decorators add
        return function

    def made(self) -> list[click.Parameter]:
        def command() -> None: ...

        with_options(*self.options())(command)
        return list(reversed(command.__click_params__))  # type: ignore[attr-defined]


def _path(context: click.Context | None) -> list[str]:
    """The words of a command, as users type it."""
    if context is None or context.parent is None:
        return ["simferry"]
    return [*_path(context.parent), str(context.info_name)]


class Commands(click.Group):
    """Shows errors in one or two lines, and similar names for an unknown command."""

    command_class = Command
    group_class = type  # groups in it are Commands, too

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in their order, and not sorted

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or ["--help"])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            raise UsageError(
                f"there is no command {args[0]}",
                nearest(args[0], self.commands) or Shell(*_path(ctx), "--help") + "  lists them.",
            ) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:  # as in `simferry results latest | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return code

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with guarded(), speaking(Face.SHELL):
            self._main(*args, **kwargs)

    def _main(self, *args: Any, **kwargs: Any) -> None:
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except SimferryError as error:
            fail(error.message, error.hint, error.exit_code)
        except click.NoSuchOption as error:
            command = error.ctx.command if error.ctx else self
            known = [name for option in command.params for name in option.opts if name.startswith("--")]
            path = _path(error.ctx)
            near: Words = nearest(error.option_name, known) or Shell(*path, "--help") + "  lists them."
            fail(f"{path[-1]} has no option {error.option_name}", near, 2)
        except click.ClickException as error:
            hint: Words = (
                Shell(*_path(error.ctx), "--help")
                if isinstance(error, click.UsageError) and error.ctx and error.ctx.parent
                else ""
            )
            if given := re.fullmatch(r"Got unexpected extra arguments? \(([\w.]+=\S.*)\)", error.format_message()):
                hint = Text("Parameters are given with ", Shell("-p", given[1].split()[0]))
            fail(error.format_message(), hint, 2)
        except (click.Abort, KeyboardInterrupt) as error:
            cause = error.__cause__  # click turns each KeyboardInterrupt into an Abort
            if isinstance(cause, Interrupted):
                fail(cause.message, cause.hint, cause.exit_code)
            fail("stopped", "", 4)
        except OSError as error:
            fail(f"{error.filename or 'a file'}: {error.strerror or error}", "", 1)
        except Exception as error:
            if os.environ.get("SIMFERRY_DEBUG"):
                raise
            where = error.__traceback__
            while where and where.tb_next:
                where = where.tb_next
            line = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else ""
            fail(
                f"a fault of simferry's own: {type(error).__name__}: {error} ({line})",
                f"{Variable('SIMFERRY_DEBUG', '1')}  shows all of it; please report it.",
                1,
            )
        sys.exit(code if isinstance(code, int) else 0)


def fail(message: str, hint: Words, code: int) -> None:
    click.echo(f"{styled('simferry:', sys.stderr, fg='red', bold=True)} {message}", err=True, color=True)
    if hint:
        click.echo(hint, err=True, color=True)
    sys.exit(code)


def show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    is_note = issubclass(category, Note)
    word = styled("note:", sys.stderr, fg="cyan") if is_note else styled("warning:", sys.stderr, fg="yellow")
    click.echo(f"{word} {shown(str(message))}", err=True, color=True)  # beside a progress bar rich shows it


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110, "color": True}
)
@click.version_option(__version__, message="simferry %(version)s")
@click.option(
    "--face", type=click.Choice([face.value for face in Face]), hidden=True
)  # the language of commands in a driver's log
def main(face: str | None) -> None:
    """Run a statistical simulation a million times with varied parameters, and get one table back.

    \b
      simferry run simulate.R -p n=10,20,50 -p effect=0,0.5 --replications 1000 --seed 2026
      simferry summary latest
      simferry results latest -o results.parquet

    RUN is the id of a run or its beginning, its folder or address (s3://...), or `latest`.
    """
    warnings.showwarning = show_warning
    if face is not None:
        speak(Face(face))


def example(*lines: str) -> Callable[[Any], Any]:
    """Adds examples to the end of a command's help."""

    def add(command: Any) -> Any:
        command.help = f"{inspect.cleandoc(command.help or '')}\n\n\b\nExample:\n" + "\n".join(
            f"  {li}" for li in lines
        )
        return command

    return add


def with_options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


STORE = click.option(
    "--store",
    metavar="STORE",
    help="The store of runs: a folder, or s3://bucket/folder [$SIMFERRY_STORE, or ./simferry-runs].",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
OUTPUT = click.option("-o", "--output", metavar="FILE", help="Write the whole table: .parquet or .csv.")
RUN = click.argument("name", metavar="RUN")
