"""The command line: it parses arguments, calls the verbs, and prints."""

import contextlib
import inspect
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from . import __version__
from .errors import SimferryError, UsageError, nearest


class Commands(click.Group):
    """Errors of simferry's end the command in one or two lines; a mistyped command is offered its nearest neighbours."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order in which a user meets them

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            raise UsageError(
                f"there is no command {args[0]}", nearest(args[0], self.commands) or "simferry --help  lists them."
            ) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:  # `simferry results latest | head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return code

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            code = super().main(*args, **{**kwargs, "standalone_mode": False})
        except SimferryError as error:
            fail(error.message, error.hint, error.exit_code)
        except click.ClickException as error:
            hint = (
                f"simferry {error.ctx.info_name} --help"
                if isinstance(error, click.UsageError) and error.ctx and error.ctx.parent
                else ""
            )
            fail(error.format_message(), hint, 2)
        except (click.Abort, KeyboardInterrupt):
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
                "SIMFERRY_DEBUG=1 shows all of it; please report it.",
                1,
            )
        sys.exit(code if isinstance(code, int) else 0)


def fail(message: str, hint: str, code: int) -> None:
    click.echo(f"{click.style('simferry:', fg='red', bold=True)} {message}", err=True)
    if hint:
        click.echo(hint, err=True)
    sys.exit(code)


def show_warning(message: Any, *_: Any, **__: Any) -> None:
    click.echo(f"{click.style('warning:', fg='yellow')} {message}", err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="simferry %(version)s")
def main() -> None:
    """Run a statistical simulation a million times with varied parameters, and get one table back.

    \b
      simferry run simulate.R -p n=10,20,50 -p effect=0,0.5 --replications 1000 --seed 2026
      simferry summary latest
      simferry results latest -o results.parquet

    RUN is a run's id (or the beginning of it), its folder, or `latest`.
    """
    warnings.showwarning = show_warning


def example(*lines: str) -> Callable[[Any], Any]:
    """Puts examples at the end of a command's help."""

    def add(command: Any) -> Any:
        command.help = f"{inspect.cleandoc(command.help)}\n\n\b\nExample:\n" + "\n".join(f"  {li}" for li in lines)
        return command

    return add


def with_options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def at_least_one(_: click.Context, __: click.Parameter, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise click.BadParameter(f"{value} is not 1 or above")
    return value


STORE = click.option("--store", metavar="DIR", help="Where runs live [$SIMFERRY_STORE, or ./simferry-runs].")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
OUTPUT = click.option("-o", "--output", metavar="FILE", help="Write the whole table: .parquet or .csv.")
WORKERS = click.option("--workers", type=int, metavar="N", callback=at_least_one, help="Cores to use [all].")
RUN = click.argument("name", metavar="RUN")
VALUES = (
    "Values of a parameter; every combination of all of them is a condition. 10 is a number, 10L an integer, TRUE a "
    'logical, NA missing, anything else (or what is quoted: \'"10","a,b"\') a string.'
)
SWEEP = with_options(
    click.argument("simulation", metavar="SIMULATION"),
    click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=V1,V2", help=VALUES),
    click.option("--table", metavar="FILE", help="The conditions: a CSV or Parquet file, a row each."),
    click.option("-n", "--replications", type=int, metavar="N", help="Replications of each condition."),
    click.option("--seed", type=int, metavar="N", help="0 to 2147483647 [drawn, and printed]."),
    click.option("--function", metavar="NAME", help="The script's function [simulate]."),
    click.option("--args", metavar="TEMPLATE", help='Run a whole script or a program with these arguments: "{n} {effect}".'),
    click.option("--include", multiple=True, metavar="PATH", help="A file or folder that comes along with the script."),
    click.option("--results-file", metavar="NAME", help="What a whole script writes to be read as rows (CSV, JSON, numbers)."),
    click.option("--common", metavar="NAMES", help="Parameters (comma separated, or all) that do not change the random numbers."),
    click.option("--backend", metavar="NAME", help="Where jobs run [local]."),
    WORKERS,
    click.option("--cores", type=int, metavar="N", help="Cores that one replication uses [1; whole scripts: all]."),
    STORE,
)  # fmt: skip


def sweep_arguments(simulation: str, parameters: tuple[str, ...], table: str | None, **given: Any) -> dict[str, Any]:
    """The arguments of `run` and `plan`: those of a sweep file, if there is one, with the options over them."""
    from . import design as designs

    out: dict[str, Any] = {"simulation": simulation}
    if simulation.lower().endswith(".toml"):
        from .sweep import read_sweep

        out = read_sweep(simulation)
    columns, types = parse_parameters(parameters)
    if table is not None and columns:
        raise UsageError("both --table and -p are given", "A design is made in one way.")
    if table is not None:
        out["design"] = designs.table(table)
    elif columns:
        out["design"] = designs.grid(columns, types=types)
    common = given.pop("common")
    if common is not None:
        out["common"] = "all" if common == "all" else [name.strip() for name in common.split(",")]
    for name, value in given.items():
        if value is not None and value != ():
            out[name] = value
    if out.get("replications") is None:
        raise UsageError(
            "how many replications?", "--replications 1000, or replications = 1000 in the [run] table of a sweep file"
        )
    return out


TOKEN = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^"'\s,][^,]*|)\s*(,|$)""")


