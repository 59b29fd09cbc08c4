"""The command line: it parses arguments, calls the verbs, and prints."""

import json
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from . import __version__
from .errors import Interrupted, SimferryError, UsageError

RESUME = "simferry resume"


class Commands(click.Group):
    """Errors of simferry's end the command in one or two lines; a mistyped command is offered its nearest neighbours."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order in which a user meets them

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from .errors import nearest

            raise UsageError(
                f"there is no command {args[0]}", nearest(args[0], self.commands) or "simferry --help  lists them."
            ) from None

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
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)
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
        command.help = f"{command.help}\n\n\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)
        return command

    return add


def with_options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


STORE = click.option("--store", metavar="DIR", help="Where runs live [$SIMFERRY_STORE, or ./simferry-runs].")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
OUTPUT = click.option("-o", "--output", metavar="FILE", help="Write the whole table: .parquet or .csv.")
WORKERS = click.option("--workers", type=int, metavar="N", help="Cores to use [all].")
RUN = click.argument("name", metavar="RUN")
VALUES = (
    "Values of a parameter; every combination is run. 10 is a number, 10L an integer, TRUE a logical, "
    "anything else (or what is quoted) a string."
)
SWEEP = with_options(
    click.argument("simulation", metavar="SIMULATION"),
    click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=V1,V2", help=VALUES),
    click.option("--table", metavar="FILE", help="The conditions: a CSV or Parquet file, a row each."),
    click.option("-n", "--replications", type=int, metavar="N", help="Replications of each condition."),
    click.option("--seed", type=int, metavar="N", help="0 to 2147483647 [drawn, and printed]."),
    click.option("--function", metavar="NAME", help="The script's function [simulate]."),
    click.option("--args", metavar="TEMPLATE", help='Run the whole script, with these arguments: "--args {n} {effect}".'),
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
    if table and columns:
        raise UsageError("both --table and -p are given", "A design is made in one way.")
    if table:
        out["design"] = designs.table(table)
    elif columns:
        out["design"] = designs.grid(columns, types=types)
    common = given.pop("common")
    if common:
        out["common"] = "all" if common == "all" else [name.strip() for name in common.split(",")]
    for name, value in given.items():
        if value is not None and value != ():
            out[name] = value
    if out.get("replications") is None:
        raise UsageError(
            "how many replications?", "--replications 1000, or replications = 1000 in the [run] table of a sweep file"
        )
    return out


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
        tokens = re.findall(r'\s*("(?:[^"\\]|\\.)*"|\'[^\']*\'|[^,]*)\s*(?:,|$)', values)[: values.count(",") + 1]
        if values and not values.endswith(",") and tokens and tokens[-1] == "":
            tokens.pop()
        if not values.strip() or any(token.strip() == "" for token in tokens):
            raise UsageError(f"-p {text}: a value is empty", 'An empty string is written "".')
        parsed = [parse_value(token.strip()) for token in tokens]
        if any(kind == "integer" for _, kind in parsed):
            types[name] = "integer"
        columns[name] = [value for value, _ in parsed]
    return columns, types


def parse_value(text: str) -> tuple[Any, str]:
    if text[:1] in ("'", '"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1]), "string"
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
    """Run a simulation: a script's function, a whole script, a program, or a sweep file."""
    from . import verbs
    from .screen import progress_bar

    arguments = sweep_arguments(**given)
    if output:
        check_output(output)
    with progress_bar(show=not as_json) as update:
        made = verbs.run(**arguments, on_progress=update, on_start=None if as_json else announce)
    if arguments.get("detach"):
        if as_json:
            click.echo(json.dumps({"run": made.id, "folder": str(made.folder), "seed": made.seed, "state": "running"}))
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
    click.echo(
        f"run {made.id}: {record['conditions']:,} conditions x {record['replications']:,} replications, seed {made.seed}{drawn}"
    )
    if taken_over:
        click.echo(
            f"{taken_over:,} of {total:,} replications were computed by earlier runs and are taken over (--fresh computes anew)"
        )


def finish(made: Any, as_json: bool) -> int:
    """The last lines of a run, and its exit code."""
    now = made.status()
    if as_json:
        click.echo(json.dumps({"run": made.id, "folder": str(made.folder), "seed": made.seed, **status_of(now)}))
    else:
        click.echo(f"{now.done:,} of {now.total:,} replications done, {now.failed:,} failed, in {made.folder}")
        if now.failed:
            click.echo(f"simferry errors {made.id}  tells why")
        elif now.finished:
            click.echo(f"simferry summary {made.id}")
        if not now.finished:
            click.echo(f"{RESUME} {made.id}  goes on", err=True)
    return 3 if now.failed else 0 if now.finished else 1


def status_of(now: Any) -> dict[str, Any]:
    return {"state": now.state, "total": now.total, "done": now.done, "failed": now.failed, "jobs": now.jobs}


