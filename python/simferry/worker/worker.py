"""Starts the worker, which is in the folder simferry_worker beside this file.

    python worker.py check ROOT     checks whether the simulation can run; writes ROOT/check
    python worker.py run ROOT       runs ROOT/input/plan/job on all cores of the job
    python worker.py replay ROOT    runs the one replication of that job in the foreground

worker.R has the same verbs, and the same folders in ROOT.
"""

import os
import sys
from pathlib import Path

if (
    sys.flags.hash_randomization and os.environ.get("PYTHONHASHSEED") != "0"
):  # sets of strings have one order everywhere
    os.environ["PYTHONHASHSEED"] = "0"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
sys.path.insert(0, str(Path(__file__).parent))
from simferry_worker.main import main  # type: ignore[import-not-found]

if __name__ == "__main__":
    main(sys.argv[1:])