def parse_parameters(texts: tuple[str, ...]) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """-p n=10,20 -p method="a,b",c as columns, and the types of those with integers (10L)."""
    columns: dict[str, list[Any]] = {}
    types: dict[str, str] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f"-p {text} is not of the form NAME=VALUE,VALUE", f"For instance: -p {name or 'n'}=10,20")
        if name in columns:
            raise UsageError(f"parameter {name} is given twice", f"Give all of its values at once: -p {name}=10,20")
        parsed = [parse_value(token) for token in split_values(values, text)]
        kinds = {kind for value, kind in parsed if value is not None}
        if len({"number" if kind == "integer" else kind for kind in kinds}) > 1:
            raise UsageError(
                f"-p {text} mixes values of kind {' and '.join(sorted(kinds))}", "Quotes make strings: -p 'n=\"10\",a'"
            )
        if "integer" in kinds:
            types[name] = "integer"
        columns[name] = [value for value, _ in parsed]
    return columns, types


def split_values(values: str, text: str) -> list[str]:
    """Split at commas, but not at those within quotes."""
    out: list[str] = []
    end = 0
    while True:
        found = TOKEN.match(values, end)
        if not found:
            raise UsageError(
                f"-p {text}: a quote is not closed, or text stands beside it", "For instance: -p 'n=\"a, b\",c'"
            )
        if not found[1]:
            raise UsageError(f"-p {text}: a value is empty", "An empty string is written in quotes: -p 'n=\"\"'")
        out.append(found[1].strip())
        if not found[2]:
            return out
        end = found.end()


def parse_value(text: str) -> tuple[Any, str]:
    if text[:1] in ("'", '"'):
        inside = text[1:-1]
        return (re.sub(r'\\(["\\])', r"\1", inside) if text[0] == '"' else inside), "string"
    if re.fullmatch(r"[-+]?\d+L", text):
        return int(text[:-1]), "integer"
    words = {"TRUE": True, "True": True, "true": True, "FALSE": False, "False": False, "false": False, "NA": None}
    if text in words:
        return words[text], "logical"
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text), "number"
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(Inf|inf)|NaN|nan", text):
        return float(text), "number"
    return text, "string"


@example(
    "simferry run simulate.R -p n=10,20,50 --replications 1000 --seed 2026",
    'simferry run parallel.R --args "--args {n}" -p n=100 --replications 10 --results-file result.csv',
    "simferry run sweep.toml --workers 2 -o results.parquet",
)
@main.command()
@SWEEP
@click.option(
    "--on-error", type=click.Choice(["continue", "stop"]), help="What a failed replication does to the rest [continue]."
)
@click.option(
    "--replication-timeout", type=float, metavar="SECONDS", help="End and record a replication that takes longer."
)
@click.option("--retries", type=int, metavar="N", help="How often what a lost job left undone is tried again [2].")
@click.option("--fresh", is_flag=True, default=None, help="Compute anew what an earlier run has computed.")
@click.option("--detach", is_flag=True, default=None, help="Go on in the background; `simferry watch` follows.")
@click.option("-o", "--output", metavar="FILE", help="Write the table of results when done: .parquet or .csv.")
@JSON
def run(output: str | None, as_json: bool, **given: Any) -> int:
    """Run a simulation, or a sweep file.

    SIMULATION is a script (.R or .py) whose function is called once per replication, or with --args a whole script or a
    program that is run once per replication, or a sweep file (.toml). Options win over what a sweep file says; -p and
    --table replace its design.
    """
    from . import verbs
    from .screen import progress_bar

    arguments = sweep_arguments(**given)
    if output and arguments.get("detach"):
        raise UsageError("--output and --detach are both given", "When it is done: simferry results latest -o FILE")
    if output:
        check_output(output)
    with progress_bar(show=not as_json) as update:
        made = verbs.run(**arguments, on_progress=update, on_start=None if as_json else announce)
    if arguments.get("detach"):
        if as_json:
            print_json({**head_of(made), "state": "running"})
        else:
            click.echo(f"It goes on in the background: simferry watch {made.id}")
        return 0
    if output:
        write_table(made.results_table(), output)
    return finish(made, as_json)


