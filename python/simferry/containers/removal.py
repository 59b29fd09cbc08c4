"""Removes containers, networks and folders of jobs: what has ended, and what a killed process left. Labels tell whose they are."""

import contextlib
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from ..system.processes import has_ended
from .engine import DRIVER, EngineError, driver_label

OWNER = "simferry.owner"  # label: who started the container
JOB = "simferry.job"  # label: its name
FOLDER = "simferry.folder"  # label: a folder that becomes the job's when the container, which waits, gets one
WAITING_FOLDER = ".check-"  # the beginning of its name


def labels_of(owner: str, job: str) -> dict[str, str]:
    """The labels of a job's containers and network."""
    return {OWNER: owner, JOB: job, **driver_label()}


def remove_folder(client: Any, image: str, folder: Path) -> None:
    """Remove a folder in which a container's user, perhaps root, has written. A link is not followed."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists() and not folder.is_symlink():
        open_by_image(client, image, folder)
        shutil.rmtree(folder, ignore_errors=True)


def open_by_image(client: Any, image: str, folder: Path) -> None:
    """Let everybody read, write and remove what a container's user has left in a folder, by a container of the same image."""
    with contextlib.suppress(Exception):
        client.containers.run(
            image, entrypoint=["chmod", "-R", "a+rwX", "/folder"], user="0", remove=True, network_mode="none",
            volumes={str(folder): {"bind": "/folder", "mode": "rw"}},
        )  # fmt: skip


def leftovers(client: Any, labels: dict[str, str], patience_seconds: float = 0) -> None:
    """Remove the containers and networks that have all these labels.

    patience_seconds: how long to ask again if the engine does not answer. Raises EngineError.
    """
    until = time.monotonic() + patience_seconds
    while True:
        try:
            return _remove(client, labels)
        except EngineError:
            if time.monotonic() >= until:
                raise
            time.sleep(0.5)


def _remove(client: Any, labels: dict[str, str]) -> None:
    filters = {"label": [f"{name}={value}" for name, value in labels.items()]}
    try:
        for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
            with contextlib.suppress(Exception):
                container.remove(force=True, v=True)
        for network in client.networks.list(filters=filters):
            with contextlib.suppress(Exception):
                network.remove()
    except Exception as error:
        raise EngineError(f"Docker's engine did not answer: {error}") from None


def remove_orphans(client: Any) -> None:
    """Remove containers whose driver, on this machine, was killed: those that have ended, and those that are no jobs, or wait for one.

    A job that goes on is left to its run: resuming it stops the job, and keeps what it has computed.
    """
    with contextlib.suppress(Exception):
        for container in client.containers.list(all=True, filters={"label": DRIVER}, ignore_removed=True):
            with contextlib.suppress(Exception):
                if has_ended(json.loads(container.labels[DRIVER])):
                    _remove_orphan(client, container)


def _remove_orphan(client: Any, container: Any) -> None:
    folder = Path(container.labels.get(FOLDER, ""))
    waits = folder.name.startswith(WAITING_FOLDER) and os.path.lexists(folder)
    if container.status not in ("running", "paused") or JOB not in container.labels or waits:
        container.remove(force=True, v=True)
        if waits:
            remove_folder(client, container.attrs["Config"]["Image"], folder)
