"""What a container gets of this machine."""

import os

from simferry.aws.instances import Instance
from simferry.containers.limits import GIB, cores_of, limits


def test_a_container_has_the_memory_of_its_instance_type_and_no_swap():
    assert limits(Instance("ml.small", 1, 3.5)) == {
        "nano_cpus": 10**9, "mem_limit": int(3.5 * GIB), "memswap_limit": int(3.5 * GIB)
    }  # fmt: skip


def test_it_has_no_more_cores_than_this_machine():
    large = Instance("ml.large", 1000, 8)
    assert cores_of(large, 4) == 4 and cores_of(large, 2000) == 1000
    assert limits(large)["nano_cpus"] == (os.cpu_count() or 1) * 10**9
