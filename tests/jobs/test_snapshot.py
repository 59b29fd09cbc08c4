"""The code of a run."""

import simferry as sf
from simferry.jobs.snapshot import code_files


def test_it_is_the_users_alone(tmp_path):
    (tmp_path / "s.py").write_text("from helper import value\ndef simulate(n): return value\n")
    (tmp_path / "helper.py").write_text("value = 1.0\n")
    run = sf.run(
        tmp_path / "s.py", sf.grid(n=[1]), replications=1, include=["helper.py"], store=tmp_path / "runs", workers=1
    )
    assert {name: text for name, text in code_files(run._folder).items() if text} == {
        "s.py": (tmp_path / "s.py").read_bytes(), "helper.py": b"value = 1.0\n"}  # fmt: skip
