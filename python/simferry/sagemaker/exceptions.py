"""Errors of jobs that have failed."""

from typing import Any

from ..errors import SimferryError
from ..hints import Words


class UnexpectedStatusException(SimferryError, ValueError):
    """A job has failed. actual_status: of the service."""

    code = "job_failed"
    allowed_statuses = ("Completed", "Stopped")

    def __init__(self, message: Words, hint: Words = "", actual_status: str = "Failed") -> None:
        super().__init__(message, hint)
        self.actual_status = actual_status


class CapacityError(UnexpectedStatusException):
    """There were no instances of the type to be had."""

    code = "capacity"


def check_status(description: dict[str, Any], hint: Words = "") -> None:
    """Raise where a job, as DescribeProcessingJob tells it, has failed."""
    status = description["ProcessingJobStatus"]
    if status == "Failed":
        reason = description.get("FailureReason") or "no reason is told"
        message = f"processing job {description['ProcessingJobName']} has failed: {reason}"
        if exit_message := description.get("ExitMessage"):
            message += f"\nIts exit message: {exit_message}"
        raise (CapacityError if "CapacityError" in reason else UnexpectedStatusException)(message, hint, status)
