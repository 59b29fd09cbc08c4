"""Names of the parts of a run: jobs, blocks, replications."""

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np


class JobId(str):
    """A job's name: the number of its plan and its own number, such as 0001-0003."""

    __slots__ = ()

    @classmethod
    def of(cls, plan: str, number: int) -> "JobId":
        """The job with this number in a plan. Numbers start at 1."""
        return cls(f"{plan}-{number:04d}")

    @property
    def plan(self) -> str:
        return self.partition("-")[0]

    @property
    def number(self) -> str:
        """The name of the job's folder in its plan, such as 0003."""
        return self.partition("-")[2]


_BLOCK = re.compile(r"([0-9]{4,9}-[0-9]{4,9})-[0-9]+-[0-9]+\.[0-9]+-r([0-9]{1,9})-f([0-9]{1,9})")


class BlockName(NamedTuple):
    """The parts of a block file's name: plan-job-attempt-process.number-rREPLICATIONS-fFAILED."""

    name: str
    job: JobId
    replications: int
    failed: int

    @property
    def plan(self) -> str:
        return self.job.plan

    @classmethod
    def parse(cls, name: str) -> "BlockName | None":
        m = _BLOCK.fullmatch(name)
        return cls(name, JobId(m[1]), int(m[2]), int(m[3])) if m else None


def key_of(condition: "np.ndarray[Any, Any]", replication: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """A number (int64) for each pair of condition and replication; it sorts by both. The arguments are integer arrays of equal length."""
    key: np.ndarray[Any, Any] = condition.astype("int64") << 32 | replication.astype("int64")
    return key


def of_key(key: "np.ndarray[Any, Any]") -> "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]":
    """The conditions and replications of keys: the inverse of `key_of`."""
    return key >> 32, key & 0xFFFFFFFF
