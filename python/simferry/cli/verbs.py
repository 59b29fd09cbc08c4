"""The commands that do something with a run, and doctor."""

import contextlib
import os
import tempfile
from collections.abc import Iterator

import click

from .app import JSON, OUTPUT, RUN, STORE, WORKERS, example, main
from .output import check_output, finish, head_of, print_json, show, status_of, write_table


@example("simferry status latest --json")
@main.command()
@RUN
@STORE
@JSON
def status(name: str, store: str | None, as_json: bool) -> None:
    """How far a run is."""
    from .. import verbs

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
    from .. import verbs
    from ..screen import progress_bar

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
    from .. import verbs

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
    from .. import verbs

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
    from .. import verbs
    from ..screen import progress_bar

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
    from .. import verbs
    from ..screen import progress_bar

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
    from .. import verbs

    found = verbs.open(name, store)
    if output:
        check_output(output)
        write_table(found.results_table(), output, as_json)
        return
    frame = found.results()
    show(frame, as_json)
    if len(frame) == 0:
        click.echo(
            f"no rows: what replications wrote is in {found.folder / 'artifacts'}; simferry logs {found.id}  shows what they printed",
            err=True,
        )


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
    from .. import verbs

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
    from .. import verbs

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
    from .. import verbs

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
    from .. import verbs

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
        from ..store import Store

        click.echo(f"there is no run in {Store(store).path} yet")


@example("simferry doctor")
@main.command()
@STORE
@JSON
def doctor(store: str | None, as_json: bool) -> int:
    """What is installed, and what is missing."""
    from ..doctor import examine

    found = examine(store)
    if as_json:
        print_json([vars(f) for f in found])
    for f in [] if as_json else found:
        mark = {True: click.style("ok", fg="green"), False: click.style("!!", fg="red"), None: "--"}[f.ok]
        click.echo(f"{mark}  {f.what}: {f.found}")
        if f.hint:
            click.echo(f"    {f.hint}")
    return 1 if any(f.ok is False for f in found) else 0
