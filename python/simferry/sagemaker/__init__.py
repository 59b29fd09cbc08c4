"""The interface of version 2 of the SageMaker Python SDK, for jobs. Old scripts run after a change of their import line.

    sagemaker <- reticulate::import("simferry.sagemaker")
    import simferry.sagemaker as sagemaker

Names, defaults and addresses are those of version 2. Processing jobs are submitted by today's SDK. Numbers from R (1, 1000) are accepted as
whole numbers and as arguments, and a single value as a list of one. Objects passed in are never changed.
"""

from typing import TYPE_CHECKING, Any

from .. import __version__ as _version
from . import (
    estimator,
    exceptions,
    image_uris,
    inputs,
    local,
    network,
    processing,
    pytorch,
    s3,
    session,
    sklearn,
    tensorflow,
    xgboost,
)
from .amazon.amazon_estimator import get_image_uri
from .inputs import TrainingInput, s3_input
from .local import LocalSession
from .model import Model
from .predictor import Predictor, RealTimePredictor
from .processing import FrameworkProcessor, Processor, ScriptProcessor
from .session import Session, get_execution_role

__all__ = [
    "FrameworkProcessor",
    "LocalSession",
    "Model",
    "Predictor",
    "Processor",
    "RealTimePredictor",
    "ScriptProcessor",
    "Session",
    "TrainingInput",
    "amazon",
    "deserializers",
    "estimator",
    "exceptions",
    "get_execution_role",
    "get_image_uri",
    "image_uris",
    "inputs",
    "local",
    "model",
    "network",
    "parameter",
    "predictor",
    "processing",
    "pytorch",
    "s3",
    "s3_input",
    "serializers",
    "serverless",
    "session",
    "sklearn",
    "tensorflow",
    "transformer",
    "tuner",
    "xgboost",
]

if not TYPE_CHECKING:  # to a type checker an unknown name is an error

    def __getattr__(name: str) -> Any:
        if name == "__version__":  # published scripts print it
            return f"2+simferry.{_version}"
        if name.startswith("_"):  # Python and reticulate look for such names
            raise AttributeError(name)
        raise AttributeError(f"simferry.sagemaker has no {name}; of version 2 it has: {', '.join(__all__)}")
