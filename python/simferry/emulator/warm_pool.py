"""The warm pool of a training job: instances that are kept for a while after it, for another job that fits."""

import time
from typing import Any

_SAME = ("RoleArn", "VpcConfig", "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption")
_SAME_INSTANCES = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")


def needed(request: dict[str, Any]) -> tuple[Any, ...]:
    """What has to be the same in two jobs, the later of which uses the pool of the earlier."""
    return (
        *(request.get(name) or None for name in _SAME),
        *(request["ResourceConfig"].get(name) for name in _SAME_INSTANCES),
    )


class WarmPool:
    """seconds: how long it is kept. Times are in seconds since 1970."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.reused_by = ""
        self._since = self._until = 0.0

    def begin(self, now: float, kept: bool) -> None:
        """The job has ended. kept: whether it leaves its instances to others."""
        self._since, self._until = now, now + self.seconds if kept else now

    @property
    def status(self) -> str:
        if not self._since:
            return "InUse"
        if self.reused_by:
            return "Reused"
        return "Available" if time.time() < self._until else "Terminated"

    def reuse(self, job: str) -> None:
        """Another job takes it over."""
        self.reused_by, self._until = job, time.time()

    def keep(self, seconds: int) -> None:
        """Another time to be kept; it counts from the end of the job."""
        self.seconds = seconds
        self._until = self._since + seconds

    def describe(self) -> dict[str, Any]:
        out: dict[str, Any] = {"Status": self.status}
        if self._since:
            out["ResourceRetainedBillableTimeInSeconds"] = round(min(time.time(), self._until) - self._since)
        return {**out, "ReusedByJob": self.reused_by} if self.reused_by else out
