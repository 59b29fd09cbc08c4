"""What an endpoint or a transform job is made of: an image in ECR, a model in S3, the role, and a folder in a bucket."""

import contextlib
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..aws import session, stacks
from ..aws.buckets import default_bucket
from ..aws.endpoints import TAG
from ..aws.tags import MADE_BY
from ..errors import UsageError
from ..hints import Command, Option, Shell, Variable
from ..images.ecr import ECR
from ..images.find import find_or_push, on_this_machine
from ..images.framework import explained, own_image
from ..store.folder_store import HOSTING
from ..store.objects import Objects
from ..system.files import is_address

_LOOKED_AT = 65536  # bytes of an archive's beginning


@dataclass(frozen=True)
class Home:
    """Where things are made. role: an ARN. folder: an address for what is uploaded. repository: for images, or empty. tags: of all."""

    role: str
    folder: str
    repository: str
    tags: list[dict[str, str]]


def home(owner: str, role: str | None, stack: str | None) -> Home:
    """The place for an endpoint or a transform job. role, stack: as users give them. Raises UsageError without a role."""
    outputs, store = stacks.outputs(stack), os.environ.get("SIMFERRY_STORE", "")
    if not store.startswith("s3://") or stack:
        store = outputs.get("Store") or f"s3://{default_bucket()}/simferry"
    own = outputs.get("JobRole")
    inside = stack or f"{store}/".startswith(f"s3://{outputs.get('Bucket')}/")
    wanted = role or (own if inside else None) or os.environ.get("SIMFERRY_ROLE") or own
    if not wanted:
        raise UsageError(
            "an endpoint needs the IAM role with which it reads its model and writes its log",
            Command("infra deploy") + "  makes one; or " + Option("role", "arn:aws:iam::123456789012:role/simferry")
            + ", or " + Variable("SIMFERRY_ROLE", "simferry"),
        )  # fmt: skip
    arn = session.role_arn(wanted)
    named = {stacks.TAG: stack or stacks.default_name()} if arn == own else {}
    tags = [{"Key": key, "Value": value} for key, value in {**MADE_BY, TAG: owner, **named}.items()]
    return Home(arn, f"{store.rstrip('/')}/{HOSTING}/{owner}", outputs.get("Repository", ""), tags)


# ---- the image ----


def check_image(name: str, repository: str) -> None:
    """Raise an error if there is no such image, here or in ECR. It is not pushed yet."""
    image = own_image(name)
    with explained(image):
        if not on_this_machine(image):
            find_or_push(image, into=_into(image, repository))


def image_in_ecr(name: str, repository: str, tell: Callable[[str], None]) -> str:
    """The address of an image in ECR, with its digest; one of this machine is pushed."""
    image = own_image(name)
    with explained(image):
        return find_or_push(image, tell, _into(image, repository)).uri


def _into(image: str, repository: str) -> str:
    return "" if ECR.fullmatch(image.partition("/")[0]) else repository


# ---- the model ----


def check_model(model: str | Path) -> None:
    """Raise UsageError for a model that is not there, or no tar.gz, here or in S3."""
    if not is_address(model):
        path = Path(model)
        if path.is_dir():
            raise UsageError(f"{path} is a folder; a model is a tar.gz", _packs(path))
        try:
            with open(path, "rb") as file:
                head = file.read(_LOOKED_AT)
        except OSError as error:
            raise UsageError(f"model {path} can't be read: {error.strerror or error}") from None
        if not _is_archive(head):
            raise UsageError(f"model {path} is no tar.gz", _packs(path.with_name("FOLDER")))
        return
    address = str(model)
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if not address.startswith("s3://") or not bucket or not key or key.endswith("/"):
        raise UsageError(f"{address} is no model", "A model is a file model.tar.gz, or s3://BUCKET/…/model.tar.gz")
    if not _is_archive(_head_in_s3(bucket, key, address)):
        raise UsageError(f"model {address} is no tar.gz", _packs(Path("FOLDER")))


def _packs(folder: Path) -> Any:
    return Shell("tar", "czf", "model.tar.gz", "-C", str(folder), ".") + "  packs a folder."


def _head_in_s3(bucket: str, key: str, address: str) -> bytes:
    from botocore.exceptions import ClientError

    with session.asking(f"model {address}"):
        try:
            found = session.client("s3").get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{_LOOKED_AT - 1}")
            return bytes(found["Body"].read())
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("NoSuchKey", "NoSuchBucket", "404"):
                raise UsageError(f"there is no model {address}") from None
            if code == "InvalidRange":  # it is empty
                return b""
            raise


def _is_archive(head: bytes) -> bool:
    """Whether these bytes begin a tar.gz."""
    with contextlib.suppress(zlib.error, tarfile.TarError, EOFError):
        plain = zlib.decompressobj(31).decompress(head, _LOOKED_AT)  # 31: with gzip's header
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:"):
            return True
    return False


def model_in_s3(model: str | Path | None, folder: str) -> str | None:
    """The address of a model; one of this machine is uploaded, once."""
    if model is None or is_address(model):
        return None if model is None else str(model)
    path, digest = Path(model), hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    objects, name = Objects(f"{folder}/{digest.hexdigest()[:16]}"), "model.tar.gz"
    if [size for _, size, _ in objects.versions(name)] != [path.stat().st_size]:
        objects.put(name, path)
    return f"{objects.address}/{name}"


def remove_below(folder: str) -> None:
    """Delete all objects below an address of ours. Nothing is there in the end, also if the bucket is gone. Raises StoreError."""
    objects = Objects(folder)
    try:
        objects.delete([name for name, _ in objects.listing()])
    except session.AwsError as error:
        if error.service_code != "NoSuchBucket":
            raise
