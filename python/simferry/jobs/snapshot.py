"""The code of a run, as it was when the run began."""

from ..store.run_folder import RunFolder
from ..system.untrusted import Tree
from . import setup_script
from .launch import WORKER_FILES

_OF_WORKERS = {name for names in WORKER_FILES.values() for name in names}


def code_files(run: RunFolder) -> dict[str, bytes]:
    """The snapshot's files by their names, without the worker's."""
    run.code  # noqa: B018  brings it from an object store
    found = {}
    for file in Tree(run.path, ("code",)).files():
        mine = file.name == setup_script.PLACE
        if mine or (file.name not in _OF_WORKERS and not file.name.startswith("simferry_worker/")):
            with file.open() as stream:
                found["before" if mine else file.name] = stream.read(1 << 30)
    return found
