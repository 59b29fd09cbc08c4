"""Instance types: their cores, their memory, and names that are mistyped."""

import pytest
from simferry.aws.instances import hosting_instances, instance, instances
from simferry.errors import UsageError


def test_what_is_known_of_instance_types_is_in_the_services_list():
    from botocore.loaders import Loader

    model = Loader().load_service_model("sagemaker", "service-2")
    there = set(model["shapes"]["ProcessingInstanceType"]["enum"])
    assert sorted(set(instances()) - there) == []
    # of those for general use, every one is known
    assert sorted(n for n in there - set(instances()) if n.startswith(("ml.t", "ml.m", "ml.c", "ml.r"))) == []


def test_endpoints_have_types_of_their_own():
    from botocore.loaders import Loader

    model = Loader().load_service_model("sagemaker", "service-2")
    own = set(hosting_instances()) - set(instances())
    assert own <= set(model["shapes"]["ProductionVariantInstanceType"]["enum"])
    assert (instance("ml.t2.medium", hosting=True).cores, instance("ml.t2.medium", hosting=True).memory_gib) == (2, 4)
    with pytest.raises(UsageError, match="there is no instance type"):
        instance("ml.t2.medium")


@pytest.mark.parametrize(
    "name, cores, memory_gib",
    [
        ("ml.t3.medium", 2, 4),
        ("ml.m5.xlarge", 4, 16),
        ("ml.m5.24xlarge", 96, 384),
        ("ml.c5.9xlarge", 36, 72),
        ("ml.c5.18xlarge", 72, 144),
        ("ml.r5.large", 2, 16),
        ("ml.c4.xlarge", 4, 7.5),
        ("ml.c4.8xlarge", 36, 60),
        ("ml.m4.10xlarge", 40, 160),
        ("ml.r7i.48xlarge", 192, 1536),
        ("ml.m8i.96xlarge", 384, 1536),
        ("ml.g5.48xlarge", 192, 768),
    ],
)
def test_cores_and_memory(name, cores, memory_gib):
    assert (instance(name).cores, instance(name).memory_gib) == (cores, memory_gib)


@pytest.mark.parametrize(
    "name, hint",
    [
        ("m5.xlarge", "Did you mean ml.m5.xlarge?"),
        ("ml.m5.8xlarge", "Did you mean ml.m5."),
        ("ml.m5x.large", "Did you mean ml.m5.large"),
        ("huge", "Known: "),
    ],
)
def test_a_mistyped_instance_type(name, hint):
    with pytest.raises(UsageError) as caught:
        instance(name)
    assert hint in caught.value.hint
