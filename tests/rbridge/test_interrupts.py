"""Ctrl-C while R runs Python: what can be interrupted, and what cannot."""

import os
import signal
import subprocess
import sys

CODE = """
import os, signal
from simferry._rbridge import interrupts
interrupts.leave_to_r()
signal.signal(signal.SIGINT, interrupts._interrupt)  # here no handler of reticulate's calls it
for whether in (False, True):
    try:
        with interrupts.allowed(whether):
            os.kill(os.getpid(), signal.SIGINT)
        print("went on")
    except KeyboardInterrupt:
        print("stopped")
os.kill(os.getpid(), signal.SIGINT)
print("went on")
"""


def test_only_what_allows_it_is_interrupted():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split("\n") == ["went on", "stopped", "went on", ""]


def test_the_handler_of_the_process_stays_whose_it_was():
    code = "import signal\nfrom simferry._rbridge.interrupts import leave_to_r\nleave_to_r()\n"
    code += "print(signal.getsignal(signal.SIGINT).__name__, flush=True)\nimport time\ntime.sleep(30)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\n{code}"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "_interrupt\n"  # what Python would call
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(20) == -signal.SIGINT  # what the system does
