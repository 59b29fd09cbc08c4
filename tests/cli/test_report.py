"""The command report."""

import simferry as sf
from click.testing import CliRunner
from simferry.cli import main


def test_it_writes_pages_of_runs_and_of_plans(tmp_path):
    (tmp_path / "s.py").write_text("def simulate(n): return {'est': n + 1.0}\n")
    sf.Sweep(tmp_path / "s.py", sf.grid(n=[1, 2]), replications=7).write(tmp_path / "s.toml")
    page = tmp_path / "p.html"
    planned = CliRunner().invoke(main, ["report", "--preregistration", str(tmp_path / "s.toml"), "-o", str(page)])
    assert planned.exit_code == 0 and "planned" in page.read_text()
    run = sf.run(tmp_path / "s.py", sf.grid(n=[1, 2]), replications=3, seed=1, store=tmp_path / "runs", workers=1)
    done = CliRunner().invoke(main, ["report", run.address, "-o", str(page), "--estimate", "est", "--truth", "2"])
    assert done.stdout.startswith(f"{page}: ") and "<h2>Figures of single estimates</h2>" in page.read_text()
    beside = CliRunner().invoke(
        main, ["report", "--preregistration", str(tmp_path / "s.toml"), "-o", str(page), "--truth", "2"]
    )
    assert beside.exit_code == 2 and "--truth is for runs" in beside.stderr
