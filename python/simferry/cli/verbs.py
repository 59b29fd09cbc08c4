"""The commands that take a run, and list and doctor."""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import click

from ..system.terminal import styled
from ..words import are, counted
from .app import JSON, OUTPUT, RUN, STORE, Deferred, example, main
from .output import check_output, finish, head_of, is_shown, print_json, show, show_head, status_of, write_results

CHANGED_CODE = click.option(
    "--changed-code", is_flag=True, help="Go on even if your own code outside of the snapshot has changed."
)


@Deferred
def changeable_options() -> list[Any]:
    """Options of the backend that may change when a run goes on."""
    from .options import options_of_backends

    names = ("workers", "jobs", "instance_type", "vcpus", "memory", "max_runtime", "attempts", "role", "budget")
    return options_of_backends(*names, default="as before")


@Deferred
def replications_in_all() -> list[Any]:
    from ..sweep.options import RunOptions
    from .options import option_of

    return [option_of(RunOptions, "replications", "The total number for each condition")]


@example("simferry status latest --json")
@main.command()
@RUN
@STORE
@JSON
def status(name: str, store: str | None, as_json: bool) -> None:
    """Show the progress of a run."""
    from ..driver.progress import jobs_text, rate_texts
    from ..verbs import runs

    found = runs.open(name, store)
    now = found.status()
    if as_json:
        print_json({**head_of(found), **status_of(now)})
        return
    counts = [f"{now.done:,} of {counted(now.total, 'replication')} done", f"{now.failed:,} failed", *rate_texts(now)]
    click.echo(f"run {found.id}: {now.state}, {', '.join(counts)}")
    if len(now.jobs) > 20 or now.dollars is not None:
        click.echo(f"  jobs: {jobs_text(now)}")
    for job, state in list(now.jobs.items())[-20:]:
        click.echo(f"  job {job}: {state}")
    if now.precision:
        click.echo(f"  {now.precision}")
    if now.state == "incomplete":
        click.echo(f"{found.command('resume')}  goes on")


@example("simferry watch latest")
@main.command()
@RUN
@STORE
@JSON
def watch(name: str, store: str | None, as_json: bool) -> int:
    """Follow a run, from any shell. Ctrl-C does not stop the run."""
    from ..screen import progress_bar
    from ..verbs import runs

    found = runs.open(name, store)
    try:
        with progress_bar(show=not as_json) as update:
            found.watch(update)
    except KeyboardInterrupt:
        click.echo(f"run {found.id} goes on; {found.command('cancel')}  stops it", err=True)
        return 0
    return finish(found, as_json)


@example("simferry logs latest", "simferry logs latest --job 0001-0001", "simferry logs latest --follow")
@main.command()
@RUN
@click.option("--job", metavar="JOB", help="One job: plan-job, as `simferry status` lists them.")
@click.option("-f", "--follow", is_flag=True, help="Show new lines until the jobs have ended.")
@STORE
@JSON
def logs(name: str, job: str | None, follow: bool, store: str | None, as_json: bool) -> None:
    """Show the output of a run's jobs."""
    from ..verbs import runs

    found = runs.open(name, store)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            for label, line in found.follow(job):
                click.echo(
                    json.dumps({"job": label, "line": line})
                    if as_json
                    else f"{label} | {line}"
                    if job is None
                    else line
                )
        return
    texts = found.logs(job)
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
    """Stop a run. Finished replications are kept, and the run can be resumed."""
    from ..verbs import runs

    found = runs.open(name, store)
    before = found.status().state
    now = found.cancel()
    if as_json:
        print_json({**head_of(found), **status_of(now)})
    else:
        what = "is stopped" if before == "running" else "was not being computed"
        click.echo(f"run {found.id} {what}; {now.done:,} of {counted(now.total, 'replication')} {are(now.total)} kept")


