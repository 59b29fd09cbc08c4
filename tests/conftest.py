"""The fixtures that every test finds by name; the modules beside this one hold them, and are imported by their names."""

import signal
from pathlib import Path

import pytest
from aws_fixtures import account, moto_server  # noqa: F401
from batch_sweeps import deployed, on_batch  # noqa: F401
from docker_fixtures import (  # noqa: F401
    engine,
    image_mpi,
    image_octave,
    image_python,
    image_r,
    image_serve,
    image_sklearn,
    registry,
    scrap,
)
from emulator_fixtures import emulate, emulator, gate, jobs, limited, machine, place, s3  # noqa: F401
from hand_made import hand_made  # noqa: F401
from hosting_accounts import hosting  # noqa: F401
from r_fixtures import in_r, library  # noqa: F401
from sagemaker_fixtures import r_script, sent, session  # noqa: F401

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # begun in a shell's background; what tests start would ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


# ---- several processes at once: pytest -n 2 ----

# files whose tests share Docker's images: they run in one process
DOCKER = (
    "tests/backends/batch/",
    "tests/backends/test_batch.py",
    "tests/backends/test_batch_images.py",
    "tests/backends/test_in_image.py",
    "tests/aws/contracts/test_batch.py",
    "tests/aws/test_policies.py",
    "tests/backends/processing/",
    "tests/backends/test_docker.py",
    "tests/backends/test_images.py",
    "tests/backends/test_mpi.py",
    "tests/backends/test_processing.py",
    "tests/backends/test_training.py",
    "tests/cli/test_batch.py",
    "tests/cli/test_emulator.py",
    "tests/cli/test_image.py",
    "tests/cli/test_serve.py",
    "tests/cloud/",
    "tests/containers/",
    "tests/emulator/test_batch_tasks.py",
    "tests/emulator/test_endpoints.py",
    "tests/emulator/test_faults.py",
    "tests/emulator/test_images.py",
    "tests/emulator/test_jobs.py",
    "tests/emulator/test_registry.py",
    "tests/emulator/test_transform_job.py",
    "tests/emulator/services/test_training.py",
    "tests/hosting/test_trees.py",
    "tests/images/",
    "tests/r_package/test_batch.py",
    "tests/infra/test_user_data.py",
    "tests/r_package/test_docker.py",
    "tests/r_package/test_sagemaker.py",
    "tests/sagemaker/test_endpoints_here.py",
    "tests/sagemaker/test_framework.py",
    "tests/sagemaker/test_local.py",
    "tests/sagemaker/test_processor.py",
    "tests/sagemaker/test_published_training.py",
    "tests/sagemaker/test_training.py",
    "tests/sweep/test_inputs.py",
    "tests/test_setup.py",
    "tests/toolkit/test_mpi.py",
    "tests/verbs/test_cloud_plan.py",
    "tests/verbs/test_image_check.py",
    "tests/verbs/test_serve.py",
)


if gone := [name for name in DOCKER if not Path(__file__).parents[1].joinpath(name).exists()]:
    raise pytest.UsageError(f"DOCKER, in tests/conftest.py, names files that are not there: {', '.join(gone)}")


def group_of(test: str) -> str:
    """What runs in one process with a test: the tests of its file, or all those of Docker."""
    return "docker" if test.startswith(DOCKER) else test.partition("::")[0]


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, whose groups by marks do nothing with pytest 9.2
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False  # begin with the first test
    return Groups(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # the two that take longest begin first: Docker's, and R's check of the package
        first = ["docker", "tests/r_package/test_check.py"]
        items.sort(key=lambda item: first.index(group) if (group := group_of(item.nodeid)) in first else len(first))
    for item in items:
        if "engine" in getattr(item, "fixturenames", ()) and group_of(item.nodeid) != "docker":
            raise pytest.UsageError(f"{item.nodeid} uses Docker: name its file in DOCKER, in tests/conftest.py")
