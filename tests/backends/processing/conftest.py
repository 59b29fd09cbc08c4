"""What tests of sweeps on SageMaker share."""

from sagemaker_sweeps import own_cache  # noqa: F401
