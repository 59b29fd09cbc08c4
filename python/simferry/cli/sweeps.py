"""The commands that take a sweep: run and plan."""

import sys
from typing import TYPE_CHECKING, Any

import click

from ..errors import UsageError
from ..hints import Option, Shell
from ..words import counted, duration
from .app import JSON, Deferred, example, main
from .output import announce, check_output, finish, head_of, print_json, write_results
from .parameters import listed, parse_inputs, parse_parameters

if TYPE_CHECKING:
    from ..sweep.sweep import Sweep

VALUES = (
    "Values of a parameter. Each combination of values is a condition. 10 is a number, 10L an integer, TRUE a logical, NA a "
    'missing value, [1,2],[3] are two lists; all else is a string, also values in quotes: \'"10","a,b"\'.'
)


def options_of_sweeps() -> list[Any]:
    """The options of every command that takes a sweep."""
    from ..sweep.measure_options import MeasureOptions
    from ..sweep.options import BACKENDS, RunOptions, SimulationOptions
    from .options import options_of, options_of_backends

    return [
        click.argument("simulation", metavar="SIMULATION"),
        click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=V1,V2", help=VALUES),
        click.option("--table", metavar="FILE", help="A CSV or Parquet file with one row per condition."),
        *options_of(RunOptions, "replications", "replications_from", "until", "least", "most", "seed"),
        *options_of(SimulationOptions),
        *options_of(RunOptions, "common"),
        click.option("--input", "inputs", multiple=True, metavar="NAME=SOURCE",
                     help="A file, a folder or an address in S3 (,mode=Pipe ,sharded), which is then in $SIMFERRY_INPUT/NAME."),
        click.option("--backend", metavar="NAME", help=f"Where jobs run: {', '.join(BACKENDS)} [local]."),
        *options_of_backends(),
        *options_of(MeasureOptions),
        *options_of(RunOptions, "cores", "store"),
    ]  # fmt: skip


def options_of_computing() -> list[Any]:
    """The options of a run that a plan does not have."""
    from ..sweep.options import RunOptions
    from .options import options_of

    return options_of(
        RunOptions, "on_error", "replication_timeout", "retries", "many_jobs", "keep_files", "fresh", "name", "note"
    )


def sweep_of(simulation: str, parameters: tuple[str, ...], table: str | None, **given: Any) -> "Sweep":
    """The sweep of the command. Options replace those of a sweep file."""
    from ..sweep import design as designs
    from ..sweep.sweep import Sweep

    out: dict[str, Any] = {"simulation": simulation}
    if simulation.lower().endswith(".toml"):
        from ..sweep.file import arguments

        out = arguments(simulation, given["backend"])
    columns, types = parse_parameters(parameters)
    if table is not None and columns:
        raise UsageError(f"both {Option('table')} and -p are given", "Use one of them.")
    if table is not None:
        out["design"] = designs.table(table)
    elif columns:
        out["design"] = designs.grid(columns, types=types)
    if inputs := parse_inputs(given.pop("inputs")):
        out["inputs"] = {**out.get("inputs", {}), **inputs}
    for name in ("env", "metric"):
        if given[name]:
            given[name] = {**out.get(name, {}), **given[name]}
    given["common"] = listed(given["common"])
    if given["until"] is not None:  # instead of those of a sweep file
        out.pop("replications", None)
    if given["replications_from"] is not None:
        out.pop("replications", None)
    return Sweep(**{**out, **{name: value for name, value in given.items() if value is not None}})


def agreed(sweep: "Sweep") -> "Sweep":
    """The sweep, once the user has agreed to a large project; without a terminal to ask on, a run refuses it."""
    if (large := sweep.simulation.too_large) is None or not sys.stdin.isatty():
        return sweep
    click.echo(f"{large.shown()}; the largest is {large.largest}", err=True)
    if not click.confirm("Copy all of it for this run?", err=True):
        raise UsageError("nothing is started", "List what is not needed in .gitignore.")
    return sweep.replace(large_project=True)


def agreed_to_jobs(sweep: "Sweep") -> "Sweep":
    """The same of an image with many jobs that cost money each."""
    if not (many := sweep.many_jobs) or not sys.stdin.isatty():
        return sweep
    click.echo(many, err=True)
    if not click.confirm("Start them?", err=True):
        raise UsageError("nothing is started")
    return sweep.replace(many_jobs=True)


