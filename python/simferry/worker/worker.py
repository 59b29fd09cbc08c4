"""Starts the worker, which lies beside it in the folder simferry_worker.

    python worker.py check ROOT     is the simulation fit to run? answers in ROOT/check
    python worker.py run ROOT       runs ROOT/input/plan/job on all of the job's cores
    python worker.py replay ROOT    runs that job's one replication in the foreground

ROOT's folders are those of worker.R, which speaks the same protocol in R.
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
