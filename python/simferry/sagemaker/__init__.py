"""Version 2's names of the SageMaker Python SDK, for processing jobs: scripts written for it run with the import line changed.

    sagemaker <- reticulate::import("simferry.sagemaker")
    import simferry.sagemaker as sagemaker

Names, defaults and addresses are version 2's; `ScriptProcessor` jobs are submitted by today's SDK. Numbers of R's (1, 1000) do
for whole numbers and for arguments, a single value for a list of one, and objects passed in are never changed.
"""

from typing import TYPE_CHECKING, Any

from . import exceptions, network, processing, s3, session
from .processing import Processor, ScriptProcessor
from .session import Session, get_execution_role

__all__ = [
    "Processor",
    "ScriptProcessor",
    "Session",
    "exceptions",
    "get_execution_role",
    "network",
    "processing",
    "s3",
    "session",
]

if not TYPE_CHECKING:  # to a type checker an unknown name is an error

    def __getattr__(name: str) -> Any:
        if name.startswith("_"):  # Python's own questions, and reticulate's
            raise AttributeError(name)
        raise AttributeError(
            f"simferry.sagemaker has no {name}: of version 2 it has what processing jobs need ({', '.join(__all__)})"
        )