def announce(made: Any, taken_over: int, seed_was_drawn: bool) -> None:
    record = made.record
    total = record["conditions"] * record["replications"]
    drawn = ", drawn" if seed_was_drawn else ""
    size = f"{counted(record['conditions'], 'condition')} x {counted(record['replications'], 'replication')}"
    click.echo(f"run {made.id}: {size}, seed {made.seed}{drawn}")
    if taken_over:
        click.echo(
            f"{taken_over:,} of {total:,} replications were computed by earlier runs and are taken over (--fresh computes anew)"
        )


def counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def finish(made: Any, as_json: bool) -> int:
    """The last lines of a run, and its exit code."""
    now = made.status()
    if as_json:
        print_json({**head_of(made), **status_of(now)})
    else:
        click.echo(f"{now.done:,} of {now.total:,} replications done, {now.failed:,} failed, in {made.folder}")
        if now.failed:
            click.echo(f"simferry errors {made.id}  tells why")
            click.echo(f"simferry resume {made.id} --retry-failed  tries them again")
        elif now.finished:
            click.echo(f"simferry summary {made.id}")
        if not now.finished:
            click.echo(f"simferry resume {made.id}  goes on", err=True)
    return 3 if now.failed else 0 if now.finished else 1


def head_of(made: Any) -> dict[str, Any]:
    return {"run": made.id, "folder": str(made.folder), "seed": made.seed}


def status_of(now: Any) -> dict[str, Any]:
    return {"state": now.state, "total": now.total, "done": now.done, "failed": now.failed, "jobs": now.jobs}


@example("simferry plan sweep.toml --workers 16")
@main.command()
@SWEEP
@click.option("--no-pilot", is_flag=True, help="Don't run anything: no forecast of the time.")
@JSON
def plan(no_pilot: bool, as_json: bool, **given: Any) -> None:
    """What a run would compute, and how long.

    A pilot of a few replications is run to see; they are kept, and a run with the same seed does not compute them again.
    """
    from . import forecast
    from .screen import duration

    arguments = sweep_arguments(**given)
    unused = ("on_error", "replication_timeout", "retries", "fresh")
    arguments = {name: value for name, value in arguments.items() if name not in unused}
    out = forecast.plan(**arguments, pilot=not no_pilot)
    if as_json:
        print_json(vars(out))
        return
    size = f"{counted(out.conditions, 'condition')} x {counted(out.replications, 'replication')}"
    click.echo(f"{size} = {out.total:,}, in {out.stretches:,} stretch{'' if out.stretches == 1 else 'es'}")
    if not no_pilot:
        click.echo(f"already there: {out.already_there:,}")
    if out.seconds is not None and out.seconds_per_replication is not None and out.core_seconds is not None:
        click.echo(
            f"a replication takes {out.seconds_per_replication:.3g} s on average "
            f"(a pilot of {out.pilot_replications:,}, kept in {out.pilot_run})"
        )
        click.echo(
            f"all of it about {duration(out.seconds)} on {out.workers} cores ({duration(out.core_seconds)} of core time)"
        )
        slow = dict(out.slowest_condition or {})
        seconds = slow.pop("seconds")
        click.echo(f"slowest: {', '.join(f'{k} {v}' for k, v in slow.items())}: {seconds:.3g} s a replication")
        click.echo(f"simferry run ... --seed {out.seed}  uses the pilot's replications")


@example("simferry status latest --json")
@main.command()
@RUN
@STORE
@JSON
def status(name: str, store: str | None, as_json: bool) -> None:
    """How far a run is."""
    from . import verbs

    found = verbs.open(name, store)
    now = found.status()
    if as_json:
        print_json({**head_of(found), **status_of(now)})
        return
    click.echo(f"run {found.id}: {now.state}, {now.done:,} of {now.total:,} replications done, {now.failed:,} failed")
    for job, state in list(now.jobs.items())[-20:]:
        click.echo(f"  job {job}: {state}")
    if now.state == "incomplete":
        click.echo(f"simferry resume {found.id}  goes on")


@example("simferry watch latest")
@main.command()
@RUN
@STORE
@JSON
def watch(name: str, store: str | None, as_json: bool) -> int:
    """Follow a run, from any shell.

    Ctrl-C stops watching, not the run.
    """
    from . import verbs
    from .screen import progress_bar

    found = verbs.open(name, store)
    try:
        with progress_bar(show=not as_json) as update:
            found.watch(update)
    except KeyboardInterrupt:
        click.echo(f"run {found.id} goes on; simferry cancel {found.id}  stops it", err=True)
        return 0
    return finish(found, as_json)


