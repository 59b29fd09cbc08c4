"""Names of a run's jobs in a service."""

import hashlib
import re

from ..store.run_folder import RunFolder

NAME_LENGTH = 63  # of a job's name
DATE_LENGTH = len("-20260102-c0dec0de")  # the end of a run's id


def tag_of(run: RunFolder) -> str:
    """A part of the names of all jobs of this run, and of no other run."""
    return _tag(run.address)


def _tag(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:10]


def job_name(run: RunFolder, job: str) -> str:
    """The name of a job: the run's id, its tag, and plan-job."""
    return job_name_at(run.id, run.address, job)


def job_name_at(run_id: str, address: str, job: str) -> str:
    """The same for a run that may not be there yet."""
    name, drawn = run_id[:-DATE_LENGTH], run_id[-DATE_LENGTH:]
    end = f"{drawn}-{_tag(address)}-{job}"
    return re.sub(r"[^A-Za-z0-9]+", "-", name)[: NAME_LENGTH - len(end)].strip("-") + end
