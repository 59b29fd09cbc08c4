"""simferry.infra.package: the wheel that other machines install."""

import base64
import csv
import hashlib
import io
import zipfile
from pathlib import Path

import tomllib
from simferry.infra import package

ROOT = Path(__file__).parents[2]


def test_the_wheel_is_whole_and_always_the_same():
    content = package.wheel()
    assert content == package.wheel()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (record,) = (name for name in files if name.endswith(".dist-info/RECORD"))
    rows = {row[0]: row[1:] for row in csv.reader(files.pop(record).decode().splitlines())}
    assert rows.pop(record) == ["", ""] and set(rows) == set(files)
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert rows[name] == [f"sha256={digest}", str(len(data))], name
    assert files["simferry/infra/package.py"] == Path(package.__file__).read_bytes()
    assert files["simferry/iam/user.json"] == (ROOT / "docs" / "iam" / "user.json").read_bytes()
    assert {"simferry/recipes/r/Dockerfile", "simferry/r_package/DESCRIPTION", "simferry/r_package/R/run.R"} <= set(
        files
    )
    assert not [name for name in files if name.endswith(".pyc") or "r_package/tests" in name]
    assert b"simferry = simferry.__main__:main" in files[record.replace("RECORD", "entry_points.txt")]


def test_pip_makes_the_same_wheel_from_a_checkout_and_from_the_r_package():
    """hatchling fails where one of the files is missing. The R package brings them as inst/python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert {f"simferry/{inside}": beside for inside, beside in package.BESIDE.items()} == {
        inside: beside for beside, inside in included.items()
    }
    for root in (ROOT, ROOT / "r_package" / "inst" / "python"):
        assert [name for name in included if not (root / name).exists()] == []
    assert (package.r_package() / "DESCRIPTION").exists()
