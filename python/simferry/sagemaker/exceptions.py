"""Errors of jobs that have failed."""

from typing import Any

from ..errors import SimferryError
from ..hints import Words


class UnexpectedStatusException(SimferryError, ValueError):
    """A job has failed. actual_status: its status in the service."""

    code = "job_failed"
    allowed_statuses = ("Completed", "Stopped")

    def __init__(self, message: Words, hint: Words = "", actual_status: str = "Failed") -> None:
        super().__init__(message, hint)
        self.actual_status = actual_status


class CapacityError(UnexpectedStatusException):
    """No instances of this type were available."""

    code = "capacity"


def check_status(description: dict[str, Any], hint: Words = "", kind: str = "processing") -> None:
    """Raise UnexpectedStatusException if a job has failed.

    description: the answer of DescribeProcessingJob or its kin. hint: what to do then. kind: of job, processing, training or transform.
    """
    name = kind.capitalize()
    status = description[f"{name}JobStatus"]
    if status == "Failed":
        reason = description.get("FailureReason") or "the service gives no reason"
        message = f"{kind} job {description[f'{name}JobName']} has failed: {reason}"
        if exit_message := description.get("ExitMessage"):
            message += f"\nIts exit message: {exit_message}"
        raise (CapacityError if "CapacityError" in reason else UnexpectedStatusException)(message, hint, status)
