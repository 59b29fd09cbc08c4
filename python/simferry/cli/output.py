"""The output of commands: tables, JSON, and the last lines of a run."""

import json
import shutil
import sys
import tempfile
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..hints import Option, Shell
from ..words import counted

NA_WORD = 1954  # the lower half of R's NA
PYTHONS_HEADING = "Traceback (most recent call last):"


def announce(made: Any, taken_over: int, seed_was_drawn: bool) -> None:
    from ..store import counts
    from ..sweep.stopping import Until

    wanted, conditions = made.replications, made._folder.conditions
    total = counts.total(wanted, conditions)
    drawn = ", drawn" if seed_was_drawn else ""
    rule = Until.of_record(made.record.get("until") or {})
    size = f"{counted(conditions, 'condition')} x {'' if rule is None else 'at least '}{counts.in_words(wanted)}"
    until = "" if rule is None else f" until {rule.in_words()}"
    click.echo(f"run {made.id}: {size}{until}, seed {made.seed}{drawn}")
    if made.backend_note:
        click.echo(made.backend_note)
    if taken_over:
        from ..verbs.reuse import in_words

        click.echo(in_words(taken_over, total))


def finish(made: Any, as_json: bool) -> int:
    """The last lines of a run, and its exit code."""
    now = made.status()
    if as_json:
        print_json({**head_of(made), **status_of(now)})
    else:
        click.echo(
            f"{now.done:,} of {counted(now.total, 'replication')} done, {now.failed:,} failed, in {made.address}"
        )
        if now.precision:
            click.echo(now.precision)
        if now.failed:
            if now.failed == now.done:
                said = made.errors()["message"].iloc[0].strip().splitlines()
                first = said[0]
                if first.endswith(PYTHONS_HEADING):
                    first = first.removesuffix(PYTHONS_HEADING) + said[-1]
                elif first.rstrip().endswith(":") and len(said) > 1:  # R's "Error in f(x) :"
                    first = f"{first.rstrip()} {said[1].strip()}"
                click.echo(f"all have failed, the first with: {first[:300]}")
            click.echo(f"{made.command('errors')}  says why")
            click.echo(f"{made.command('resume', retry_failed=True)}  tries them again")
        elif now.finished:
            click.echo(f"{made.command('measures' if made.record.get('measures') else 'summary')}")
        if not now.finished:
            if now.failed and made.record["options"]["on_error"] == "stop":
                click.echo(f"stopped at a failed replication ({Option('on_error', 'stop')})", err=True)
            click.echo(f"{made.command('resume')}  goes on", err=True)
    return 3 if now.failed else 0 if now.finished else 1


def head_of(made: Any) -> dict[str, Any]:
    return {"run": made.id, "folder": str(made.folder), "address": made.address, "seed": made.seed}


def status_of(now: Any) -> dict[str, Any]:
    return {
        "state": now.state,
        "total": now.total,
        "done": now.done,
        "failed": now.failed,
        "jobs": now.jobs,
        "waiting_for": now.note,
        "dollars": now.dollars,
        "dollars_saved": now.saved,
        "per_second": now.per_second,
        "seconds_left": now.seconds_left,
        "precision": now.precision,
    }


def show(frame: Any, as_json: bool, output: str | None = None) -> None:
    if output:
        import pyarrow as pa

        check_output(output)
        write_table(pa.Table.from_pandas(frame, preserve_index=False), output, as_json)
    elif as_json:
        print_json(records_of(frame))
    else:
        from ..screen import show_table

        show_table(frame)


def is_shown(as_json: bool, output: str | None = None) -> bool:
    """Whether a table goes to a terminal, which shows no more than its head."""
    return not as_json and not output and sys.stdout.isatty()


def show_head(head: Any) -> None:
    from .. import screen

    screen.show_head(head)


def records_of(frame: Any) -> list[dict[str, Any]]:
    """The rows of a table. In a column of texts, where pandas has NaN for none, that is None."""
    texts = [name for name in frame.columns if frame[name].dtype.kind not in "iufcbM"]
    rows: list[dict[str, Any]] = frame.to_dict("records")
    for name in texts:
        for row in rows:
            if isinstance(row[name], float) and row[name] != row[name]:
                row[name] = None
    return rows


def tell(line: str) -> None:
    """Print a line of a report that is no result."""
    click.echo(line, err=True)


def print_json(value: Any) -> None:
    click.echo(json.dumps(plain(value), allow_nan=False))


def plain(value: Any) -> Any:
    """A value of JSON. Numbers that JSON does not have become text, NA null. value: a list may be an array of numpy."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if type(value).__name__ == "ndarray":
        na = value.view("<u4")[::2] == NA_WORD if value.dtype.str == "<f8" else ()
        return [None if of_r and v != v else plain(v) for v, of_r in zip_longest(value.tolist(), na)]
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return {"nan": "NaN", "inf": "Inf", "-inf": "-Inf"}[str(value)]
    return value


def check_output(path: str) -> None:
    """Raises UsageError if a table can't be written to this path. Called before anything is computed."""
    folder = Path(path).absolute().parent
    if Path(path).suffix.lower() not in (".parquet", ".csv"):
        raise UsageError(
            f"{path}: tables are written as .parquet or .csv",
            "Example: " + Shell("-o", str(Path(path).with_suffix(".parquet"))),
        )
    if not folder.is_dir():
        raise UsageError(f"{path}: there is no folder {folder}", Shell("mkdir", "-p", str(folder)) + "  creates it.")
    try:
        if Path(path).exists():
            Path(path).open("ab").close()
        tempfile.TemporaryFile(dir=Path(path).resolve().parent).close()
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}", "Choose another place for the table.") from None


def write_table(table: Any, path: str, as_json: bool | None = None) -> None:
    import numpy as np

    from ..results.parts import Counts, Results

    write_results(Results(table.schema, Counts(*[np.empty(0)] * 3), whole=table), path, as_json)


def write_results(results: Any, path: str, as_json: bool | None = None) -> None:
    """Write a run's table of results, a part at a time."""
    from ..system.files import replacing, writing

    target = Path(path).resolve()
    with writing(Path(path), "Choose another place for the table."), replacing(target) as draft:
        if path.lower().endswith(".csv"):
            import pyarrow.csv

            pieces = map(_with_json, results.pieces())
            first = next(pieces)
            with pyarrow.csv.CSVWriter(draft, first.schema) as out:
                for piece in chain([first], pieces):
                    out.write_table(piece)
        else:
            results.write(draft)
        if target.exists():
            shutil.copymode(target, draft)
    names = results.schema.names
    if as_json:
        print_json({"file": path, "rows": results.rows, "columns": names})
    elif as_json is not None:
        click.echo(f"{counted(results.rows, 'row')} x {counted(len(names), 'column')} in {path}")


def _with_json(table: Any) -> Any:
    """The table with the lists of its columns as texts, in JSON, which CSV can hold."""
    import pyarrow as pa

    for at, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            cells = table[field.name].combine_chunks().to_numpy(zero_copy_only=False)
            texts = [None if v is None else json.dumps(plain(v), ensure_ascii=False) for v in cells]
            table = table.set_column(at, field.name, pa.array(texts, pa.string()))
    return table
