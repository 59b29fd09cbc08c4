"""Seeds of whole scripts and commands: SIMFERRY_SEED and SIMFERRY_SEED_HEX."""

import shutil

import pytest
import simferry as sf
from common import require
from hand_made import keys_of
from simferry.worker.seeds import seed_hex_of, seed_of

CODE = {
    "sh": '#!/bin/sh\necho "seed,hex,given" > out.csv\necho "$SIMFERRY_SEED,x$SIMFERRY_SEED_HEX,$1" >> out.csv\n',
    "py": 'import os, sys\ne = os.environ\nwith open("out.csv", "w") as file:\n'
    '    print("seed,hex,given", file=file)\n'
    '    print(e["SIMFERRY_SEED"], "x" + e["SIMFERRY_SEED_HEX"], sys.argv[1], sep=",", file=file)\n',
    "R": 'writeLines(c("seed,hex,given", paste(Sys.getenv("SIMFERRY_SEED"), paste0("x", Sys.getenv("SIMFERRY_SEED_HEX")), '
    'commandArgs(TRUE)[1], sep = ",")), "out.csv")\n',
}


@pytest.mark.parametrize("language", CODE)
def test_scripts_and_commands_find_them_in_their_environment(language, tmp_path):
    if language == "R":
        require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = tmp_path / f"s.{language}"
    script.write_text(CODE[language])
    script.chmod(0o755)
    design = sf.grid(n=[10, 20], method=["a", "b"])
    run = sf.run(
        script, design, args="{seed} {n} {method}", replications=2, seed=1, common="method", results_file="out.csv",
        workers=2, cores=1, store=tmp_path / "runs",
    )  # fmt: skip
    keys = [row for row in keys_of(sf.grid(n=[10, 20])) for _ in "ab" for _ in (1, 2)]
    table, replications = run.results(), [1, 2] * 4
    assert table["seed"].tolist() == [seed_of(r, row) for r, row in zip(replications, keys, strict=True)]
    assert table["hex"].tolist() == ["x" + seed_hex_of(r, row) for r, row in zip(replications, keys, strict=True)]
    assert table["given"].tolist() == table["seed"].tolist()