@example("simferry plan sweep.toml --workers 16")
@main.command()
@SWEEP
@click.option("--no-pilot", is_flag=True, help="Don't run anything: no forecast of the time.")
@JSON
def plan(no_pilot: bool, as_json: bool, **given: Any) -> None:
    """What a run would compute, what is already there, and how long it should take.

    A pilot of a few replications is run to see; they are kept, and a run with the same seed does not compute them again.
    """
    from . import forecast
    from .screen import duration

    arguments = sweep_arguments(**given)
    unused = ("on_error", "replication_timeout", "retries", "fresh")
    arguments = {name: value for name, value in arguments.items() if name not in unused}
    out = forecast.plan(**arguments, pilot=not no_pilot)
    if as_json:
        click.echo(json.dumps(vars(out)))
        return
    click.echo(
        f"{out.conditions:,} conditions x {out.replications:,} replications = {out.total:,}, in {out.stretches:,} stretches"
    )
    if not no_pilot:
        click.echo(f"already there: {out.already_there:,}")
    if out.seconds is not None and out.seconds_per_replication is not None and out.core_seconds is not None:
        click.echo(
            f"a replication takes {out.seconds_per_replication:.3g} s on average "
            f"(a pilot of {out.pilot_replications:,}, kept: {out.pilot_run})"
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
        click.echo(json.dumps({"run": found.id, "folder": str(found.folder), "seed": found.seed, **status_of(now)}))
        return
    click.echo(f"run {found.id}: {now.state}, {now.done:,} of {now.total:,} replications done, {now.failed:,} failed")
    for job, state in list(now.jobs.items())[-20:]:
        click.echo(f"  job {job}: {state}")
    if now.state == "incomplete":
        click.echo(f"{RESUME} {found.id}  goes on")


@example("simferry watch latest")
@main.command()
@RUN
@STORE
@JSON
def watch(name: str, store: str | None, as_json: bool) -> int:
    """Follow a run that is being computed, from any shell. Ctrl-C stops watching, not the run."""
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
        click.echo(json.dumps(texts))
        return
    for label, text in texts.items():
        if len(texts) > 1:
            click.echo(f"==> job {label} <==")
        click.echo(text, nl=not text.endswith("\n"))


@example("simferry cancel latest")
@main.command()
@RUN
@STORE
@JSON
def cancel(name: str, store: str | None, as_json: bool) -> None:
    """Stop computing a run. What is done is kept, and the run can be resumed."""
    from . import verbs

    found = verbs.open(name, store)
    now = found.cancel()
    if as_json:
        click.echo(json.dumps({"run": found.id, **status_of(now)}))
    else:
        click.echo(f"run {found.id} is stopped; {now.done:,} of {now.total:,} replications are kept")


@example("simferry resume latest", "simferry resume latest --retry-failed")
@main.command()
@RUN
@click.option("--retry-failed", is_flag=True, help="Run failed replications again too, on their own streams.")
@WORKERS
@STORE
@JSON
def resume(name: str, retry_failed: bool, workers: int | None, store: str | None, as_json: bool) -> int:
    """Compute what is missing of a run, with the code that the run began with."""
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
    """Add replications to a run; those that are there stay as they are."""
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
    """The run's one table: condition, replication, parameters, outputs."""
    from . import verbs

    found = verbs.open(name, store)
    if output:
        check_output(output)
        table = found.results_table()
        write_table(table, output)
        if not as_json:
            click.echo(f"{table.num_rows:,} rows x {table.num_columns} columns in {output}")
        return
    show(found.results(), as_json)


@example("simferry summary latest")
@main.command()
@RUN
@OUTPUT
@STORE
@JSON
def summary(name: str, output: str | None, store: str | None, as_json: bool) -> None:
    """Per condition and output: mean, sd and Monte Carlo standard error; failed replications and warnings counted."""
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
    """The failed replications, with message, call and traceback."""
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
    """Run one replication again in the foreground, on its own random numbers, with its output and traceback."""
    from . import verbs

    found = verbs.open(name, store)
    code = found.replay(condition, replication)
    if as_json:
        click.echo(
            json.dumps({"run": found.id, "condition": condition, "replication": replication, "failed": code != 0})
        )
    return code


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
        click.echo(json.dumps(rows))
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
    """What is installed, what is missing, and what to do about it."""
    from .doctor import examine

    found = examine(store)
    if as_json:
        click.echo(json.dumps([vars(f) for f in found]))
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
        write_table(pa.Table.from_pandas(frame, preserve_index=False), output)
    elif as_json:
        click.echo(json.dumps([{k: plain(v) for k, v in row.items()} for row in frame.to_dict("records")]))
    else:
        from .screen import show_table

        show_table(frame)


def plain(value: Any) -> Any:
    """A cell as JSON has it; what JSON lacks as text."""
    if type(value).__name__ == "NAType":
        return None
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"nan": "NaN", "inf": "Inf", "-inf": "-Inf"}[str(value)]
    return value


def check_output(path: str) -> None:
    if Path(path).suffix.lower() not in (".parquet", ".csv"):
        raise UsageError(f"{path}: tables are written as .parquet or .csv")
    if not Path(path).absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no folder {Path(path).absolute().parent}")


def write_table(table: Any, path: str) -> None:
    from .store import writing

    with writing(Path(path), "Choose another place for the table."):
        if path.lower().endswith(".csv"):
            import pyarrow.csv

            pyarrow.csv.write_csv(table, path)
        else:
            import pyarrow.parquet

            pyarrow.parquet.write_table(table, path)


__all__ = ["Interrupted", "main"]