@example("simferry logs latest", "simferry logs latest --job 0001-0001")
@main.command()
@RUN
@click.option("--job", metavar="JOB", help="One job: plan-job, as `simferry status` lists them.")
@STORE
@JSON
def logs(name: str, job: str | None, store: str | None, as_json: bool) -> None:
    """What the jobs of a run have printed."""
    from . import verbs

    texts = verbs.open(name, store).logs(job)
    if as_json:
        print_json(texts)
        return
    for label, text in texts.items():
        if len(texts) > 1:
            click.echo(f"==> job {label} <==")
        if text:
            click.echo(text, nl=not text.endswith("\n"))
    if not any(texts.values()):
        click.echo("nothing was printed", err=True)


@example("simferry cancel latest")
@main.command()
@RUN
@STORE
@JSON
def cancel(name: str, store: str | None, as_json: bool) -> None:
    """Stop computing a run; it can be resumed.

    What is done is kept.
    """
    from . import verbs

    found = verbs.open(name, store)
    before = found.status().state
    now = found.cancel()
    if as_json:
        print_json({**head_of(found), **status_of(now)})
    else:
        what = "is stopped" if before == "running" else "was not being computed"
        click.echo(f"run {found.id} {what}; {now.done:,} of {now.total:,} replications are kept")


@example("simferry resume latest", "simferry resume latest --retry-failed")
@main.command()
@RUN
@click.option("--retry-failed", is_flag=True, help="Run failed replications again too, on their own streams.")
@WORKERS
@STORE
@JSON
def resume(name: str, retry_failed: bool, workers: int | None, store: str | None, as_json: bool) -> int:
    """Compute what is missing of a run.

    It goes on with its own snapshot of the code, whatever has become of the script since.
    """
    from . import verbs
    from .screen import progress_bar

    found = verbs.open(name, store)
    with progress_bar(show=not as_json) as update:
        found.resume(retry_failed=retry_failed, workers=workers, on_progress=update)
    return finish(found, as_json)


@example("simferry extend latest --replications 5000")
@main.command()
@RUN
@click.option("-n", "--replications", type=int, required=True, metavar="N", help="How many there should be in all.")
@WORKERS
@STORE
@JSON
def extend(name: str, replications: int, workers: int | None, store: str | None, as_json: bool) -> int:
    """Add replications to a run.

    Those that are there stay as they are.
    """
    from . import verbs
    from .screen import progress_bar

    found = verbs.open(name, store)
    with progress_bar(show=not as_json) as update:
        found.extend(replications, workers=workers, on_progress=update)
    return finish(found, as_json)


@example("simferry results latest -o results.parquet")
@main.command()
@RUN
@OUTPUT
@STORE
@JSON
def results(name: str, output: str | None, store: str | None, as_json: bool) -> None:
    """All results of a run, in one table.

    Its columns: condition, replication, the parameters, the outputs; a row per replication, or several where the
    simulation returns several. The terminal shows the first 40.
    """
    from . import verbs

    found = verbs.open(name, store)
    if output:
        check_output(output)
        write_table(found.results_table(), output, as_json)
        return
    show(found.results(), as_json)


@example("simferry summary latest")
@main.command()
@RUN
@OUTPUT
@STORE
@JSON
def summary(name: str, output: str | None, store: str | None, as_json: bool) -> None:
    """Mean, sd and MCSE per condition and output.

    Failed replications and warnings are counted for each condition; the MCSE is the Monte Carlo standard error of the mean.
    """
    from . import verbs

    show(verbs.open(name, store).summary(), as_json, output)


@example("simferry errors latest", "simferry errors latest --warnings")
@main.command()
@RUN
@click.option("--warnings", "warned", is_flag=True, help="Warnings instead.")
@OUTPUT
@STORE
@JSON
def errors(name: str, warned: bool, output: str | None, store: str | None, as_json: bool) -> None:
    """The failed replications, and why.

    --json and -o tell the call and the traceback too.
    """
    from . import verbs

    found = verbs.open(name, store)
    frame = found.warnings() if warned else found.errors()
    if as_json or output:
        show(frame, as_json, output)
    elif len(frame) == 0:
        click.echo(f"no {'warnings' if warned else 'failed replications'}")
    else:
        show(frame.drop(columns=["call", "traceback"], errors="ignore"), False)
        first = frame.iloc[0]
        click.echo(
            f"simferry replay {found.id} --condition {first['condition']} --replication {first['replication']}"
            "  shows one with its traceback"
        )


