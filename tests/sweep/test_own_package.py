"""A script in a package runs as the module that it is."""

import pytest
import simferry as sf
from simferry.sweep.own_package import package_of
from simferry.sweep.simulation import Simulation
from sweeps import write


@pytest.mark.parametrize(
    ("files", "script", "code", "module"),
    [
        (["mypkg/__init__.py", "mypkg/const.py"], "mypkg/sim.py", "from mypkg.const import X", "mypkg.sim"),
        (["mypkg/__init__.py", "mypkg/const.py"], "mypkg/sim.py", "from .const import X", "mypkg.sim"),
        (["a/__init__.py", "a/b/__init__.py", "a/const.py"], "a/b/sim.py", "from ..const import X", "a.b.sim"),
        (["pyproject.toml", "src/ns/deep/const.py"], "src/ns/deep/sim.py", "from .const import X", "ns.deep.sim"),
        (["pyproject.toml", "src/ns/deep/const.py"], "src/ns/deep/sim.py", "import ns.deep.const", "ns.deep.sim"),
        (["mypkg/const.py"], "mypkg/sim.py", "from mypkg import const", "mypkg.sim"),  # as python -m mypkg.sim
        (["mypkg/__init__.py", "mypkg/const.py"], "mypkg/__main__.py", "from .const import X", "mypkg.__main__"),
        (["mypkg/__init__.py", "mypkg/helpers.py"], "mypkg/sim.py", "import helpers", None),  # as until now
        (["json/__init__.py", "json/const.py"], "json/sim.py", "import json", None),
        (["mypkg/mypkg/__init__.py"], "mypkg/sim.py", "import mypkg", None),  # it is beside the script
        (["my-study/const.py"], "my-study/sim.py", "from .const import X", None),
        (["numpy/const.py"], "numpy/sim.py", "import numpy", None),
    ],
)
def test_which_package_a_script_is_in(tmp_path, files, script, code, module):
    for name in files:
        write(tmp_path, name, "X = 1\n" if name.endswith("const.py") else "")
    found = package_of(write(tmp_path, script, code))
    assert (found.module if found else None) == module


def test_a_package_is_run_by_its_name(tmp_path):
    write(tmp_path, "tool/core.py", "def double(x): return 2 * x\n")
    write(
        tmp_path,
        "tool/__main__.py",
        "import sys\nfrom .core import double\nopen('r.txt', 'w').write(str(double(int(sys.argv[1]))))\n",
    )
    run = sf.run(
        tmp_path / "tool",
        sf.grid(x=[4]),
        replications=1,
        seed=1,
        store=tmp_path / "runs",
        args="{x}",
        results_file="r.txt",
    )
    assert run.results()["value"].tolist() == [8] and run.id.startswith("tool-")


def test_a_function_and_a_whole_script_in_a_package(tmp_path):
    """Modules of the package that are called as Python's own are in nobody's way; what is beside the script is found."""
    write(tmp_path, "mypkg/__init__.py", "")
    write(tmp_path, "mypkg/const.py", "X = 2\n")
    write(tmp_path, "mypkg/types.py", "raise SystemExit('types')\n")
    write(tmp_path, "mypkg/helpers.py", "H = 5\n")
    write(tmp_path, "mypkg/unused.py", "")
    function = write(
        tmp_path, "mypkg/sim.py", "import helpers\nfrom mypkg.const import X\ndef simulate(): return X + helpers.H\n"
    )
    code = "import json, sys, types, helpers\nfrom .const import X\nif __name__ == '__main__':\n"
    whole = write(
        tmp_path, "mypkg/whole.py", code + "    json.dump([X + helpers.H, len(sys.argv)], open('r.json', 'w'))\n"
    )
    common = {"replications": 2, "seed": 1, "store": tmp_path / "runs"}
    run = sf.run(function, **common)
    assert run.results()["value"].tolist() == [7, 7]
    assert {one["name"] for one in run.record["own_code"]} == {"__init__.py", "const.py", "helpers.py", "sim.py"}
    assert run.replay(1, 2) == 7
    run = sf.run(whole, args="a b", results_file="r.json", **common)
    assert run.results()[["value_1", "value_2"]].to_numpy().tolist() == [[7, 3]] * 2


def test_an_editable_install_of_the_package_is_used_as_until_now(tmp_path, monkeypatch):
    """It is found without the snapshot, so that code hashes stay; what is imported relatively comes from the snapshot."""
    write(tmp_path, "src/edit/__init__.py", "")
    write(tmp_path, "src/edit/const.py", "X = 2\n")
    script = write(tmp_path, "src/edit/sim.py", "from edit.const import X\ndef simulate(): return X\n")
    monkeypatch.syspath_prepend(tmp_path / "src")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "src"))
    assert list(Simulation(script).files()) == ["sim.py"]
    relative = write(tmp_path, "src/edit/rel.py", "from .const import X\ndef simulate(): return X, __file__\n")
    assert "src/edit/const.py" in Simulation(relative).files()
    run = sf.run(script, replications=1, seed=1, store=tmp_path / "runs")
    assert run.results()["value"].tolist() == [2]
