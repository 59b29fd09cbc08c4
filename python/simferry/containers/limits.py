"""What a container of a job gets of this machine: the cores and the memory of an instance type."""

import os

from ..aws.instances import Instance

GIB = 2**30


def cores_of(kind: Instance, here: int) -> int:
    """The cores of a job here: those of the instance, at most those of the machine."""
    return min(kind.cores, here)


def limits(kind: Instance) -> dict[str, int]:
    """The limits of a container: those of an instance type."""
    memory = int(kind.memory_gib * GIB)
    cores = cores_of(kind, os.cpu_count() or 1)
    # no swap, as on the service
    return {"nano_cpus": cores * 10**9, "mem_limit": memory, "memswap_limit": memory}
