"""What jobs of AWS Batch cost, at the most. Batch itself costs nothing: its machines do."""

from ..aws import session
from ..aws.prices import prices
from ..sweep.options import BatchOptions
from .batch_requests import carrier_vcpus, mebibytes, on_fargate, vcpus

# The stack's queues have machines of these families (default_x86_64): the dearest per vCPU counts. Spot is never dearer than on demand.
_TYPES = {"ml.m6i.xlarge": 4, "ml.c6i.xlarge": 4, "ml.r6i.xlarge": 4, "ml.c7i.xlarge": 4}  # vCPUs
_SAGEMAKER = 1.2  # times the price of EC2
_FARGATE = (0.04048, 0.004445)  # dollars an hour per vCPU and per GB: us-east-1, November 2026


def dollars_an_hour(options: BatchOptions) -> float:
    """US dollars an hour of one job, at the dearest type's price on demand. What machines cost before and after jobs is not counted."""
    if on_fargate(options):  # the carrier is within the job's size
        return vcpus(options) * _FARGATE[0] + mebibytes(options) / 1024 * _FARGATE[1]
    table = prices(session.region())
    a_vcpu = max(table.of(name) / number for name, number in _TYPES.items()) / _SAGEMAKER
    gigabytes = mebibytes(options) / 1024
    return max(vcpus(options) + carrier_vcpus(options), gigabytes / 8) * a_vcpu  # the largest have 8 GB per vCPU
