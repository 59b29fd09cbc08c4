"""How many vCPUs an account may use at once, by its quotas in a region. New accounts may have 0."""

from collections.abc import Iterable

from .session import AwsError, asking, client

# by the type of a compute environment of Batch: service, code, and the quota's name in the console of Service Quotas
QUOTAS = {
    "SPOT": ("ec2", "L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests"),
    "EC2": ("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"),
    "FARGATE": ("fargate", "L-3032A538", "Fargate On-Demand vCPU resource count"),
}
_STANDARD = tuple("acdhimrtz")  # what families of these quotas begin with
_OTHERS = ("dl", "hpc", "inf", "trn", "mac")  # which have quotas of their own
_CHOICES = ("default_x86_64", "optimal")  # Batch's own, all of standard families


def vcpus(kind: str, machines: Iterable[str]) -> float | None:
    """The quota of vCPUs of these machines. None where it is not known: other machines, no right to ask, or a region without the service.

    kind: such as SPOT. machines: types and families of EC2; none on Fargate.
    """
    if kind not in QUOTAS or not all(map(_is_standard, machines)):
        return None
    service, code, _ = QUOTAS[kind]
    try:
        with asking("the quota of vCPUs"):
            found = client("service-quotas", attempts=2).get_service_quota(ServiceCode=service, QuotaCode=code)
    except AwsError:  # the service itself keeps the quota
        return None
    return float(found["Quota"]["Value"])


def _is_standard(machine: str) -> bool:
    return machine in _CHOICES or (machine.startswith(_STANDARD) and not machine.startswith(_OTHERS))
