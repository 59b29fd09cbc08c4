"""The report of a run."""

import re

import pytest
import simferry as sf
from simferry.errors import UsageError
from simferry.verbs.report import preregistration

EVIL = "<script>alert('x')</script>"


def draw(n, rng):
    x = rng.normal(1, 1, n)
    if x[0] > 2.2:
        raise ValueError(f"{EVIL} & more")
    return [{"m": EVIL, "est": x.mean(), "se": 0.3}, {"m": "half", "est": x[: n // 2].mean(), "se": 0.4}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    study = {"title": "Halves", "aims": EVIL, "methods": ["all", "half"], "authors": "A & B"}
    return sf.run(draw, sf.grid(n=[10, 20]), replications=60, seed=4, study=study, estimate="est", truth=1, se="se", by="m",
                  store=tmp_path_factory.mktemp("runs"), workers=1)  # fmt: skip


def test_a_page_has_the_study_its_numbers_and_how_to_compute_them_again(run, tmp_path):
    page = run.report(tmp_path / "r.html").read_text()
    assert EVIL not in page and "&lt;script&gt;alert(" in page
    assert not re.search(r"https?://|src=|@import|url\(", page)
    heads = re.findall("<h2>(.*?)</h2>", page)
    assert heads == ["Aims", "Data-generating mechanisms", "Estimands", "Methods", "Performance measures", "Differences between methods",
                     "Figures of the measures", "Figures of single estimates", "Failures and warnings", "Reproducing it",
                     "How to cite it"]  # fmt: skip
    table = run.measures()
    bias = table[(table["measure"] == "bias") & (table["condition"] == 1)]["estimate"].iloc[0]
    assert f"{bias:.3f}" in page and f"simferry replay {run.id}" in page and "seed 4" in page and "A &amp; B" in page
    failed = len(run.errors())
    assert failed > 0 and f"{failed} failed replications." in page


def test_without_roles_it_has_means_and_options_replace_what_is_recorded(run, tmp_path):
    assert (
        "rejection"
        not in run.report(tmp_path / "r.html", measures=["bias", "coverage"], alpha=[0.05, 0.1])
        .read_text()
        .partition("Figures of")[0]
    )
    plain = sf.run(lambda n: n + 1.0, sf.grid(n=[1, 2]), replications=3, seed=1, store=tmp_path, workers=1)
    page = plain.report(tmp_path / "p.html").read_text()
    assert "Means of the outputs" in page and "No failed replications." in page and "Zip plot" not in page
    tests = sf.run(lambda n: {"p": n / 20}, sf.grid(n=[1, 2]), replications=3, seed=1, store=tmp_path, workers=1)
    page = tests.report(tmp_path / "t.html", p_value="p").read_text()
    assert "rejection" in page and "bias" not in page.partition("<script")[0] and "Figures of single" not in page
    failed = sf.run(
        lambda n: 1 / 0, sf.grid(n=[1]), replications=3, seed=1, store=tmp_path, estimate="est", truth=1, workers=1
    )
    assert "3 failed replications." in failed.report(tmp_path / "f.html").read_text()
    with pytest.raises(UsageError, match="truth is given without an estimate"):
        plain.report(tmp_path / "p.html", truth=1)
    with pytest.raises(UsageError, match=r"does not end in \.html"):
        plain.report(tmp_path / "p.pdf")
    with pytest.raises(UsageError, match="there is no folder"):
        plain.report(tmp_path / "none" / "p.html")


def test_what_is_planned_is_written_before_anything_runs(tmp_path):
    (tmp_path / "s.py").write_text("def simulate(n): return 1.0  # <tag>\n")
    sweep = sf.Sweep(tmp_path / "s.py", sf.grid(n=[1, 2]), replications=7, estimate="est", study={"aims": "see"})
    page = preregistration(sweep, tmp_path / "p.html").read_text()
    assert "nothing has been computed" in page and "&lt;tag&gt;" in page and ">7" in page and "<h2>Aims</h2>" in page
