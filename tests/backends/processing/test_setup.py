"""Setup scripts in jobs of SageMaker."""

import pytest
import simferry as sf
from sagemaker_sweeps import described, submit
from simferry import errors
from sweeps import write

IN_JOB = "test ! -d /opt/ml/config || "  # a check has no such folder


def test_each_host_of_a_job_runs_it_as_the_archived_copy_says(tmp_path, emulator, image_r):
    script = write(tmp_path, "whole.R", 'cat(readLines("~/version"), file = "result.csv", sep = "\\n")\n')
    setup = write(tmp_path, "setup.sh", f"printf 'v\\n1\\n' >~/version; {IN_JOB}echo on $(hostname)\n")
    run = submit(
        emulator, script, image_r, {}, args="", results_file="result.csv", before=setup, hosts=2, replications=1
    )
    assert run.results()["v"].tolist() == [1]
    (log,) = run.logs().values()
    assert "[algo-1] on algo-1\n" in log and "[algo-2] on algo-2\n" in log
    setup.write_text("printf 'v\\n2\\n' >~/version\n")
    assert run.extend(2).results()["v"].tolist() == [1, 1]


def test_one_that_fails_in_all_jobs_ends_the_run_with_its_last_lines(tmp_path, emulator, image_python):
    script = write(tmp_path, "simulate.py", "def simulate(n, rng):\n    return rng.normal()\n")
    setup = write(tmp_path, "setup.sh", f"{IN_JOB}{{ echo 'E: no mirror in Łódź'; exit 9; }}\n")
    with pytest.raises(
        errors.SimulationError, match=r"setup\.sh failed with exit code 9, .*:\n  E: no mirror in Łódź\n.*logs"
    ):
        submit(emulator, script, image_python, {"n": [5]}, before=setup, jobs=2)
    assert {job["ExitMessage"].partition("\n")[0] for job in described(emulator)} == {"before: 9 simulation"}
    (run,) = sf.runs(f"s3://{emulator.bucket}/simferry")
    assert all("E: no mirror in Łódź" in log for log in run.logs().values())


def test_with_network_isolation_there_is_none_and_a_note_says_so(tmp_path, emulator, image_r):
    """The check has the network that jobs have."""
    script = write(tmp_path, "simulate.R", 'simulate <- function() length(readLines("~/links"))\n')
    setup = write(tmp_path, "setup.sh", "ls /sys/class/net >~/links\n")
    given = {"design": {}, "before": setup, "replications": 1}
    run = submit(emulator, script, image_r, network_isolation=True, **given)
    assert run._folder.backend_note.startswith("setup.sh can't download anything")
    assert run.results()["value"].tolist() == [1]  # loopback
    assert submit(emulator, script, image_r, fresh=True, **given).results()["value"].tolist() == [2]
