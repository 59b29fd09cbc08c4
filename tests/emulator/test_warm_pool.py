"""How long instances are kept, and for which jobs."""

import time

from simferry.emulator.warm_pool import WarmPool, needed


def test_a_pool_ends_with_its_time_or_where_its_job_failed():
    pool, of_failed = WarmPool(60), WarmPool(60)
    assert pool.describe() == {"Status": "InUse"}
    pool.begin(time.time() - 59, kept=True)
    assert pool.status == "Available"
    pool.keep(30)
    assert pool.describe() == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 30}
    of_failed.begin(time.time(), kept=False)
    assert of_failed.describe() == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 0}


def test_jobs_that_fit_have_the_same_instances_role_and_network():
    def request(count=1, **more):
        return {"RoleArn": "role", "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": count}, **more}

    assert needed(request()) == needed(request(EnableNetworkIsolation=False, HyperParameters={"n": "1"}))
    for other in (request(2), request(RoleArn="other"), request(EnableNetworkIsolation=True)):
        assert needed(request()) != needed(other)
