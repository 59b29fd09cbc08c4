"""How time and memory grow with replications, conditions, outputs, blocks, jobs and hosts: the curves of docs/scale.md.

    python benchmarks/scale.py                      all curves: about an hour on two cores, and 15 GB of disk for `rows`
    python benchmarks/scale.py --only conditions    one of them
    python benchmarks/scale.py --small              small sizes: a few minutes; written into a folder that is printed
    python benchmarks/scale.py --draw               no measurement: the plots once more, from the figures

Every point is a whole process, measured once. The figures go to docs/scale/measured.csv, the plots beside it.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import collect
import collect_large
import sagemaker_jobs
from plots import Panel, Points, svg
from timing import HERE, SIMULATIONS, fresh_folder, must_be_equal, rows_of_parquet, run_simferry, tell
from watched import Watched, watch

DOCS = HERE.parent / "docs" / "scale"
WORKERS = ("--workers", "2")


@dataclass(frozen=True)
class Point:
    """A measured process. size: of what grows. Sizes in MB, seconds; None where it was not measured."""

    curve: str
    series: str
    size: int
    seconds: float | None = None
    cpu_seconds: float | None = None
    driver_mb: float | None = None
    worker_mb: float | None = None
    requests: int | None = None


def point(curve: str, series: str, size: int, taken: Watched) -> Point:
    worker = taken.worker_bytes / 1e6 or None
    return Point(curve, series, size, taken.seconds, taken.cpu_seconds, taken.driver_bytes / 1e6, worker)


def run_in(store: Path) -> Path:
    (run,) = (file.parent for file in store.glob("*/run.json"))
    return run


# ---- the curves ----


def replications(size: int) -> Iterator[Point]:
    """A function that returns one number, in R and in Python; then the table of its results."""
    for language, script in (("R", "trivial.R"), ("Python", "trivial.py")):
        with fresh_folder() as store:
            options: list[str | Path] = ["-p", "n=10", "-n", str(size), "--seed", "1", *WORKERS, "--store", store]
            taken = watch("run", SIMULATIONS / script, *options)
            yield point("replications", f"run ({language})", size, taken)
            table = Path(store, "out.parquet")
            taken = watch("results", run_in(Path(store)), "-o", table)
            must_be_equal("rows", rows_of_parquet(table), size)
            if language == "Python":
                yield point("replications", "results -o", size, taken)
                yield point("replications", "resume of a complete run", size, watch("resume", run_in(Path(store))))


def rows(size: int) -> Iterator[Point]:
    """Rows of six doubles in blocks of 10,000, which are generated: their simulation would take too long."""
    with fresh_folder() as store:
        run = collect_large.make_large_run(Path(store, "store"), size)
        table = Path(store, "out.parquet")
        taken = watch("results", run, "-o", table)
        must_be_equal("rows", rows_of_parquet(table), size)
        table.unlink()
        yield point("rows", "results -o", size, taken)
        yield point("rows", "summary", size, watch("summary", run))
        yield point("rows", "resume of a complete run", size, watch("resume", run))


def conditions(size: int) -> Iterator[Point]:
    """One replication of each condition of a table with two parameters, in R and in Python; and their plan alone."""
    with fresh_folder() as folder:
        design = Path(folder, "design.parquet")
        write_design(design, size)
        options: list[str | Path] = ["--table", design, "-n", "1", "--seed", "1"]
        for language, script in (("R", "add.R"), ("Python", "add.py")):
            with fresh_folder() as store:
                taken = watch("run", SIMULATIONS / script, *options, *WORKERS, "--store", store)
                yield point("conditions", f"run ({language})", size, taken)
        with fresh_folder() as store:
            taken = watch("plan", SIMULATIONS / script, *options, *WORKERS, "--no-pilot", "--store", store)
            yield point("conditions", "plan", size, taken)


def write_design(file: Path, size: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": pa.array(range(size), pa.float64()), "b": pa.array([0.5] * size)}), file)


def outputs(size: int) -> Iterator[Point]:
    """200 replications that return so many numbers, in R and in Python; then their table and their summary."""
    for language, script in (("R", "outputs.R"), ("Python", "outputs.py")):
        with fresh_folder() as store:
            options: list[str | Path] = ["-p", f"k={size}", "-n", "200", "--seed", "1", *WORKERS, "--store", store]
            yield point("outputs", f"run ({language})", size, watch("run", SIMULATIONS / script, *options))
            if language == "Python":
                run = run_in(Path(store))
                yield point("outputs", "results -o", size, watch("results", run, "-o", Path(store, "out.parquet")))
                yield point("outputs", "summary", size, watch("summary", run))


def blocks(size: int) -> Iterator[Point]:
    """100,000 rows, cut into so many blocks."""
    with fresh_folder() as store:
        run = collect.make_run(Path(store, "store"), size, 100_000)
        for path in run.glob("results*"):
            path.unlink()
        yield point("blocks", "status", size, watch("status", run))
        yield point("blocks", "resume of a complete run", size, watch("resume", run))
        yield point("blocks", "results -o", size, watch("results", run, "-o", Path(store, "out.parquet")))


def jobs(size: int) -> Iterator[Point]:
    """So many jobs of SageMaker, which the emulator accepts and never begins: their submission, and status from elsewhere."""
    run_simferry("image", "build", HERE.parent / "containers" / "r")
    with sagemaker_jobs.service() as aws:
        sagemaker_jobs.submit(aws, f"s3://{aws.bucket}/first", 1, 1)  # pushes the image
    with sagemaker_jobs.service() as aws:
        store = f"s3://{aws.bucket}/jobs"
        taken = sagemaker_jobs.submit(aws, store, size, max(size, 100))
        asked = sagemaker_jobs.status(aws, sagemaker_jobs.listed(aws, store), size)
    requests = taken["control"] + taken["s3"]
    yield Point("jobs", "submission", size, taken["seconds"], taken["cpu"], taken["peak"] / 1e6, None, requests)
    yield Point("jobs", "status", size, asked["seconds"], None, None, None, asked["requests"])


def hosts(size: int) -> Iterator[Point]:
    """One job in so many containers, a host each: a script whose foreach loop runs on one cluster of all hosts."""
    run_simferry("image", "build", HERE.parent / "containers" / "r")
    with fresh_folder() as store:
        script = ["--args", "{replication}", "-n", "1", "--seed", "1", "--results-file", "result.csv"]
        job = f"--backend docker --image {sagemaker_jobs.IMAGE} --hosts {size} --workers 1".split()
        taken = watch("run", SIMULATIONS / "hosts.R", *script, *job, "--store", store)
    yield Point("hosts", "run (R script)", size, taken.seconds, taken.cpu_seconds, taken.driver_bytes / 1e6)


@dataclass(frozen=True)
class Curve:
    """title, x: of the plot. sizes: that are measured; small: the same for a look."""

    title: str
    x: str
    measure: Callable[[int], Iterator[Point]]
    sizes: Sequence[int]
    small: Sequence[int]


def powers(last: int) -> list[int]:
    """1, 10, 100 ..."""
    return [10**power for power in range(last + 1)]


CURVES = {
    "replications": Curve("Replications", "replications", replications, powers(7)[3:], (1_000, 10_000, 100_000)),
    "rows": Curve("Rows that are collected", "rows of six doubles", rows, powers(8)[5:], (100_000, 1_000_000)),
    "conditions": Curve("Conditions, one replication each", "conditions", conditions, powers(6), (1, 100, 10_000)),
    "outputs": Curve("Outputs of 200 replications", "outputs", outputs, [*powers(4), 20_000], (1, 100, 1_000)),
    "blocks": Curve("Blocks of 100,000 rows", "blocks", blocks, powers(4), (1, 10, 100)),
    "jobs": Curve("Jobs, which are only accepted", "jobs", jobs, powers(4), (1, 10)),
    "hosts": Curve("Hosts of one job", "hosts (containers)", hosts, (1, 2, 4, 8), (1, 2)),
}


# ---- figures and plots ----


def write_points(file: Path, points: Sequence[Point]) -> None:
    names = [field.name for field in fields(Point)]
    with open(file, "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        for one in points:
            values = (getattr(one, name) for name in names)
            writer.writerow(["" if v is None else f"{v:.3f}" if isinstance(v, float) else v for v in values])


def read_points(file: Path) -> list[Point]:
    def number(text: str) -> float | None:
        return float(text) if text else None

    with open(file, newline="") as lines:
        return [
            Point(
                row["curve"], row["series"], int(row["size"]), number(row["seconds"]), number(row["cpu_seconds"]),
                number(row["driver_mb"]), number(row["worker_mb"]), int(row["requests"]) if row["requests"] else None,
            )
            for row in csv.DictReader(lines)
        ]  # fmt: skip


def draw(name: str, points: Sequence[Point], folder: Path) -> None:
    curve, mine = CURVES[name], [one for one in points if one.curve == name]
    series = list(dict.fromkeys(one.series for one in mine))

    def drawn(figure: str, called: str = "{}") -> dict[str, Points]:
        found = {
            called.format(one): [
                (p.size, value) for p in mine if p.series == one and (value := getattr(p, figure)) is not None
            ]
            for one in series
        }
        return {label: of for label, of in found.items() if of}

    memory = {**drawn("driver_mb"), **drawn("worker_mb", "{}: worker")}
    panels = [
        Panel(f"{curve.title}: time", curve.x, "seconds", drawn("seconds")),
        Panel("CPU time, of all processes", curve.x, "seconds", drawn("cpu_seconds")),
        Panel("peak memory", curve.x, "MB", memory),
        Panel("requests", curve.x, "requests", drawn("requests")),
    ]
    (folder / f"{name}.svg").write_text(svg([panel for panel in panels if panel.curves]))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="benchmarks/scale.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=CURVES, metavar="NAME", help=f"of {', '.join(CURVES)}")
    parser.add_argument("--small", action="store_true", help="small sizes, into a folder of their own")
    parser.add_argument("--draw", action="store_true", help="draw the figures that are there")
    parser.add_argument("--up-to", type=int, metavar="SIZE", help="leave out larger sizes")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="simferry-scale-")) if options.small else DOCS
    file = folder / "measured.csv"
    points = read_points(file) if file.exists() else []
    for name in () if options.draw else options.only or CURVES:
        curve = CURVES[name]
        for size in curve.small if options.small else curve.sizes:
            if options.up_to is not None and size > options.up_to:
                continue
            tell(f"{name}: {size:,}")
            for one in curve.measure(size):
                print(
                    json.dumps({f.name: v for f in fields(one) if (v := getattr(one, f.name)) is not None}), flush=True
                )
                same = (one.curve, one.series, one.size)
                points = [p for p in points if (p.curve, p.series, p.size) != same] + [one]
            order = [*CURVES]
            points.sort(key=lambda p: (order.index(p.curve), p.series, p.size))
            write_points(file, points)
    tell("")
    for name in dict.fromkeys(one.curve for one in points):
        draw(name, points, folder)
    print(folder)


if __name__ == "__main__":
    main()
