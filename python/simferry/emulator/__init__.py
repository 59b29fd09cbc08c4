"""AWS on this machine: S3, STS, IAM, ECR and Logs by moto, SageMaker Processing jobs in Docker, at one address on loopback."""

from .faults import Faults
from .server import Emulator

__all__ = ["Emulator", "Faults"]
