"""Where the inputs of jobs in containers here come from and their outputs go: folders of this machine, or S3."""

import contextlib
import errno
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from .. import untrusted
from ..untrusted import File, Sent, Tree, Unfit


class Storage(Protocol):
    """Where a job's inputs come from and its outputs go."""

    def fetch(self, source: dict[str, Any], folder: Path, host: int, hosts: int) -> None:
        """Bring what an S3Input of the request names into a folder; of sharded data only host number `host`'s share."""

    def send(self, tree: Tree, uri: str) -> None:
        """Bring the files of a tree that are new or have changed to a URI; what can't be brought is passed over."""


HERE = "s3://this-machine"  # the service knows no addresses but those of S3


def local_uri(path: Path) -> str:
    """A folder of this machine, as the request of a job that runs here names it."""
    return f"{HERE}{path.absolute()}"


def share(files: list[Any], source: dict[str, Any], host: int, hosts: int) -> list[Any]:
    """What host number `host` gets of an input's files: all of them, or every so many where they are sharded."""
    return files[host::hosts] if source.get("S3DataDistributionType") == "ShardedByS3Key" else files


class Files:
    """Storage in folders of this machine."""

    def __init__(self) -> None:
        self.sent: Sent = {}

    def fetch(self, source: dict[str, Any], folder: Path, host: int, hosts: int) -> None:
        path = Path(source["S3Uri"].removeprefix(HERE))
        if not path.exists():
            raise FileNotFoundError(2, "there is no such input", str(path))
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        base = path if path.is_dir() else path.parent
        for file in share(files, source, host, hosts):
            target = folder / file.relative_to(base)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)

    def send(self, tree: Tree, uri: str) -> None:
        target = Path(uri.removeprefix(HERE))
        target.mkdir(parents=True, exist_ok=True)
        tree.send(self.sent, lambda file, stream: untrusted.write(target, file.name, stream, file.size))


class TransferError(Exception):
    """Data could not be brought or taken; the words are those of the job's FailureReason."""


@dataclass(frozen=True)
class Item:
    """An object, and the file that it becomes below the input's folder."""

    bucket: str
    key: str
    name: str


class S3Storage:
    """Storage in S3, as SageMaker brings and takes files.

    s3: a boto3 client with the credentials of the job's role. encryption: what put_object is told of keys.
    """

    def __init__(self, s3: Any, role: str, encryption: dict[str, str]) -> None:
        self.s3, self.role, self.encryption = s3, role, encryption
        self.sent: Sent = {}
        self.lost = False  # the host is gone, and with it what it had not sent

    def fetch(self, source: dict[str, Any], folder: Path, host: int, hosts: int) -> None:
        uri = source["S3Uri"]
        with transferring("Data download failed:Failed to download data", uri):
            items = self._manifest(uri) if source["S3DataType"] == "ManifestFile" else self._under(uri)
            for item in share(items, source, host, hosts):
                if not is_inside(item.name):
                    raise TransferError(f"ClientError: Data download failed:{item.key!r} is no file's name")
                target = folder / item.name
                target.parent.mkdir(parents=True, exist_ok=True)
                body = self.s3.get_object(Bucket=item.bucket, Key=item.key)["Body"]
                with open(target, "wb") as file:
                    for piece in body.iter_chunks(2**20):
                        file.write(piece)

    def _under(self, uri: str) -> list[Item]:
        """Every object whose key begins with the prefix, as a string."""
        bucket, prefix = split(uri)
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        if not keys:
            raise TransferError(
                f'ClientError: Data download failed:No S3 objects found under S3 URL "{uri}" given in input data source. '
                f"Please ensure that the bucket exists in the selected region ({self.s3.meta.region_name}), that objects "
                f'exist under that S3 prefix, and that the role "{self.role}" has "s3:ListBucket" permissions on bucket '
                f'"{bucket}".'
            )
        return [Item(bucket, key, name_below(prefix, key)) for key in keys if not key.endswith("/")]

    def _manifest(self, uri: str) -> list[Item]:
        """A manifest is a JSON list: {"prefix": "s3://..."}, then names below it."""
        bucket, key = split(uri)
        content = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        try:
            first, *names = json.loads(content)
            bucket, prefix = split(first["prefix"])
            return [Item(bucket, prefix + name, name) for name in names]
        except (ValueError, KeyError, TypeError):
            raise TransferError(f"ClientError: Data download failed:{uri} is not a valid manifest") from None

    def send(self, tree: Tree, uri: str) -> None:
        from boto3.s3.transfer import TransferConfig

        bucket, prefix = split(uri)
        whole = TransferConfig(multipart_threshold=1 << 30, multipart_chunksize=1 << 28, use_threads=False)

        def put(file: File, stream: BinaryIO) -> None:
            if re.search(r"[\x00-\x1f\x7f]", file.name):
                raise Unfit(errno.EINVAL, "its name has a control character, with which lists of objects can't be read")
            if not self.lost:
                key = f"{prefix.rstrip('/')}/{as_key(file.name)}".lstrip("/")
                with file.copy(stream) as content:
                    self.s3.upload_fileobj(content, bucket, key, self.encryption, Config=whole)

        with transferring("Failed to upload output data", uri):
            tree.send(self.sent, put)


@contextlib.contextmanager
def transferring(what: str, uri: str) -> Any:
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        said = error.response["Error"]
        reason = f"{error.operation_name} failed for {uri}: {said.get('Message') or said['Code']} ({said['Code']})"
        raise TransferError(f"ClientError: {what}. {reason}") from None


def is_inside(name: str) -> bool:
    """Whether a name below a folder names a file that lies in it: a manifest's names are anybody's."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def as_key(name: str) -> str:
    """A file's name as an object's key: bytes that are no UTF-8 become \\x and their digits."""
    return os.fsencode(name).decode(errors="backslashreplace")


def split(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of s3://bucket/key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def name_below(prefix: str, key: str) -> str:
    """Where an object that was found by a prefix lies below the input's folder: a prefix that is no folder is cut at its own."""
    rest = key.removeprefix(prefix)
    if rest.startswith("/") or not prefix or prefix.endswith("/"):
        return rest.lstrip("/")
    return key.removeprefix(prefix.rpartition("/")[0]).lstrip("/")
