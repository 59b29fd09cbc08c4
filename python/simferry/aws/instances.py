"""SageMaker's instance types: cores and memory, as the EC2 documentation lists them (November 2026)."""

import re
from dataclasses import dataclass

from ..errors import UsageError, nearest

# GiB of memory per vCPU, and the vCPUs of each size
_SIZES = {
    "large": 2,
    "xlarge": 4,
    "2xlarge": 8,
    "4xlarge": 16,
    "8xlarge": 32,
    "12xlarge": 48,
    "16xlarge": 64,
    "24xlarge": 96,
}
_MODERN = {**_SIZES, "32xlarge": 128, "48xlarge": 192}
_FAMILIES: dict[str, tuple[float, dict[str, int]]] = {
    "m5": (4, _SIZES),
    "m5d": (4, _SIZES),
    "m6i": (4, {**_SIZES, "32xlarge": 128}),
    "m7i": (4, _MODERN),
    "c5": (
        2,
        {
            "large": 2,
            "xlarge": 4,
            "2xlarge": 8,
            "4xlarge": 16,
            "9xlarge": 36,
            "12xlarge": 48,
            "18xlarge": 72,
            "24xlarge": 96,
        },
    ),
    "c6i": (2, {**_SIZES, "32xlarge": 128}),
    "c7i": (2, _MODERN),
    "r5": (8, _SIZES),
    "r5d": (8, _SIZES),
    "r7i": (8, _MODERN),
    "m4": (4, {"xlarge": 4, "2xlarge": 8, "4xlarge": 16, "10xlarge": 40, "16xlarge": 64}),
    "c4": (1.875, {"xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 36}),
    "t3": (4, {"large": 2, "xlarge": 4, "2xlarge": 8}),
    "g4dn": (4, {"xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "16xlarge": 64}),
    "g5": (
        4,
        {"xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "16xlarge": 64, "24xlarge": 96},
    ),
}
_ODD = {"ml.t3.medium": (2, 4.0), "ml.c4.8xlarge": (36, 60.0), "ml.p3.2xlarge": (8, 61.0), "ml.p3.8xlarge": (32, 244.0)}


@dataclass(frozen=True)
class Instance:
    """An instance type: vCPUs, and memory in GiB."""

    name: str
    cores: int
    memory_gib: float


def instance(name: str) -> Instance:
    """The instance type of that name, such as ml.m5.xlarge. Raises UsageError with the nearest ones."""
    table = instances()
    if name not in table:
        near = nearest(name if name.startswith("ml.") else f"ml.{name}", table)
        family = re.sub(r"^(ml\.)?([^.]*)\..*$", r"ml.\2", name)
        known = [n for n in table if n.startswith(f"{family}.")]
        raise UsageError(
            f"there is no instance type {name!r}", near or f"Known: {', '.join(known or list(table)[:12])}, ..."
        )
    return table[name]


def instances() -> dict[str, Instance]:
    """Every instance type that is known here."""
    out = {
        f"ml.{family}.{size}": Instance(f"ml.{family}.{size}", cores, cores * memory)
        for family, (memory, sizes) in _FAMILIES.items()
        for size, cores in sizes.items()
    }
    return {**out, **{name: Instance(name, *odd) for name, odd in _ODD.items()}}
