"""Continues a run in the background, in a process that does not end with its terminal."""

import subprocess
import sys
import time

from ..errors import SimferryError
from ..hints import active
from ..store.run_folder import RunFolder
from ..system.files import writing
from .claim import driver_of


def start_detached(run: RunFolder) -> None:
    """Start the driver of a run in the background; `watch` and `cancel` find it from any shell."""
    log = run.path / "jobs" / "driver.log"
    with writing(run.path), log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "simferry", "--face", active().value, "resume", run.address],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
        )  # fmt: skip
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None and driver_of(run) is None:
        time.sleep(0.02)
    if process.poll() not in (None, 0) and driver_of(run) is None:
        raise SimferryError(
            f"the run could not go on in the background: {log.read_text().strip()[-500:]}", f"Its log is {log}"
        )
