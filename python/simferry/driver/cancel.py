"""Cancels a run: ends the process that computes it, then its jobs."""

import os
import time

from ..backends.base import Backend
from ..errors import RunBusy
from ..store.run_folder import RunFolder
from .claim import computes, driven_elsewhere, driver_of
from .drive import stop_leftovers


def cancel(run: RunFolder, backend: Backend, seconds_to_wait: float) -> None:
    """Ends the driver of the run, unless it is this process, and stops the run's jobs.

    seconds_to_wait: how long the driver may take to end before it is killed.

    Raises RunBusy where the driver runs on another machine, or where driver.json names a process that is not the driver.
    """
    if host := driven_elsewhere(run):
        raise RunBusy(f"run {run.id} is being computed on {host}", "It can be stopped only there.")
    process = driver_of(run)
    if process is not None and process.pid != os.getpid():
        if not computes(process, run) and driver_of(run):  # it has not just ended
            raise RunBusy(
                f"run {run.id} names process {process.pid} as its driver, but that does not compute it, or is another user's",
                f"The process was not stopped. If nothing computes the run, remove {run.jobs / 'driver.json'}",
            )
        process.terminate()
        until = time.monotonic() + seconds_to_wait
        while time.monotonic() < until and driver_of(run) is not None:
            time.sleep(0.05)
        if driver_of(run) is not None:
            process.kill()
            process.wait(seconds_to_wait)
    stop_leftovers(run, backend)
