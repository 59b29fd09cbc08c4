"""The number of cores that this process may use."""

import contextlib
import math
import os
from pathlib import Path


def cores_here() -> int:
    """The number of cores that this process may use: affinity and the limits of containers count, and LOKY_MAX_CPU_COUNT, by which
    users of joblib limit it. Counted as joblib does, which takes longer to load than a short run."""
    cores: float = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(ValueError):
        cores = min(cores, int(os.environ.get("LOKY_MAX_CPU_COUNT", "")))
    return max(1, min(int(cores), _cores_of_container()))


def _cores_of_container() -> int:
    """The limit of the control group, version 2 or 1, rounded up; very many where there is none."""
    group = Path("/sys/fs/cgroup")
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        with contextlib.suppress(OSError, ValueError):
            quota, period = " ".join((group / file).read_text() for file in files).split()
            return math.ceil(int(quota) / int(period)) if quota != "max" and int(quota) > 0 else 1 << 30
    return 1 << 30
