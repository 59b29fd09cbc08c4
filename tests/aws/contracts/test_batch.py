"""The contract of AWS Batch: commands of containers, behind entry points of all kinds, and sizes."""

import json
import subprocess

import pytest
from simferry.aws.contracts import batch as contract
from simferry.containers.engine import run_once

# arguments that shells, R and Python could change
AWKWARD = ["a b", "c'd\"e", "$HOME `id` \\n", "line\nbreak", "é~+~*", ""]
TELL = ["sh", "-c", "printf '%s|' \"$@\"; exit 7", "sh", *AWKWARD]


def test_the_carrier_is_one_command():
    command = contract.carrier_command()
    assert command[:3] == ["python3", "-I", "-c"]
    assert len(json.dumps(command)) < contract.LONGEST_DEFINITION / 2
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, check=False)
    assert done.stderr.endswith("KeyError: 'SIMFERRY_CARRIED'\n")  # its whole text has run


def test_the_carrier_is_not_misled_by_the_images_modules(tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong module')")
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        contract.carrier_command(), cwd=tmp_path, capture_output=True, text=True, env=env, check=False
    )
    assert "KeyError: 'SIMFERRY_CARRIED'" in done.stderr


@pytest.mark.parametrize(
    ("image", "entrypoint"),
    [
        ("python", ["python3"]),
        ("python", ["/usr/bin/python3"]),
        ("r", ["Rscript"]),
        ("r", ["/usr/bin/R"]),
        ("r", ["sh"]),
        ("r", ["/bin/bash", "-c"]),
        ("r", ["bash", "-l", "-c"]),
        ("r", ["bash", "/entry.sh"]),
        ("r", ["/entry.sh", "an argument of its own"]),
        ("r", ["env", "-i", "PATH=/usr/bin:/bin"]),
        ("r", []),
    ],
)
def test_a_command_behind_an_entry_point(scrap, image_r, image_python, image, entrypoint, request):
    """As Docker joins the two, in a real container."""
    here = {"python": image_python, "r": image_r}[image]
    if any("entry.sh" in word for word in entrypoint):
        if entrypoint[0] == "bash":
            script = 'exec "$@"\n'
        else:
            script = '#!/bin/sh\nshift\nexec "$@"\n'
        here = scrap.build(
            f"FROM {image_r}\nUSER root\nCOPY entry.sh /entry.sh\nRUN chmod 755 /entry.sh\n", **{"entry.sh": script}
        )
    given = contract.after_entrypoint(entrypoint, TELL)
    status, out, err = run_once(scrap.client, here, [*entrypoint, *given])
    assert (status, out) == (7, "".join(f"{one}|" for one in AWKWARD)), err


@pytest.mark.parametrize(
    "entrypoint",
    [["python3", "app.py"], ["python3.11", "-m", "app"], ["Rscript", "analysis.R"], ["R", "-f", "x.R"],
     ["/bin/sh", "-c", "exec serve"], ["bash", "-lc", "serve"]],
)  # fmt: skip
def test_an_entry_point_that_takes_no_command(entrypoint):
    assert contract.after_entrypoint(entrypoint, TELL) is None


def test_python_behind_python_is_one_process():
    assert contract.after_entrypoint(["/opt/conda/bin/python3.12"], ["python3", "-I", "-c", "1"]) == ["-I", "-c", "1"]


def test_sizes():
    assert [contract.mebibytes(text) for text in ("4G", "512M", "0.5 GiB", "1T")] == [4096, 512, 512, 2**20]
    assert contract.nearest_on_fargate(2, 3000) == (2, 4096) and contract.nearest_on_fargate(1.5, 20_000) == (4, 20_480)
    assert contract.nearest_on_fargate(64, 1) == (32, 244 * 1024)
    assert contract.has_room_for_carrier(0.5, 2048) and not contract.has_room_for_carrier(0.25, 2048)


def test_only_lost_machines_are_tried_again():
    """As the service goes through the rules: each of its conditions has to match; where no rule does, it tries again."""

    def action(**event):
        for rule in contract.RETRIES:
            conditions = {name: text for name, text in rule.items() if name != "action"}
            if all(
                event.get(name, "").startswith(text.rstrip("*")) and name in event for name, text in conditions.items()
            ):
                return rule["action"]
        return "RETRY"

    assert action(onStatusReason="Host EC2 (instance i-1) terminated.") == "RETRY"
    assert action(onStatusReason="Host EC2 (instance i-1) terminated.", onExitCode="143") == "RETRY"
    assert action(onStatusReason="Essential container in task exited", onExitCode="143") == "EXIT"
    assert action(onStatusReason="Task failed to start", onReason="CannotPullContainerError: no") == "EXIT"
    assert (
        action(onStatusReason="Essential container in task exited", onReason="OutOfMemoryError: x", onExitCode="137")
        == "EXIT"
    )
    assert action(onStatusReason="Something new") == "EXIT"
