"""Reports for R."""

import simferry as sf
from bridge_requests import call
from simferry.r.serialization import Vector


def test_r_writes_reports_of_runs_and_of_sweep_files(tmp_path):
    (tmp_path / "s.py").write_text("def simulate(n): return {'est': n + 1.0}\n")
    sf.Sweep(tmp_path / "s.py", sf.grid(n=[1, 2]), replications=2).write(tmp_path / "s.toml")
    text = lambda value: Vector("string", [str(value)])  # noqa: E731
    page = tmp_path / "p.html"
    answer = call(
        "report",
        _environment={},
        run=text(tmp_path / "s.toml"),
        path=text(page),
        preregistration=Vector("logical", [1]),
    )
    assert answer["ok"].plain(), answer["error"].plain()
    assert "nothing has been computed" in page.read_text()
    run = sf.run(tmp_path / "s.py", sf.grid(n=[1, 2]), replications=2, seed=1, store=tmp_path / "runs", workers=1)
    answer = call("report", _environment={}, run=text(run.address), path=text(page), estimate=text("est"))
    assert answer["value"].plain() == str(page) and "Zip" not in page.read_text() and "Convergence" in page.read_text()