@example("simferry resume latest", "simferry resume latest --retry-failed")
@main.command()
@RUN
@click.option("--retry-failed", is_flag=True, help="Also run failed replications again, with the same random numbers.")
@CHANGED_CODE
@changeable_options
@STORE
@JSON
def resume(
    name: str, retry_failed: bool, changed_code: bool, store: str | None, as_json: bool, **backend_options: Any
) -> int:
    """Compute the missing replications of a run.

    The run goes on with its own snapshot of the code, even if the script has changed. Your own modules and packages are not in the
    snapshot: if they have changed, this is refused.
    """
    from ..screen import progress_bar
    from ..verbs import runs

    found = runs.open(name, store)
    with progress_bar(show=not as_json) as update:
        found.resume(retry_failed=retry_failed, changed_code=changed_code, on_progress=update, **backend_options)
    return finish(found, as_json)


@example("simferry extend latest --replications 5000")
@main.command()
@RUN
@replications_in_all
@click.option(
    "--add", metavar="N", type=click.IntRange(1), help="How many more each condition gets, instead of a total."
)
@CHANGED_CODE
@changeable_options
@STORE
@JSON
def extend(
    name: str,
    replications: Any,
    add: int | None,
    changed_code: bool,
    store: str | None,
    as_json: bool,
    **backend_options: Any,
) -> int:
    """Add replications to a run. Existing replications do not change."""
    from ..screen import progress_bar
    from ..verbs import runs

    found = runs.open(name, store)
    with progress_bar(show=not as_json) as update:
        found.extend(replications, add=add, changed_code=changed_code, on_progress=update, **backend_options)
    return finish(found, as_json)


@example("simferry results latest -o results.parquet")
@main.command()
@RUN
@OUTPUT
@STORE
@JSON
def results(name: str, output: str | None, store: str | None, as_json: bool) -> None:
    """Show all results of a run, in one table.

    Its columns are condition, replication, the parameters and the outputs. It has one row per replication, or as many as the
    simulation returns. A terminal shows the first 40 rows and what fits of the columns; pipes, -o and --json hold everything.
    """
    from ..verbs import runs

    found = runs.open(name, store)
    if output:
        from ..results.table import reading

        check_output(output)
        reading(found._folder, lambda parts: write_results(parts, output, as_json))
        return
    if is_shown(as_json):
        head = found._results_head()
        show_head(head)
        rows = head.rows
    else:
        frame = found.results()
        show(frame, as_json)
        rows = len(frame)
    if rows == 0:
        now = found.status()
        why = f"files of replications are in {found.address}/artifacts; {found.command('logs')}  shows their output"
        if now.done == now.failed:
            why = f"{found.command('errors')}  says why" if now.failed else "nothing has been computed yet"
        click.echo(f"no rows: {why}", err=True)


@example("simferry summary latest", "simferry summary latest --by method,size")
@main.command()
@RUN
@click.option("--by", metavar="NAMES", help="Outputs that identify the rows of a replication [text outputs].")
@OUTPUT
@STORE
@JSON
def summary(name: str, by: str | None, output: str | None, store: str | None, as_json: bool) -> None:
    """Show mean, sd and MCSE for each condition and output.

    If no output identifies the rows of a replication, their mean is used. Failed replications and warnings are counted for each
    condition. MCSE is the Monte Carlo standard error of the mean.
    """
    from ..verbs import runs

    names = [one.strip() for one in by.split(",")] if by is not None else None
    found = runs.open(name, store)
    if is_shown(as_json, output):
        show_head(found._summary_head(names))
    else:
        show(found.summary(names), as_json, output)