@example("simferry replay latest --condition 3 --replication 17")
@main.command()
@RUN
@click.option("--condition", type=int, required=True, metavar="ID", help="The condition's id.")
@click.option("--replication", type=int, required=True, metavar="N", help="The replication's number.")
@STORE
@JSON
def replay(name: str, condition: int, replication: int, store: str | None, as_json: bool) -> int:
    """Run one replication again in the foreground.

    It runs on its own random numbers, and shows its output, its value, and the traceback if it fails.
    """
    from . import verbs

    found = verbs.open(name, store)
    if not as_json:
        return int(found.replay(condition, replication))
    with captured_output() as printed:
        code = int(found.replay(condition, replication))
    which = {"condition": condition, "replication": replication, "failed": code != 0, "output": printed[0]}
    print_json({**head_of(found), **which})
    return code


@contextlib.contextmanager
def captured_output() -> Iterator[list[str]]:
    """What this process and those that it starts print meanwhile, instead of on the terminal."""
    printed: list[str] = []
    before = os.dup(1)
    with tempfile.TemporaryFile() as file:
        try:
            os.dup2(file.fileno(), 1)
            yield printed
        finally:
            os.dup2(before, 1)
            os.close(before)
        file.seek(0)
        printed.append(file.read().decode(errors="replace"))


@example("simferry list --store ~/simulations")
@main.command("list")
@STORE
@JSON
def list_(store: str | None, as_json: bool) -> None:
    """The runs in a store."""
    from . import verbs

    rows = []
    for found in verbs.runs(store):
        now = found.status()
        state = f"{now.state} (pilot)" if found.record.get("pilot") else now.state
        record = {"run": found.id, "created": found.record["created"][:19], "state": state}
        record |= {"conditions": found.record["conditions"], "done": now.done, "total": now.total}
        rows.append({**record, "failed": now.failed, "seed": found.seed})
    if as_json:
        print_json(rows)
    elif rows:
        import pandas as pd

        show(pd.DataFrame(rows), False)
    else:
        from .store import Store

        click.echo(f"there is no run in {Store(store).path} yet")


@example("simferry doctor")
@main.command()
@STORE
@JSON
def doctor(store: str | None, as_json: bool) -> int:
    """What is installed, and what is missing."""
    from .doctor import examine

    found = examine(store)
    if as_json:
        print_json([vars(f) for f in found])
    for f in [] if as_json else found:
        mark = {True: click.style("ok", fg="green"), False: click.style("!!", fg="red"), None: "--"}[f.ok]
        click.echo(f"{mark}  {f.what}: {f.found}")
        if f.hint:
            click.echo(f"    {f.hint}")
    return 1 if any(f.ok is False for f in found) else 0


def show(frame: Any, as_json: bool, output: str | None = None) -> None:
    if output:
        import pyarrow as pa

        check_output(output)
        write_table(pa.Table.from_pandas(frame, preserve_index=False), output, as_json)
    elif as_json:
        print_json(frame.to_dict("records"))
    else:
        from .screen import show_table

        show_table(frame)


def print_json(value: Any) -> None:
    click.echo(json.dumps(plain(value), allow_nan=False))


def plain(value: Any) -> Any:
    """A value as JSON has it; what JSON lacks as text."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"nan": "NaN", "inf": "Inf", "-inf": "-Inf"}[str(value)]
    return value


def check_output(path: str) -> None:
    """Whether a table can be written there, before anything is computed for it."""
    folder = Path(path).absolute().parent
    if Path(path).suffix.lower() not in (".parquet", ".csv"):
        raise UsageError(f"{path}: tables are written as .parquet or .csv", f"For instance: -o {path}.parquet")
    if not folder.is_dir():
        raise UsageError(f"{path}: there is no folder {folder}", f"mkdir -p {folder}  makes it.")
    try:
        if Path(path).exists():
            Path(path).open("ab").close()
        else:
            tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}", "Choose another place for the table.") from None


def write_table(table: Any, path: str, as_json: bool | None = None) -> None:
    from .store import writing

    with writing(Path(path), "Choose another place for the table."):
        if path.lower().endswith(".csv"):
            import pyarrow.csv

            pyarrow.csv.write_csv(table, path)
        else:
            import pyarrow.parquet

            pyarrow.parquet.write_table(table, path)
    if as_json:
        print_json({"file": path, "rows": table.num_rows, "columns": table.column_names})
    elif as_json is not None:
        click.echo(f"{counted(table.num_rows, 'row')} x {counted(table.num_columns, 'column')} in {path}")
