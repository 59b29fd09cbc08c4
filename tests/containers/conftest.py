"""What tests of containers share."""

from container_jobs import job  # noqa: F401
