"""What a study is about, in words."""

import pytest
import simferry as sf
from simferry.errors import SweepFileError, UsageError
from simferry.sweep.file import read_sweep


def test_a_study_stands_in_a_sweep_its_file_and_its_copies(tmp_path):
    (tmp_path / "s.py").write_text("def simulate(n): return 1.0\n")
    study = {"aims": "which is better?", "methods": ["mean", "median"]}
    made = sf.Sweep(tmp_path / "s.py", sf.grid(n=[1]), replications=2, study=study)
    made.write(tmp_path / "sweep.toml")
    assert read_sweep(tmp_path / "sweep.toml") == made and made.replace(seed=1).study.given() == study
    assert "[study]" in (tmp_path / "sweep.toml").read_text() and eval(repr(made)) == made


def test_what_is_no_text_is_refused(tmp_path):
    with pytest.raises(UsageError, match="aims is 3; it has to be a text, or several"):
        sf.Sweep(lambda n: 1.0, sf.grid(n=[1]), replications=2, study={"aims": 3})
    (tmp_path / "s.toml").write_text('[simulation]\nscript = "s.py"\n[study]\naim = "x"\n')
    with pytest.raises(SweepFileError, match="aim"):
        read_sweep(tmp_path / "s.toml")
