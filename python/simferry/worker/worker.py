"""Starts the worker, which is in the folder simferry_worker beside this file; or, in simferry itself, beside it.

    python worker.py check ROOT     checks whether the simulation can run; writes ROOT/check
    python worker.py run ROOT       runs ROOT/input/plan/job on all cores of the job
    python worker.py replay ROOT    runs the one replication of that job in the foreground
    python worker.py check_and_run  in a container: checks, then runs the job whose ROOT comes on standard input
    python worker.py wait LOG [STORE]   does what standard input says: see wait() in main.py

worker.R has the same verbs, and the same folders in ROOT.
"""

import os
import sys

if (
    sys.flags.hash_randomization and os.environ.get("PYTHONHASHSEED") != "0"
):  # sets of strings have one order everywhere
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
here = os.path.dirname(os.path.abspath(__file__))
if os.path.isdir(os.path.join(here, "simferry_worker")):
    sys.path.insert(0, here)
else:
    if sys.path[0] and os.path.realpath(sys.path[0]) == os.path.realpath(here):  # not with PYTHONSAFEPATH
        del sys.path[0]  # no module is to be imported by its short name
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("simferry_worker", f"{here}/__init__.py", submodule_search_locations=[here])
    assert spec
    sys.modules[spec.name] = module_from_spec(spec)
from simferry_worker.main import main  # type: ignore[import-not-found]  # noqa: E402

if __name__ == "__main__":
    main(sys.argv[1:])
