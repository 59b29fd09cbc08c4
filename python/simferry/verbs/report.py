"""The report of a run: one page of HTML for readers who do not have simferry. And of a sweep, before anything has run."""

import itertools
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..analysis.cells import Cells
from ..analysis.measure_table import MeasureTable, contrast_table, measure_table
from ..analysis.sources import of_run
from ..errors import UsageError
from ..hints import Command, Face, Option
from ..jobs.snapshot import code_files
from ..report import html
from ..report.figure_data import FIRST
from ..report.grid import grid, measures_figures, measures_table, shown
from ..report.raw import raw_figures
from ..results import table as results
from ..results.collect import gathered
from ..results.messages import messages
from ..results.parts import Results
from ..store import counts
from ..store.run_folder import RunFolder
from ..sweep.arrow import as_numpy
from ..sweep.conditions import read_conditions
from ..sweep.design import Design
from ..sweep.roles import Roles
from ..sweep.sweep import Sweep
from ..sweep.truths import is_table
from ..system.files import write_whole, writing
from .measuring import ROLES, asked

MOST_CODE = 100_000  # characters of the code in a page
MOST_MESSAGES = 20  # different ones
REFERENCE = (
    "Morris TP, White IR, Crowther MJ (2019). Using simulation studies to evaluate statistical methods. Statistics in Medicine "
    "38:2074\u20132102. doi:10.1002/sim.8086"
)


def report(run: Any, path: str | Path, **options: Any) -> Path:
    """Write the report of a run.

    run: a Run. path: of the page, ending in .html. options: as for `Run.measures`, where the run does not know them; without an estimate
    the report has means only. Returns the path. Raises UsageError for columns that are not there or do not fit, StoreError if the run
    can't be read.
    """
    out, folder = _page_path(path), run._folder
    roles = {**folder.record.measures, **options}
    known = roles.get("estimate") is not None or roles.get("p_value") is not None
    if not known and (given := [name for name in ROLES if options.get(name) is not None]):
        raise UsageError(f"{given[0]} is given without an estimate", Option("estimate", "est"))
    now = run.status()
    with np.errstate(all="ignore"):  # of estimates that are infinite or very large
        sections = _measured(run, options) if known and now.done > now.failed else _summed(run)
    study = folder.record.study
    everything = [
        *_aims(study),
        ("Data-generating mechanisms", _said(study, "data_generating_mechanisms") + _conditions(folder)),
        *_estimands(study, roles),
        *sections,
        ("Failures and warnings", _messages(run, "failures") + _messages(run, "warnings")),
        ("Reproducing it", _reproducing(run)),
        ("How to cite it", _citation(run)),
    ]
    head = html.facts(
        {
            "authors": _in_line(study.get("authors")),
            "replications": f"{now.done:,} of {now.total:,} done, {now.failed:,} failed",
            "conditions": f"{folder.conditions:,}",
            "seed": folder.record.seed,
            "computed": f"{folder.record.created[:10]}, simferry {folder.record.version}",
            "note": run.note,
        }
    )
    return _written(out, html.document(str(study.get("title") or run.name or run.id), head, everything))


def preregistration(sweep: Sweep, path: str | Path) -> Path:
    """Write what is planned before anything has run: aims, data-generating mechanisms, estimands, methods, performance measures, code.

    sweep: its design, study, roles and code. path: of the page, ending in .html. Returns it. Raises UsageError.
    """
    out, study, simulation = _page_path(path), sweep.study.given(), sweep.simulation
    script = simulation.path
    code = script.read_text(errors="replace")[:MOST_CODE] if script is not None and simulation.kind != "command" else ""
    until = sweep.until
    replications = (
        counts.in_words(sweep.replications)
        if until is None
        else f"{until.least:,} to {until.most:,} of each condition, until the Monte Carlo standard errors are at most "
        + ", ".join(f"{value:g} ({name})" for name, value in until.targets.items())
    )
    head = html.facts(
        {
            "authors": _in_line(study.get("authors")),
            "state": "planned: nothing has been computed when this page was written",
            "conditions": f"{len(sweep.design):,}",
            "replications": replications,
            "seed": "drawn when it runs" if sweep.seed is None else sweep.seed,
            "simferry": __version__,
        }
    )
    everything = [
        *_aims(study),
        ("Data-generating mechanisms", _said(study, "data_generating_mechanisms") + _design(sweep.design, {})),
        *_estimands(study, sweep.measures.given()),
        ("Methods", _said(study, "methods")),
        ("Performance measures", _said(study, "performance_measures")),
        ("Code", html.code(code) if code else ""),
    ]
    return _written(out, html.document(str(study.get("title") or simulation.name), head, everything))