@example("simferry errors latest", "simferry errors latest --warnings")
@main.command()
@RUN
@click.option("--warnings", "warned", is_flag=True, help="Show warnings instead.")
@OUTPUT
@STORE
@JSON
def errors(name: str, warned: bool, output: str | None, store: str | None, as_json: bool) -> None:
    """Show the failed replications, and why they failed. --json and -o include the call and the traceback."""
    from ..verbs import runs

    found, which = runs.open(name, store), "warnings" if warned else "failures"
    if output:
        from ..results.messages import messages

        check_output(output)
        with messages(found._folder, which) as some:
            write_results(some, output, as_json)
        return
    if is_shown(as_json):
        head = found._messages_head(which)
        condition, replication, *_ = head.columns
        if head.rows:
            show_head(head)
    else:
        frame = found._messages(which)
        condition, replication = frame["condition"], frame["replication"]
        if as_json:
            show(frame, as_json)
            return
        if len(frame):
            show(frame.drop(columns=["call", "traceback"], errors="ignore"), False)
    if len(condition) == 0:
        click.echo(f"no {'warnings' if warned else 'failed replications'}")
        return
    if found.record["simulation"]["kind"] == "image":
        click.echo(f"{found.command('logs')}  shows what their jobs printed")
        return
    again = found.command("replay", condition=int(condition[0]), replication=int(replication[0]))
    click.echo(f"{again}  shows one with its traceback")


@example("simferry replay latest --condition 3 --replication 17")
@main.command("replay")
@RUN
@click.option("--condition", type=int, required=True, metavar="ID", help="The condition's id.")
@click.option("--replication", type=int, required=True, metavar="N", help="The replication's number.")
@STORE
@JSON
def replay_(name: str, condition: int, replication: int, store: str | None, as_json: bool) -> int:
    """Run one replication again in the foreground.

    It has the same random numbers as in the run. Its output and value are shown, or the traceback if it fails.
    """
    from ..verbs import runs
    from ..verbs.replay import replay

    found = runs.open(name, store)
    with captured_output() if as_json else contextlib.nullcontext([""]) as printed:
        replayed = replay(found, condition, replication)
    error = {key: getattr(replayed.error, key) for key in ("message", "call", "traceback")} if replayed.error else None
    if as_json:
        head = {"condition": condition, "replication": replication, "failed": error is not None}
        print_json({**head_of(found), **head, "output": printed[0], "value": replayed.shown, "error": error})
    elif replayed.error:
        click.echo(f"failed: {replayed.error}", err=True)
    else:
        click.echo(replayed.shown)
    return replayed.error.exit_code if replayed.error else 0


@contextlib.contextmanager
def captured_output() -> Iterator[list[str]]:
    """Captures the output of this process, and of processes that it starts."""
    printed: list[str] = []
    sys.stdout.flush()
    before = os.dup(1)
    with tempfile.TemporaryFile() as file:
        try:
            os.dup2(file.fileno(), 1)
            with open(1, "w", closefd=False) as out, contextlib.redirect_stdout(out):
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
    """List the runs of a store."""
    from ..verbs import runs

    rows = []
    for found, now in runs.standing(store):
        state = f"{now.state} (pilot)" if found.record.get("pilot") else now.state
        record = {"run": found.id, "name": found.name, "created": found.record["created"][:19], "state": state}
        record |= {"conditions": found._folder.conditions, "done": now.done, "total": now.total}
        rows.append({**record, "failed": now.failed, "seed": found.seed, "note": found.note})
    if as_json:
        print_json(rows)
    elif rows:
        from ..screen import show_columns

        unused = [name for name in ("name", "note") if not any(row[name] for row in rows)]
        show_columns({name: [row[name] for row in rows] for name in rows[0] if name not in unused})
    else:
        from ..store.places import store_at

        click.echo(f"there is no run in {store_at(store).address} yet")


@example("simferry doctor")
@main.command()
@STORE
@JSON
def doctor(store: str | None, as_json: bool) -> int:
    """Show what is installed, and what is missing."""
    from ..verbs.doctor import examine

    found = examine(store)
    if as_json:
        print_json([vars(f) for f in found])
    for f in [] if as_json else found:
        mark = {True: styled("ok", sys.stdout, fg="green"), False: styled("!!", sys.stdout, fg="red"), None: "--"}[f.ok]
        click.echo(f"{mark}  {f.what}: {f.found}")
        if f.hint:
            click.echo(f"    {f.hint}")
    return 1 if any(f.ok is False for f in found) else 0
