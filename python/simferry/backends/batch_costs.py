"""What jobs of AWS Batch cost, at the most. Batch itself costs nothing: its machines do."""

import math
from collections.abc import Iterator, Sequence

from ..aws import session
from ..aws.contracts import batch as contract
from ..aws.instances import Instance, instance
from ..aws.prices import REGION, START_UP_SECONDS, prices
from ..errors import UsageError
from ..hints import Command
from ..sweep.options import BatchOptions
from ..words import counted, duration
from .base import Machine
from .batch_requests import ATTEMPTS, carrier_vcpus, carriers, mebibytes, on_fargate, vcpus
from .request import several

# Families of machines that Batch chooses from by itself. The dearest per vCPU counts; Spot is never dearer than on demand.
_CHOICES = dict.fromkeys(("default_x86_64", "optimal"), ("m6i", "c6i", "r6i", "c7i"))
_SAGEMAKER = 1.2  # times the price of EC2
_FARGATE = (0.04048, 0.004445)  # dollars an hour per vCPU and per GB: us-east-1, November 2026
# seconds until a job computes: a machine, or a container, and its image
_STARTS, _STARTS_ON_FARGATE = START_UP_SECONDS, 90.0


def dollars_an_hour(options: BatchOptions, region: str | None = None) -> float:
    """US dollars an hour of one job, at the dearest type's price on demand. What machines cost before and after jobs is not counted.

    region: in place of the configured one.
    """
    if on_fargate(options):  # the carrier is within the job's size
        return of_fargate(vcpus(options), mebibytes(options), region)
    machines = several(options.machines)
    roomiest = max(one.memory_gib / one.cores for one in _machines(machines))
    mib = mebibytes(options) + carriers(options) * contract.CARRIER_MIB
    share = max(vcpus(options) + carrier_vcpus(options), mib / 1024 / roomiest)
    return of_vcpus(share, region, machines)


def of_fargate(cpus: float, mib: float, region: str | None = None) -> float:
    """US dollars an hour of a job on Fargate, on demand. region: in place of the configured one."""
    return (cpus * _FARGATE[0] + mib / 1024 * _FARGATE[1]) * _raised(region or session.region())


def of_vcpus(number: float, region: str | None = None, machines: Sequence[str] = ()) -> float:
    """US dollars an hour of so many vCPUs of machines, at the dearest type's price on demand. region: in place of the configured one.

    machines: types and families of a queue; none for those that Batch chooses. Raises UsageError if one of them has no price.
    """
    table = prices(region or session.region())
    return number * max(table.of(one.name) / one.cores for one in _machines(machines)) / _SAGEMAKER


def _machines(given: Sequence[str]) -> list[Instance]:
    """The types of SageMaker whose prices those of EC2 are found by: of a family one, since they cost the same per vCPU."""
    names = [name for one in given or ("default_x86_64",) for name in _CHOICES.get(one, (one,))]
    try:
        return [instance(f"ml.{name}" if "." in name else f"ml.{name}.xlarge") for name in names]
    except UsageError as error:
        raise UsageError(
            f"the cost of jobs on {', '.join(given)}, which the job queue's machines may be, is not known: {error.message}",
            Command("infra deploy", parameters={"InstanceTypes": "m7i,c7i,r7i"})
            + "  names types whose prices are known.",
        ) from None


def _raised(region: str) -> float:
    """How much dearer Fargate is than in us-east-1, at the most: as much as machines are there, and a tenth."""
    there, here = (prices(one).of("ml.m5.xlarge") for one in (region, REGION))
    return 1.0 if region == REGION else max(1.0, 1.1 * there / here)


def machine(options: BatchOptions, region: str, most_vcpus: float) -> Machine:
    """What jobs run on, for a forecast. most_vcpus: of the queue at once; infinite if that is not known."""
    size = vcpus(options) + (0 if on_fargate(options) else carrier_vcpus(options))
    at_once = max(1, int(min(contract.MOST_CHILDREN, most_vcpus / size)))
    start_up = _STARTS_ON_FARGATE if on_fargate(options) else _STARTS
    where = options.on or "spot"
    each = vcpus(options)
    return Machine(
        f"{where}, {each:g} vCPUs, {mebibytes(options) / 1024:g} GB",
        int(each) if each == int(each) else each, max(1, int(each)),
        dollars_an_hour(options, region), start_up, contract.MOST_CHILDREN, at_once, options.attempts or ATTEMPTS,
        [*_notes(options, region, start_up, at_once, most_vcpus)],
    )  # fmt: skip


def _notes(options: BatchOptions, region: str, start_up: float, at_once: int, most_vcpus: float) -> Iterator[str]:
    if on_fargate(options):
        raised = f", raised by {_raised(region) - 1:.0%} for {region}" if region != REGION else ""
        yield f"prices of {REGION}, November 2026{raised}: vCPUs and memory of Fargate on demand"
    else:
        yield f"{prices(region).note}: SageMaker's divided by {_SAGEMAKER}, for the dearest of the queue's types, on demand"
        if (options.on or "spot") == "spot":
            again = "with its checkpoints" if options.program else "after its last block"
            yield f"Spot is never dearer, and mostly far cheaper. A job whose machine AWS takes back starts again {again}"
    queue = (
        f"the queue runs {counted(at_once, 'job')} at once"
        if most_vcpus < math.inf
        else "the queue and your quotas let all jobs run at once"
    )
    yield f"assumed: a machine starts in {duration(start_up)}, which is counted; {queue}"
    yield "not counted: minutes that machines are kept after the last job, storage and transfer. Not checked: whether memory is enough"
