"""Which images in ECR are in use: by jobs that run now, and by runs that are kept."""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ..aws import session
from ..aws.buckets import default_name
from ..aws.contracts.batch import GOING_ON, containers_of
from ..aws.endpoints import images as images_of_endpoints
from ..aws.running import running_jobs
from ..aws.session import AwsError, asking, client
from ..errors import RunNotFound, StoreError
from ..hints import Command
from ..images.ecr import ECR, InRepository, named_in_ecr
from ..store.folder_store import DEFAULT_STORE, Store
from ..store.places import store_at
from .contents import runs_in
from .inventory import JOB

AT_ONCE = 16  # runs whose records are read at the same time
_FOLDER = "simferry/"  # of runs in SageMaker's default bucket
Reference = tuple[str, str]  # a repository of this region, and a tag or a digest in it


@dataclass
class Uses:
    """jobs, runs: images that they use, as references. looked_at: the number of runs by store."""

    jobs: set[Reference] = field(default_factory=set)
    runs: set[Reference] = field(default_factory=set)
    looked_at: dict[str, int] = field(default_factory=dict)


def uses(buckets: Iterable[str], stores: Sequence[str]) -> Uses:
    """The images of all that runs and of all runs in these buckets, in SageMaker's default one, in these stores and those of this machine.

    Raises an error if any of that can't be read: an image that seems unused could be in use.
    """
    running = (*_of_sagemaker_jobs(), *_of_batch_jobs(), *images_of_endpoints())
    found = Uses(jobs={ref for image in running if (ref := reference(image))})
    default = default_name(session.region(), session.account())
    homes: dict[str, list[str]] = {}
    for bucket in dict.fromkeys([*buckets, default]):
        try:
            for store, run in runs_in(bucket, _FOLDER if bucket == default else ""):
                homes.setdefault(store, []).append(run)
        except AwsError as error:
            if error.service_code != "NoSuchBucket":
                raise
    for address, ids in homes.items():
        _read(store_at(address), ids, found)
    known = [store_at(), Store(DEFAULT_STORE), *map(store_at, stores)]
    for home in {one.address: one for one in known if one.address not in homes}.values():
        _read(home, home.ids(), found)
    return found


def reference(image: str) -> Reference | None:
    """Repository and tag, or digest, of an image's address; None if it is not in the ECR of this account and region."""
    host, _, rest = image.partition("/")
    ecr = ECR.fullmatch(host)
    if not ecr or (ecr[1], ecr[2]) != (session.account(), session.region()):
        return None
    repository, which = named_in_ecr(rest)
    return repository, next(iter(which.values()))


def in_use(image: InRepository, references: set[Reference]) -> bool:
    return any((image.repository, one) in references for one in (image.digest, *image.tags))


def _of_batch_jobs() -> Iterator[str]:
    """The images of jobs in AWS Batch's queues that have not ended, whoever submitted them."""
    batch, definitions = client("batch"), set()
    with asking("AWS Batch"):
        queues = [one for page in batch.get_paginator("describe_job_queues").paginate() for one in page["jobQueues"]]
        for queue in queues:
            for status in GOING_ON:
                for page in batch.get_paginator("list_jobs").paginate(jobQueue=queue["jobQueueArn"], jobStatus=status):
                    definitions |= {one["jobDefinition"] for one in page["jobSummaryList"]}
        ordered = sorted(definitions)
        for first in range(0, len(ordered), 100):
            some = batch.describe_job_definitions(jobDefinitions=ordered[first : first + 100])["jobDefinitions"]
            yield from (container["image"] for one in some for container in containers_of(one) if "image" in container)


def _of_sagemaker_jobs() -> Iterator[str]:
    """The images of SageMaker's jobs that run, whoever started them. Jobs of one plan have one image: the first one is asked for."""
    seen = set()
    for name, describe in running_jobs():
        plan = re.sub(r"-\d+$", "", name) if JOB.search(name) else name
        if plan not in seen:
            seen.add(plan)
            yield describe()["image"]


def _read(home: Store, ids: Sequence[str], found: Uses) -> None:
    """Add the images of the runs of a store."""

    def of_run(run_id: str) -> set[str] | None:
        try:
            run = home.folder(run_id)
            places = [run.record.options.backend_options, *(plan.backend_options for plan in run.plans())]
        except RunNotFound:  # what a deletion has left
            return None
        except StoreError as error:
            raise StoreError(
                f"nothing is deleted: it is not known which image run {run_id} uses: {error.message}",
                Command("delete", f"{home.address}/{run_id}") + "  deletes it.",
            ) from None
        return {str(place[one]) for place in places for one in ("image", "carrier_image") if place.get(one)}

    with ThreadPoolExecutor(AT_ONCE) as threads:
        images = [one for one in threads.map(of_run, ids) if one is not None]
    found.runs |= {ref for some in images for image in some if (ref := reference(image))}
    if images:
        found.looked_at[home.address] = len(images)
