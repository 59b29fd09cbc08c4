"""Files of replications are found by a pattern, and copied."""

import os

import pytest
import simferry as sf
from simferry.errors import Note, UsageError
from simferry.verbs.artifacts import matches
from sweeps import write

CODE = """
import os, sys
os.makedirs("plots")
for name in ("plots/a.png", "plots/b.svg", "out.csv"):
    with open(name, "w") as file:
        file.write(sys.argv[1] + name)
"""


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("3/17/plot.png", "3/*/plot.png", True), ("3/17/plot.png", "3", True), ("3/17/plot.png", "3/17/", True),
        ("3/17/plot.png", "*/*/*.csv", False), ("3/17/plot.png", "3/plot.png", False), ("33/1/x", "3", False),
        ("3/17/a/b/plot.png", "3/*/plot.png", False), ("3/17/a/b/plot.png", "3/**/plot.png", True),
        ("3/17/plot.png", "**/plot.png", True), ("3/17/Plot.png", "3/17/p*", False), ("3/17/[1].png", "3/17/[[]1].png", True),
    ],
)  # fmt: skip
def test_patterns(name, pattern, fits):
    assert matches(name, pattern) is fits


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifacts")
    design = sf.grid(n=list(range(1, 12)))
    return sf.run(write(folder, "w.py", CODE), design, args="{n}", replications=1, seed=1, store=folder, cores=1)


def test_files_are_found(run):
    assert [path.name for path in run.artifacts(2, 1)] == ["out.csv", "a.png", "b.svg"]
    every = [str(path.relative_to(run.folder / "artifacts")) for path in run.artifacts(pattern="*/*/out.csv")]
    assert every == [f"{n}/1/out.csv" for n in range(1, 12)]  # in the order of conditions
    assert len(run.artifacts()) == 33 and len(run.artifacts(3)) == 3
    for wrong in ({"replication": 1}, {"pattern": "*/*/*.pdf"}, {"pattern": ""}, {"pattern": 3}, {"condition": 12}):
        with pytest.raises(UsageError):
            run.artifacts(**wrong)


def test_files_are_copied_and_none_is_replaced(run, tmp_path):
    out = tmp_path / "new" / "out"
    (path,) = run.artifacts(pattern="3/*/plots/*.png", folder=out)
    assert path == out / "3/1/plots/a.png" and path.read_text() == "3plots/a.png"
    assert not path.samefile(run.artifacts(3, 1)[1])
    with pytest.raises(UsageError, match=r"3/1/plots/a\.png exists: nothing is copied"):
        run.artifacts(pattern="*/*/plots/*.png", folder=out)
    assert [p.name for p in out.iterdir()] == ["3"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (out / "4").symlink_to(elsewhere)
    with pytest.raises(sf.SimferryError, match="can't write"):
        run.artifacts(4, folder=out)
    assert not list(elsewhere.iterdir())


def test_links_are_not_followed(run, tmp_path):
    secret = write(tmp_path, "secret", "secret")
    link = run.folder / "artifacts" / "5" / "1" / "link"
    os.symlink(secret, link)
    with pytest.warns(Note, match="1 left out, such as artifacts/5/1/link: it is a link"):
        paths = run.artifacts(5, folder=tmp_path / "out")
    link.unlink()
    assert [path.name for path in paths] == ["out.csv", "a.png", "b.svg"]
    assert not (tmp_path / "out/5/1/link").exists()
