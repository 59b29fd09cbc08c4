"""A user's project: what type checkers make of each public name. It is checked, and never run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import simferry as sf
from simferry.search.optimizer import Best
from simferry.search.space import Space
from simferry.sweep.replications import Column
from typing_extensions import assert_type


def power(n: int, effect: float) -> dict[str, float]:
    return {"p": effect / n}


def show(progress: sf.Progress) -> None:
    assert_type(progress.total, int)
    assert_type(progress.done, int)
    assert_type(progress.failed, int)
    assert_type(progress.state, str)
    assert_type(progress.finished, bool)
    assert_type(progress.seconds_left, float | None)
    assert_type(progress.dollars, float | None)
    assert_type(progress.jobs, dict[str, str])


def started(run: sf.Run, taken_over: int, seed_was_drawn: bool) -> None:
    assert_type(run.seed, int)


assert_type(sf.__version__, str)

# designs
design = sf.grid(n=[10, 20], effect=(0, 0.5), types={"n": "integer"})
assert_type(design, sf.Design)
assert_type(sf.zipped({"n": [10, 20]}, effect=0.5), sf.Design)
assert_type(sf.table("conditions.csv"), sf.Design)
assert_type(sf.table(pd.DataFrame({"n": [10, 20]})), sf.Design)
assert_type(sf.random(100, n=(10, 50), method=["a", "b"], seed=2), sf.Design)
assert_type(sf.latin_hypercube(100, n=(10, 50)), sf.Design)
assert_type(sf.column("reps"), Column)
assert_type(sf.sobol(128, n=(10, 50)), sf.Design)
assert_type(sf.space({"lam": (1e-3, 10, "log")}, k=(1, 20, int), where=lambda p: bool(p["k"] > 2)), Space)
optimizer = sf.optimizer(sf.space(k=(1, 20, int)), seed=1, method="ei", minimize=False, scale="log", evaluations=20)
assert_type(optimizer.ask(), dict[str, Any] | None)
optimizer.tell({"k": 3}, 0.5, 0.01, failed=False)
assert_type(optimizer.best, Best | None)
assert_type(len(design), int)
assert_type(design.names, list[str])
assert_type(design.types, dict[str, str])
assert_type(design.condition(0), dict[str, Any])
assert_type(design.to_pandas(), pd.DataFrame)

# a run
run = sf.run(power, design, replications=1000, seed=1, workers=2, on_progress=show, on_start=started)
assert_type(run, sf.Run)
assert_type(sf.run("power.R", {"n": [10, 20]}, replications=100), sf.Run)
assert_type(sf.run(Path("power.R"), "conditions.csv", replications=100, store="s3://bucket/folder"), sf.Run)
sweep = sf.read_sweep("sweep.toml").replace(replications=100)
assert_type(sweep, sf.Sweep)
assert_type(sf.run(sweep), sf.Run)
assert_type(sf.run(sf.Simulation("power.R", include=("helpers.R",)), replications=100), sf.Run)
assert_type(run.id, str)
assert_type(run.folder, Path)
assert_type(run.address, str)
assert_type(run.replications, int | tuple[int, ...])
assert_type(run.record, dict[str, Any])
assert_type(run.status(), sf.Progress)
assert_type(run.watch(show), sf.Progress)
assert_type(run.cancel(), sf.Progress)
assert_type(run.resume(retry_failed=True, workers=4), sf.Run)
assert_type(run.extend(5000), sf.Run)
assert_type(run.logs(), dict[str, str])
assert_type(run.follow("0001-0001"), Iterator[tuple[str, str]])
assert_type(run.design(), pd.DataFrame)
assert_type(run.results(), pd.DataFrame)
assert_type(run.summary(by="method"), pd.DataFrame)
assert_type(run.errors(), pd.DataFrame)
assert_type(run.warnings(), pd.DataFrame)
assert_type(run.artifacts(1, 1), list[Path])
assert_type(run.artifacts(pattern="3/*/plot.png", folder="plots"), list[Path])
assert_type(run.name, str)
assert_type(run.note, str)
run.note = "table 1"
difference = sf.diff("paper", run)
assert_type(difference, sf.Diff)
assert_type(difference.same, bool)
assert_type(difference.code, str)
assert_type(difference.settings, pd.DataFrame)
assert_type(difference.numbers.both, int)
assert_type(difference.numbers.outputs, pd.DataFrame)
run.delete()
assert_type(sf.open("latest"), sf.Run)
assert_type(sf.runs("s3://bucket/folder"), list[sf.Run])

# a forecast
forecast = sf.plan(power, design, replications=1000, pilot=False)
assert_type(forecast, sf.Forecast)
assert_type(forecast.total, int)
assert_type(forecast.already_there, int)
assert_type(forecast.seconds, float | None)
assert_type(forecast.code, list[dict[str, str]])

# R from Python
simulate = sf.r.function("power.R", "simulate")
assert_type(simulate, sf.r.Function)
assert_type(simulate(n=20), Any)

try:
    sf.run(sf.read_sweep("sweep.toml"))
except sf.SimferryError as error:
    assert_type(error.message, str)
    assert_type(error.hint, str)
    assert_type(error.code, str)

# images
assert_type(sf.images.build(sf.images.recipe("containers/r")), sf.images.Built)
assert_type(sf.images.registry.push("simferry-r", to="123456789012.dkr.ecr.us-west-2.amazonaws.com").uri, str)

# infrastructure
assert_type(sf.infra.deploy("lab", yes=True), sf.infra.Infrastructure | None)
assert_type(sf.infra.show().dollars_a_month, float)
assert_type(sf.infra.delete("lab", data=True, yes=True), bool)
assert_type(sf.infra.template("base"), str)

# measures
assert_type(
    sf.measures("table.csv", estimate=["b"], truth=0.5, se="s", interval=("lo", "up"), alpha=[0.05, 0.01]), pd.DataFrame
)
assert_type(sf.contrast("latest", estimate="est", truth="theta", by="method", reference="CC"), pd.DataFrame)
sf.plot("latest", "zip", conditions=[1], estimate="est", truth="theta", se="se").figure.savefig("zip.pdf")

# an image's model, served here
with sf.serve("an-image", model="model.tar.gz", port=0, env={"WORKERS": "2"}) as server:
    assert_type(server.url, str)
    assert_type(server.invoke(b"1,2\n", "text/csv").body, bytes)
# endpoints
served = sf.Endpoint.deploy("simferry-sklearn", "model.tar.gz", instance_type="ml.t2.medium", yes=True)
assert_type(served, sf.Endpoint | None)
assert_type(sf.Endpoint("trees").predict(pd.DataFrame({"x": [1.0]})), Any)
assert_type(sf.Endpoint("trees").invoke(b"1\n"), bytes)
assert_type(sf.endpoints()[0].dollars_an_hour, float | None)
assert_type(sf.transform("simferry-sklearn", None, "data.csv", "answers").files, list[str])