def _page_path(path: str | Path) -> Path:
    out = Path(path).expanduser()
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"a report is a page of HTML, and {out.name} does not end in .html", Option("output", "report.html")
        )
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.parent}")
    return out


def _written(path: Path, page: str) -> Path:
    with writing(path, "Choose another path for the report."):
        write_whole(path, page.encode(errors="replace"))
    return path


# ---- what the study says of itself ----


def _in_line(value: Any) -> str:
    return ", ".join(map(shown, value)) if isinstance(value, list | tuple) else shown(value)


def _said(study: Mapping[str, Any], name: str) -> str:
    value = study.get(name)
    if not value:
        return ""
    if isinstance(value, str):
        return html.words(value)
    return f"<ul>{''.join(f'<li>{html.words(one)}</li>' for one in value)}</ul>"


def _aims(study: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("Aims", _said(study, "aims"))]


def _estimands(study: Mapping[str, Any], roles: Mapping[str, Any]) -> list[tuple[str, str]]:
    given = {
        name: "a table" if is_table(value) else _in_line(value)
        for name in ROLES
        if (value := roles.get(name)) is not None
    }
    columns = {name: given.get(name) for name in ("estimate", "truth", "se", "interval", "p_value", "df", "alpha")}
    return [("Estimands", _said(study, "estimands") + (html.facts(columns) if given else ""))]


# ---- design and times ----


def _conditions(folder: RunFolder) -> str:
    many = folder.conditions
    done, failed, seconds = np.zeros((3, many))
    with gathered(folder, ("replications",)) as found:
        for piece in found.merge("replications").pieces():
            at = as_numpy(piece["condition"]).astype(np.int64) - 1
            done += np.bincount(at, minlength=many)
            failed += np.bincount(at, ~piece["ok"].to_numpy().astype(bool), minlength=many)
            seconds += np.bincount(at, np.nan_to_num(piece["seconds"].to_numpy()), minlength=many)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = seconds / done
    columns = {
        "replications": [f"{one:,.0f}" for one in done],
        "failed": [f"{one:,.0f}" for one in failed],
        "seconds each": ["" if np.isnan(one) else f"{one:.3g}" for one in each],
        "seconds in all": [f"{one:.3g}" for one in seconds],
    }
    return _design(read_conditions(folder), columns)


def _design(design: Design, columns: Mapping[str, list[str]]) -> str:
    """The conditions as a table, with further columns."""
    if not design.names and not columns:
        return ""
    many = len(design)
    head = itertools.islice(range(many), html.MOST_ROWS)
    values = {name: design.table[name].slice(0, html.MOST_ROWS).to_pylist() for name in design.names}
    names = ["condition", *values, *columns]
    rows = [[i + 1, *(shown(one[i]) for one in values.values()), *(one[i] for one in columns.values())] for i in head]
    keys = range(1, 1 + len(values))
    numeric = {0, *range(1 + len(values), len(names))}
    numeric |= {i for i in keys if design.types[design.names[i - 1]] in ("number", "integer")}
    return html.table(names, rows, numeric, keys, many=many)


# ---- the numbers ----


