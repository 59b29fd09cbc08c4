"""Version 2's module of processing jobs."""

from .framework import FrameworkProcessor, SKLearnProcessor
from .inputs import ProcessingInput, ProcessingOutput
from .job import ProcessingJob
from .network import NetworkConfig
from .processor import Processor, ScriptProcessor

__all__ = [
    "FrameworkProcessor",
    "NetworkConfig",
    "ProcessingInput",
    "ProcessingJob",
    "ProcessingOutput",
    "Processor",
    "SKLearnProcessor",
    "ScriptProcessor",
]
