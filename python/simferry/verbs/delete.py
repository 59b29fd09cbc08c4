"""Deletes a run, in a folder or an object store."""

from ..driver.claim import driving
from ..driver.drive import stop_leftovers
from ..driver.progress import progress_of
from ..errors import RunBusy, ServiceError
from ..hints import Text
from ..store.counts import total
from ..store.run_folder import RunFolder
from .compute import backend_of_run


def check_idle(run: RunFolder) -> None:
    """Raise RunBusy if a run is being computed, or ServiceError if its service does not say so of a run that is not complete."""
    run.look()
    try:
        state = progress_of(run, backend_of_run(run)).state
    except ServiceError:
        done = sum(block.replications for block in run.block_names())
        if done < total(run.replications, run.conditions):
            raise
        return
    if state == "running":
        raise RunBusy(
            f"run {run.id} is being computed, and is not deleted", Text(run.command("cancel"), "  stops it first.")
        )


def delete(run: RunFolder) -> None:
    """Delete a run. Raises RunBusy if it is being computed, StoreError if not all of it can be removed."""
    run.check_removable()
    check_idle(run)
    with driving(run):  # so that nobody goes on with it meanwhile
        backend = backend_of_run(run)
        if not backend.traits.outlives_driver:
            stop_leftovers(run, backend)  # of a driver that was killed
        run.delete()
