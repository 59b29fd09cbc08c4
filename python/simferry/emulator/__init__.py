"""AWS on this machine, at one loopback address: moto emulates S3, STS, IAM, ECR and Logs; jobs and endpoints run in Docker."""

from .faults import Faults
from .server import Emulator

__all__ = ["Emulator", "Faults"]
