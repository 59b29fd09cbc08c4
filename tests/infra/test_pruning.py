"""simferry.infra.prune_images: what goes, and what stays."""

import boto3
import pytest
from account_fixtures import put_image, put_run
from simferry import infra
from simferry.errors import UsageError
from simferry.infra import pruning
from simferry.infra.images_in_use import Uses

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
OURS = [{"Key": "made-by", "Value": "simferry"}]


@pytest.fixture
def ecr(emulator, machine, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)
    return boto3.client("ecr")


@pytest.fixture
def told():
    return []


@pytest.fixture
def prune(told):
    return lambda **options: infra.prune_images(**{"yes": True, "tell": told.append, **options})


def tags(ecr, repository):
    images = ecr.describe_images(repositoryName=repository)["imageDetails"]
    return sorted(tag for one in images for tag in one.get("imageTags", ["-"]))


def test_images_of_kept_runs_and_the_newest_stay(emulator, ecr, prune, told):
    outputs = infra.deploy(yes=True, tell=lambda line: None).outputs
    repository = outputs["Repository"].partition("/")[2]
    digests = {tag: put_image(ecr, repository, tag) for tag in ("r-1", "r-2", "r-3", "py-1")}
    from moto.ecr.models import ecr_backends

    for day, image in enumerate(ecr_backends["123456789012"]["us-east-1"].repositories[repository].images):
        image.image_pushed_at = 1_790_000_000 + 86400 * day  # r-3 is the newest of r
    put_run(
        boto3.client("s3"),
        outputs["Bucket"],
        "simferry/power-20261128-0123abcd",
        f"{HOST}/{repository}@{digests['r-1']}",
    )
    assert prune(yes=False, confirm=lambda question: question == "Delete 2 images?") is None
    assert told[-1] == "nothing is deleted" and f"  - {repository}:r-2  0.000 GB, pushed 2026-09-22" in told
    assert f"  = 1 image of {repository}: in use by runs that are kept" in told
    assert prune(older_than=10_000).images == [] and told[-1] == "there is no image to delete"
    assert [one.tags for one in prune().images] == [("r-2",)] and tags(ecr, repository) == ["py-1", "r-1", "r-3"]
    assert prune().images == []
    assert [one.tags for one in prune(used=True).images] == [("r-1",)]
    assert len(prune(keep=0).images) == 2 and infra.show().images == []  # the stack's repository stays


def test_an_image_of_a_running_job_stays_whatever_is_said(ecr, prune, told, monkeypatch):
    ecr.create_repository(repositoryName="img", tags=OURS)
    put_image(ecr, "img", "1")
    monkeypatch.setattr(pruning, "uses", lambda buckets, stores: Uses(jobs={("img", "1")}))
    assert prune(keep=0, used=True).images == [] and "  = 1 image of img: in use by jobs" in told
    assert tags(ecr, "img") == ["1"]


def test_parts_of_an_image_for_several_architectures_go_with_it(ecr, prune):
    ecr.create_repository(repositoryName="img", tags=OURS)
    shared = {"digest": put_image(ecr, "img", None, architecture="of both")}
    for tag in ("1", "2"):
        part = put_image(ecr, "img", None, architecture=tag)
        put_image(ecr, "img", tag, manifests=[{"digest": part}, shared])
    from moto.ecr.models import ecr_backends

    for number, image in enumerate(ecr_backends["123456789012"]["us-east-1"].repositories["img"].images):
        image.image_pushed_at += (number + 1) // 2 - 9  # not in the future
    done = prune()
    assert [one.tags for one in done.images] == [("1",), ()] and tags(ecr, "img") == ["-", "-", "2"]
    assert prune().images == []  # the part of what stays is no image without a use


def test_a_repository_of_no_stack_goes_with_its_last_image(ecr, prune, told):
    infra.deploy("other", yes=True, tell=lambda line: None)
    for name, owner in (("img", "deleted"), ("other", "other")):
        ecr.create_repository(repositoryName=name, tags=[*OURS, {"Key": "simferry:stack", "Value": owner}])
        put_image(ecr, name, "1")
    ecr.create_repository(repositoryName="warehouse")
    assert prune().images == []
    done = prune(keep=0)
    assert done.repositories == ["img"] and "  - repository img, which no stack has" in told
    left = {one["repositoryName"] for one in ecr.describe_repositories()["repositories"]}
    assert left >= {"other", "warehouse"} and "img" not in left
    assert prune().images == [] and told[-1] == "simferry has made no repository here"
    assert len(prune(repository="other", keep=0).images) == 1
    assert ecr.describe_repositories(repositoryNames=["other"])["repositories"]  # it is the stack's
    with pytest.raises(UsageError, match=r"has made no repository warehouse in us-east-1\n.*batch-delete-image"):
        prune(repository="warehouse")


def test_an_image_that_ecr_keeps_is_told(ecr, prune, told, monkeypatch):
    ecr.create_repository(repositoryName="img", tags=OURS)
    digest = put_image(ecr, "img", "1")

    class Refuses:
        def __getattr__(self, name):
            return getattr(ecr, name)

        def batch_delete_image(self, **asked):
            why = {"failureCode": "ImageReferencedByManifestList", "failureReason": "it is referenced"}
            return {"failures": [{"imageId": {"imageDigest": digest}, **why}]}

    monkeypatch.setattr(pruning, "client", lambda service: Refuses())
    done = prune(keep=0)
    assert done.images == done.repositories == [] and "  img:1 stays: it is referenced" in told


@pytest.mark.parametrize(
    ("wrong", "said"), [({"keep": -1}, "keep is -1"), ({"older_than": float("nan")}, "older_than is nan")]
)
def test_wrong_numbers(wrong, said):
    with pytest.raises(UsageError, match=said):
        infra.prune_images(**wrong)