def _summed(run: Any) -> list[tuple[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = run.summary()
    rows = [[shown(v) if v == v else "" for v in row] for row in frame.head(html.MOST_ROWS).itertuples(index=False)]
    numeric = {i for i, name in enumerate(frame.columns) if frame[name].dtype.kind in "if"}
    keys = [i for i, name in enumerate(frame.columns) if name in run._folder.record.parameters or name == "output"]
    study = run._folder.record.study
    told = html.note("Means of the outputs. mcse is the Monte Carlo standard error of the mean.")
    means = html.table(list(frame.columns), rows, numeric, keys, many=len(frame))
    return [
        ("Methods", _said(study, "methods")),
        ("Performance measures", _said(study, "performance_measures") + told + means),
    ]


def _measured(run: Any, options: dict[str, Any]) -> list[tuple[str, str]]:
    folder, study = run._folder, run._folder.record.study
    found = run._measured(measure_table, options)
    given, how = asked(options, measure_table, folder.record.measures)

    def drawn(some: Results) -> tuple[str, bool]:
        cells = Cells(of_run(folder, some), given, how["complete"], how["outliers"])
        return "" if given.are_tests() else raw_figures(cells), cells.reference is not None

    raw, several = results.reading(folder, drawn)
    across = (given.by or ("",))[0] in folder.record.parameters
    contrast = _contrast(run, options, given) if several or across else ""
    by_method = grid(found)
    methods = list(dict.fromkeys(", ".join(map(shown, row[1 + len(by_method.parameters) :])) for row in by_method.rows))
    listed = "".join(f"<li>{html.words(one)}</li>" for one in methods[:100] if one)
    notes = "".join(map(html.note, found.notes))
    return [
        ("Methods", _said(study, "methods") or (f"<ul>{listed}</ul>" if listed else "")),
        ("Performance measures", _said(study, "performance_measures") + measures_table(by_method) + notes),
        ("Differences between methods", contrast),
        ("Figures of the measures", measures_figures(by_method, FIRST)),
        ("Figures of single estimates", raw),
    ]


def _contrast(run: Any, options: dict[str, Any], given: Roles) -> str:
    table: MeasureTable = run._measured(contrast_table, options)
    if not table.table.num_rows:
        return ""
    references = (
        ", ".join(dict.fromkeys(map(str, table.table["reference"].to_pylist())))
        if "reference" in table.table.column_names
        else ""
    )
    paired = all(table.table["paired"].to_pylist()) if "paired" in table.table.column_names else False
    how = (
        "paired, on the replications that both have"
        if paired
        else "as independent, where conditions do not share their random numbers"
    )
    return html.note(f"Reference: {references}. Differences are {how}.") + measures_table(grid(table), contrast=True)


# ---- failures, and how to compute it again ----


def _messages(run: Any, which: str) -> str:
    word = "failed replications" if which == "failures" else "warnings"
    with messages(run._folder, which) as found:
        many: Counter[str] = Counter()
        first: dict[str, tuple[int, int, str]] = {}
        total = 0
        for piece in found.pieces():
            columns = {name: piece[name].to_pylist() for name in ("condition", "replication", "message")}
            traces = piece["traceback"].to_pylist() if "traceback" in piece.column_names else itertools.repeat("")
            times = piece["count"].to_pylist() if "count" in piece.column_names else itertools.repeat(1)
            for condition, replication, said, trace, count in zip(*columns.values(), traces, times, strict=False):
                total += int(count or 1)
                text = str(said)[:2000]
                if text in first or len(first) < 2_000:
                    many[text] += int(count or 1)
                    first.setdefault(text, (condition, replication, str(trace or "")[:5_000]))
    if not total:
        return html.note(f"No {word}.")
    rows = []
    for text, times_said in many.most_common(MOST_MESSAGES):
        condition, replication, _ = first[text]
        again = _spelled(run, "replay", condition=condition, replication=replication)[0]
        rows.append([f"{times_said:,}", text, condition, replication, again])
    left = len(first) - len(rows)
    out = html.note(
        f"{total:,} {word}." + (f" The {MOST_MESSAGES} most frequent of {len(first):,} texts." if left > 0 else "")
    )
    out += html.table(["times", "message", "condition", "replication", "example"], rows, {0, 2, 3})
    trace = first[many.most_common(1)[0][0]][2]
    return out + (html.details("Traceback of the first", html.code(trace)) if trace else "")


def _spelled(run: Any, verb: str, **options: Any) -> list[str]:
    """A command about the run in the shell, Python and R."""
    command = Command(verb, run.id, **options)
    return [command.spelled(face) for face in (Face.SHELL, Face.PYTHON, Face.R)]


def _reproducing(run: Any) -> str:
    record = run._folder.record
    git = record.git or {}
    clean = {True: "", False: ", with changes", None: ""}[git.get("clean")]
    versions = {
        "simferry": record.version,
        **{str(name): value for name, value in record.environment.items() if isinstance(value, str)},
        "image": record.image,
        "backend": record.options.backend,
        "commit": f"{git['commit']}{clean}" if git.get("commit") else "",
        "code": f"SHA-256 {record.code_hash}",
        "seed": record.seed,
        "common random numbers": _in_line(record.common),
        "run": run.id,
    }
    calls = _spelled(run, "replay", condition=1, replication=1)
    out = html.facts(versions) + "<h3>One replication again</h3>" + html.code("\n".join(calls))
    room, parts = MOST_CODE, ""
    for name, content in code_files(run._folder).items():
        if room <= 0 or b"\0" in content or not content or name == record.simulation.get("objects"):
            continue
        text = content[: 4 * room].decode(errors="replace")[:room]
        room -= len(text)
        parts += html.details(name, html.code(text))
    return out + ("<h3>Code</h3>" + parts if parts else "")


def _citation(run: Any) -> str:
    record = run._folder.record
    who = _in_line(record.study.get("authors"))
    what = record.study.get("title") or run.name or f"Simulation study {run.id}"
    says = f"{who + ' ' if who else ''}({record.created[:4]}). {what}. Run {run.id}, seed {record.seed}, "
    says += f"computed with simferry {record.version}."
    return html.words(says) + html.note(f"Measures and their Monte Carlo standard errors: {REFERENCE}")
