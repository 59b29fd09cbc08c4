"""Which image a job gets: what is recorded is what was asked of ECR, by its digest, whatever is pushed later."""

import json

import boto3
import pytest
from simferry.aws.session import client
from simferry.emulator.images import ImageNotFound, local_image
from simferry.errors import UsageError
from simferry.images.ecr import ecr_host
from simferry.images.find import Image, find_or_push
from simferry.images.registry import _MANIFEST, RegistryError, push, tag_of

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


@pytest.fixture
def ecr(emulator):
    return boto3.client("ecr")


@pytest.fixture
def image(scrap):
    """The id of an image that is here."""
    return scrap.client.images.get(scrap.build("FROM scratch\nCOPY one /one\n", one="1")).id


def put(ecr, repository: str, tag: str, of: str) -> str:
    """An image that another machine has pushed; its digest."""
    manifest = {"mediaType": _MANIFEST, "config": {"digest": of}}
    name = {"repositoryName": repository, "imageTag": tag}
    return ecr.put_image(**name, imageManifest=json.dumps(manifest))["image"]["imageId"]["imageDigest"]


def another_of_the_recipe(scrap) -> str:
    """What a later build of the same recipe may be: another image, with the same tag in ECR."""
    container = scrap.client.containers.create(scrap.name, ["none"])
    made = container.commit(scrap.name, "latest", changes=["ENV BUILT=later"])
    container.remove()
    return made.id


def test_an_image_that_is_here_is_pushed_once_and_known_by_its_digest(emulator, scrap, image):
    found = find_or_push(scrap.name)
    digest = push(scrap.name, HOST).digest
    assert found == Image(f"{HOST}/{scrap.name}@{digest}", image, scrap.name)
    emulator.requests.clear()
    assert find_or_push(scrap.name) == found
    assert emulator.requests == {("ecr", "DescribeImages"): 1}
    assert local_image(found.uri, lambda region: boto3.client("ecr", region), emulator._machine) == image


def test_another_image_of_the_tag_is_not_taken_for_the_one_that_is_here(ecr, scrap, image):
    find_or_push(scrap.name)
    assert another_of_the_recipe(scrap) != image
    with pytest.raises(RegistryError, match=r"another image of this tag(.|\n)*give its address there"):
        find_or_push(scrap.name)


def test_where_tags_are_mutable_the_tag_goes_to_the_image_that_is_here(emulator, ecr, scrap, image):
    ecr.create_repository(repositoryName=scrap.name, imageTagMutability="MUTABLE")
    first = find_or_push(scrap.name)
    later = another_of_the_recipe(scrap)
    second = find_or_push(scrap.name)
    assert second.digest == later and first.uri != second.uri
    assert find_or_push(second.uri).uri == second.uri
    assert local_image(second.uri, lambda region: boto3.client("ecr", region), emulator._machine) == later


def test_only_batch_pulls_from_other_registries(emulator):
    name = "localhost:1/lab/python:3"  # a registry that does not answer
    with pytest.raises(ImageNotFound, match=f"there is no image {name} here"):
        local_image(name, None, emulator._machine)
    with pytest.raises(ImageNotFound, match=f"{name} is not here and can't be pulled"):
        local_image(name, None, emulator._machine, pull=True)


def test_an_image_that_came_from_ecr_is_the_one_that_is_there(emulator, ecr, registry, scrap, image):
    """Docker keeps by which digests registries know an image. A real registry has to tell it: the emulator has no layers."""
    digest = push(scrap.name, registry().host).digest
    ecr.create_repository(repositoryName=scrap.name)
    manifest = json.dumps({"mediaType": _MANIFEST})
    name = {"repositoryName": scrap.name, "imageTag": tag_of(scrap.client.images.get(scrap.name))}
    ecr.put_image(**name, imageManifest=manifest, imageDigest=digest)
    emulator.requests.clear()
    assert find_or_push(scrap.name) == Image(f"{HOST}/{scrap.name}@{digest}", image, scrap.name)
    assert emulator.requests["ecr", "PutImage"] == 0


def test_an_address_with_a_tag_means_what_it_means_now(ecr):
    ecr.create_repository(repositoryName="lab/power")
    digest = put(ecr, "lab/power", "latest", "sha256:1")
    assert put(ecr, "lab/power", "1", "sha256:1") == digest  # moto drops an image whose last tag is taken; ECR keeps it
    found = find_or_push(f"{HOST}/lab/power")
    assert found == find_or_push(f"{HOST}/lab/power:latest") == Image(f"{HOST}/lab/power@{digest}", digest)
    assert put(ecr, "lab/power", "latest", "sha256:2") != digest
    assert find_or_push(found.uri) == find_or_push(f"{HOST}/lab/power:latest@{digest}") == found
    assert find_or_push(f"{HOST}/lab/power").uri != found.uri
    with pytest.raises(UsageError, match=f"there is no image {HOST}/lab/power:2 in ECR"):
        find_or_push(f"{HOST}/lab/power:2")


def test_an_image_that_is_not_here_is_that_of_its_name_and_tag(ecr):
    ecr.create_repository(repositoryName="simferry-elsewhere")
    first, second = (put(ecr, "simferry-elsewhere", tag, f"sha256:{tag}") for tag in "12")
    asked = []
    client("ecr").meta.events.register(
        "before-call.ecr.DescribeImages", lambda params, **_: asked.append(json.loads(params["body"]))
    )
    assert find_or_push("simferry-elsewhere:1").uri == f"{HOST}/simferry-elsewhere@{first}"
    assert find_or_push(f"simferry-elsewhere@{first}").digest == first
    assert find_or_push("simferry-elsewhere").digest in (first, second)
    assert asked[-1]["filter"] == {"tagStatus": "TAGGED"}  # which moto does not know
    ecr.create_repository(repositoryName="lab-images")  # of a stack: it takes all images
    stacks = [put(ecr, "lab-images", tag, f"sha256:{tag}") for tag in ("simferry-elsewhere-1", "simferry-elsewhere2-1")]
    into = f"{HOST}/lab-images"
    for name in ("simferry-elsewhere", "simferry-elsewhere:1"):
        assert find_or_push(name, into=into).uri == f"{into}@{stacks[0]}"
    for name in ("simferry-elsewhere:3", "simferry-nowhere", "simferry-nowhere:1", "No Name"):
        with pytest.raises(UsageError, match=f"there is no image {name} in this account's ECR"):
            find_or_push(name)


@pytest.mark.parametrize(
    ("region", "host"),
    [("eu-west-1", "1.dkr.ecr.eu-west-1.amazonaws.com"), ("cn-north-1", "1.dkr.ecr.cn-north-1.amazonaws.com.cn")],
)
def test_where_an_accounts_ecr_is(region, host):
    assert ecr_host("1", region) == host


def test_an_image_of_another_region_is_not_looked_for(emulator):
    """SageMaker refuses it."""
    name = ecr_host("123456789012", "us-west-2")
    with pytest.raises(
        UsageError, match=r"lab:1 is in us-west-2, and jobs run in the configured region, us-east-1"
    ) as caught:
        find_or_push(f"{name}/lab:1")
    assert 'us-east-1.amazonaws.com")  brings it there; or ' in caught.value.hint


def test_an_image_for_another_machine_is_not_said_to_be_missing(emulator, scrap):
    with pytest.raises(
        UsageError, match=r"there is no image .* in this account's ECR, and image .* is for arm64, and this machine is"
    ):
        find_or_push(scrap.image_for("arm64"))