@example(
    "simferry run simulate.R -p n=10,20,50 --replications 1000 --seed 2026",
    'simferry run parallel.R --args "{n}" -p n=100 --replications 10 --results-file result.csv',
    "simferry run sweep.toml --workers 2 -o results.parquet",
    "simferry run sweep.toml --backend batch --jobs 200 --image simferry-r",
)
@main.command()
@Deferred(options_of_sweeps)
@Deferred(options_of_computing)
@click.option("--detach", is_flag=True, help="Run in the background; `simferry watch` follows.")
@click.option("-o", "--output", metavar="FILE", help="Write the table of results when done: .parquet or .csv.")
@JSON
def run(output: str | None, as_json: bool, detach: bool, **given: Any) -> int:
    """Run a simulation, or a sweep file.

    SIMULATION is a script (.R, .py or .m), whose function is called once per replication. With --args it is a script or a program, which
    is run once per replication. image:NAME is an image that is the program, `docker run NAME train`: one job per condition and
    replication. It may also be a sweep file (.toml). Options replace those of the sweep file; -p and --table replace
    its design.
    """
    from ..screen import progress_bar
    from ..verbs.run import run as start

    sweep = agreed_to_jobs(agreed(sweep_of(**given)))
    if output and detach:
        raise UsageError(
            "--output and --detach are both given",
            "After the end of the run: " + Shell("simferry", "results", "latest", "-o", "FILE"),
        )
    if output:
        check_output(output)
    with progress_bar(show=not as_json) as update:
        made = start(sweep, detach=detach, on_progress=update, on_start=None if as_json else announce)
    if detach:
        if as_json:
            print_json({**head_of(made), "state": "running"})
        else:
            click.echo(f"It runs in the background: {made.command('watch')}")
        return 0
    if output:
        from ..results.table import reading

        reading(made._folder, lambda parts: write_results(parts, output))
    return finish(made, as_json)


@example(
    "simferry plan sweep.toml --workers 16",
    "simferry plan sweep.toml --backend sagemaker --deadline 2h --budget 20",
)
@main.command()
@Deferred(options_of_sweeps)
@click.option("--no-pilot", is_flag=True, help="Run nothing; then there is no forecast of the time.")
@click.option(
    "--deadline",
    metavar="TIME",
    help="sagemaker, batch: find the cheapest way to finish within 2h, 90m or a number of seconds.",
)
@click.option("--refresh-prices", is_flag=True, help="sagemaker, batch: ask AWS for today's prices, and store them.")
@JSON
def plan(no_pilot: bool, deadline: str | None, refresh_prices: bool, as_json: bool, **given: Any) -> None:
    """Show what a run would compute, and how long it would take.

    A pilot computes a few replications to measure the time. They are kept, and a run with the same seed uses them. For sagemaker and
    batch, time and cost of what is left to compute are shown, by instance type and number of jobs, for batch for jobs of the size that
    --vcpus, --memory and --on ask for. The pilot runs on this machine, in the image of the jobs if Docker has it, and is then kept in
    the store.
    """
    from dataclasses import asdict

    from ..store.counts import in_words
    from ..sweep.own_code import shown
    from ..verbs import plan as forecast
    from ..words import size as size_in_words

    sweep = agreed(sweep_of(**given))
    out = forecast.plan(sweep, pilot=not no_pilot, deadline=deadline, refresh_prices=refresh_prices)
    if as_json:
        print_json(asdict(out))
        return
    along = [f"along: {one['shown']}" for one in out.project]
    size = f"{counted(out.conditions, 'condition')} x {in_words(out.replications)}"
    if out.cloud:
        jobs = f", in {counted(out.stretches, 'job')}" if sweep.simulation.image else ""
        click.echo("\n".join([f"{size} = {out.total:,}{jobs}", f"code: {shown(out.code)}", *along]))
        show_ways(out)
        return
    stretches = f"{out.stretches:,} stretch{'' if out.stretches == 1 else 'es'}"
    pieces = counted(out.stretches, "job") if sweep.simulation.image else stretches
    click.echo(f"{size} = {out.total:,}, in {pieces}")
    click.echo("\n".join([f"code: {shown(out.code)}", *along]))
    if not no_pilot and not sweep.simulation.image:
        click.echo(f"already there: {out.already_there:,}")
    if out.seconds is not None and out.seconds_per_replication is not None and out.core_seconds is not None:
        click.echo(
            f"a replication takes {out.seconds_per_replication:.3g} s on average "
            f"(a pilot of {out.pilot_replications:,}, kept in {out.pilot_run})"
        )
        click.echo(
            f"all of it about {duration(out.seconds)} on {counted(out.workers, 'core')} ({duration(out.core_seconds)} of core time)"
        )
        click.echo(f"its results take about {size_in_words(out.disk_bytes or 0)} of disk")
        slow = dict(out.slowest_condition or {})
        seconds = slow.pop("seconds")
        click.echo(f"slowest: {', '.join(f'{k} {v}' for k, v in slow.items())}: {seconds:.3g} s a replication")
        click.echo(f"{Option('seed', out.seed)}  uses the pilot's replications")


def show_ways(out: Any) -> None:
    """Print the forecast for the cloud: a line about the pilot, the table, and notes."""
    from ..screen import show_table

    if out.core_seconds is not None:
        click.echo(
            f"a replication takes {out.seconds_per_replication:.3g} s on average, {out.longest_replication:.3g} s at most "
            f"(a pilot of {out.pilot_replications:,}); {duration(out.core_seconds)} of core time in all\n"
        )
    if out.cloud.rows:
        import pandas as pd

        rows = [
            (r.instance_type, r.jobs, r.cores, duration(r.seconds), f"${r.dollars:,.2f}", r.remark)
            for r in out.cloud.rows
        ]
        what = "instance type" if "." in rows[0][0].partition(",")[0] else "job"
        show_table(pd.DataFrame(rows, columns=[what, "jobs", "vCPUs each", "time", "cost", ""]))
        click.echo()
    for note in out.cloud.notes:
        click.echo(note)
