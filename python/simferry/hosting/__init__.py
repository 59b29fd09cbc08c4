"""Models behind endpoints of SageMaker, and batch transform: an image and a model's archive answer requests.

import simferry as sf

served = sf.Endpoint.deploy("simferry-sklearn", "model.tar.gz", instance_type="ml.t2.medium")   # tells what it costs, and asks
served.predict(frame)      # the answers to a data frame's rows
served.delete()            # endpoint, configuration and model: it costs until then
sf.transform("simferry-sklearn", "model.tar.gz", "data.csv", "answers")   # many rows at once, without an endpoint
"""

from .batch_transform import transform as transform
from .endpoint import Endpoint as Endpoint
from .endpoint import endpoints as endpoints

__all__ = ["Endpoint", "endpoints", "transform"]
