"""SageMaker's instance types, from botocore's models; their cores and memory, from the documentation of EC2."""

import re
from dataclasses import dataclass

from ..errors import UsageError, nearest

# vCPUs of the small sizes; Nxlarge has 4 N
_VCPUS = {"medium": 2, "large": 2, "xlarge": 4}
_TO_16 = "large xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"
_TO_24 = f"{_TO_16} 24xlarge"
_GPU = "xlarge 2xlarge 4xlarge 8xlarge 12xlarge 16xlarge"
# GiB of memory per vCPU, families, sizes
_FAMILIES = [
    (4.0, "t3", "large xlarge 2xlarge"),
    (4.0, "m4", "xlarge 2xlarge 4xlarge 10xlarge 16xlarge"),
    (1.875, "c4", "xlarge 2xlarge 4xlarge"),
    (4.0, "m5", "large xlarge 2xlarge 4xlarge 12xlarge 24xlarge"),
    (2.0, "c5", "xlarge 2xlarge 4xlarge 9xlarge 18xlarge"),
    (8.0, "r5 r5d", _TO_24),
    (4.0, "m6i", f"{_TO_24} 32xlarge"),
    (2.0, "c6i", f"{_TO_24} 32xlarge".removeprefix("large ")),
    (8.0, "r6i", f"{_TO_24} 32xlarge"),
    (4.0, "m7i", f"{_TO_24} 48xlarge"),
    (2.0, "c7i", f"{_TO_24} 48xlarge"),
    (8.0, "r7i", f"{_TO_24} 48xlarge"),
    (4.0, "m8i", f"{_TO_24} 32xlarge 48xlarge 96xlarge"),
    (2.0, "c8i", f"{_TO_24} 32xlarge 48xlarge 96xlarge".removeprefix("large ")),
    (8.0, "r8i", f"{_TO_24} 32xlarge 48xlarge 96xlarge"),
    (4.0, "m7i-flex m8i-flex", _TO_16),
    (2.0, "c7i-flex c8i-flex", _TO_16.removeprefix("large ")),
    (8.0, "r8i-flex", _TO_16),
    (4.0, "g4dn", _GPU),
    (4.0, "g5 g6", f"{_GPU} 24xlarge 48xlarge"),
    (8.0, "g6e", f"{_GPU} 24xlarge 48xlarge"),
]
# vCPUs and GiB of instance types that follow no rule
_ODD = {
    "t3.medium": (2, 4.0),
    "c4.8xlarge": (36, 60.0),
    "p2.xlarge": (4, 61.0),
    "p2.8xlarge": (32, 488.0),
    "p2.16xlarge": (64, 732.0),
    "p3.2xlarge": (8, 61.0),
    "p3.8xlarge": (32, 244.0),
    "p3.16xlarge": (64, 488.0),
    "p5.4xlarge": (16, 256.0),
    "g7e.2xlarge": (8, 64.0),
    "g7e.4xlarge": (16, 128.0),
    "g7e.8xlarge": (32, 256.0),
    "g7e.12xlarge": (48, 512.0),
    "g7e.24xlarge": (96, 1024.0),
    "g7e.48xlarge": (192, 2048.0),
}


# what endpoints have beside these, as far as it has x86 processors
_HOSTING = [
    (4.0, "m5d", "large xlarge 2xlarge 4xlarge 12xlarge 24xlarge"),
    (2.0, "c5 c6i", "large"),
    (2.0, "c5d", "large xlarge 2xlarge 4xlarge 9xlarge 18xlarge"),
    (2.0, "c6in", f"{_TO_24} 32xlarge"),
    (1.875, "c4", "large"),
]
_ODD_HOSTING = {"t2.medium": (2, 4.0), "t2.large": (2, 8.0), "t2.xlarge": (4, 16.0), "t2.2xlarge": (8, 32.0)}


@dataclass(frozen=True)
class Instance:
    """An instance type: vCPUs, and memory in GiB."""

    name: str
    cores: int
    memory_gib: float


def instance(name: str, hosting: bool = False) -> Instance:
    """The instance type of this name, such as ml.m5.xlarge. hosting: also those that only endpoints have, such as ml.t2.medium.

    Raises UsageError with similar names.
    """
    table = hosting_instances() if hosting else instances()
    if name not in table:
        family = re.sub(r"^(ml\.)?([^.]*)\..*$", r"ml.\2", name)
        known = [n for n in table if n.startswith(f"{family}.")]
        near = f"Did you mean ml.{name}?" if f"ml.{name}" in table else nearest(name, known or table)
        raise UsageError(
            f"there is no instance type {name!r}", near or f"Known: {', '.join(known or list(table)[:12])}, ..."
        )
    return table[name]


def instances() -> dict[str, Instance]:
    """All known instance types of jobs, by name."""
    return _table(_ODD, _FAMILIES)


def hosting_instances() -> dict[str, Instance]:
    """All known instance types of endpoints, by name: those of jobs, and some more."""
    return _table({**_ODD, **_ODD_HOSTING}, [*_FAMILIES, *_HOSTING])


def _table(odd: dict[str, tuple[int, float]], families: list[tuple[float, str, str]]) -> dict[str, Instance]:
    out = {f"ml.{name}": Instance(f"ml.{name}", *one) for name, one in odd.items()}
    for memory, some, sizes in families:
        for name in (f"ml.{family}.{size}" for family in some.split() for size in sizes.split()):
            size = name.rpartition(".")[2]
            cores = _VCPUS.get(size) or 4 * int(size.removesuffix("xlarge"))
            out[name] = Instance(name, cores, cores * memory)
    return out
