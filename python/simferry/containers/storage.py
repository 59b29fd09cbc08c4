"""Copies inputs and outputs of jobs in containers here: from and to folders of this machine, or S3."""

import contextlib
import errno
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from ..system import untrusted
from ..system.untrusted import File, Sent, Tree, Unfit


class Storage(Protocol):
    """Copies a job's inputs and outputs."""

    def fetch(self, source: dict[str, Any], folder: Path, host: int, hosts: int) -> None:
        """Copy the files of an S3Input into a folder; of sharded data only the share of host number `host`."""

    def restore(self, tree: Tree, uri: str) -> None:
        """Copy what was sent to a URI into an empty tree of ours; nothing where nothing was."""

    def send(self, tree: Tree, uri: str) -> None:
        """Copy new and changed files of a tree to a URI. Files that can't be copied are left out."""


HERE = "s3://this-machine"  # the service's requests have addresses in S3 only


def local_uri(path: Path) -> str:
    """The address of a folder of this machine, in the request of a job that runs here."""
    return f"{HERE}{path.absolute()}"


def share(files: list[Any], source: dict[str, Any], host: int, hosts: int) -> list[Any]:
    """The files of an input for host number `host`: all, or every `hosts`-th one if they are sharded."""
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

    def restore(self, tree: Tree, uri: str) -> None:
        if Path(uri.removeprefix(HERE)).is_dir():
            self.fetch({"S3Uri": uri}, tree.path, 0, 1)
            tree.mark(self.sent)

    def send(self, tree: Tree, uri: str) -> None:
        target = Path(uri.removeprefix(HERE))
        target.mkdir(parents=True, exist_ok=True)
        tree.send(self.sent, lambda file, stream: untrusted.write(target, file.name, stream, file.size))


class TransferError(Exception):
    """Data could not be copied. The message becomes the job's FailureReason."""


class NothingThere(TransferError):
    """There is no object below a prefix."""


@dataclass(frozen=True)
class Item:
    """An object, and the name of its file below the input's folder."""

    bucket: str
    key: str
    name: str


class S3Storage:
    """Storage in S3, with the rules of SageMaker.

    s3: a boto3 client with the credentials of the job's role. encryption: the arguments of put_object for encryption.
    """

    def __init__(self, s3: Any, role: str, encryption: dict[str, str]) -> None:
        self.s3, self.role, self.encryption = s3, role, encryption
        self.sent: Sent = {}
        self.lost = False  # after this host was lost nothing more is sent

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
        """Every object whose key begins with the prefix; the prefix need not end at a slash."""
        bucket, prefix = split(uri)
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        if not keys:
            raise NothingThere(
                f'ClientError: Data download failed:No S3 objects found under S3 URL "{uri}" given in input data source. '
                f"Please ensure that the bucket exists in the selected region ({self.s3.meta.region_name}), that objects "
                f'exist under that S3 prefix, and that the role "{self.role}" has "s3:ListBucket" permissions on bucket '
                f'"{bucket}".'
            )
        return [Item(bucket, key, name_below(prefix, key)) for key in keys if not key.endswith("/")]

    def _manifest(self, uri: str) -> list[Item]:
        """The objects of a manifest: a JSON list of {"prefix": "s3://..."} and names below it."""
        bucket, key = split(uri)
        content = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        try:
            first, *names = json.loads(content)
            bucket, prefix = split(first["prefix"])
            return [Item(bucket, prefix + name, name) for name in names]
        except (ValueError, KeyError, TypeError):
            raise TransferError(f"ClientError: Data download failed:{uri} is not a valid manifest") from None

    def restore(self, tree: Tree, uri: str) -> None:
        with contextlib.suppress(NothingThere):
            self.fetch({"S3Uri": f"{uri.rstrip('/')}/", "S3DataType": "S3Prefix"}, tree.path, 0, 1)
            tree.mark(self.sent)

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
        answer = error.response["Error"]
        code = answer["Code"]
        reason = f"{error.operation_name} failed for {uri}: {answer.get('Message') or code} ({code})"
        raise TransferError(f"ClientError: {what}. {reason}") from None


def is_inside(name: str) -> bool:
    """Whether a file of this name lies inside of the folder; the names of a manifest are not trusted."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def as_key(name: str) -> str:
    """A file's name as an object's key. Bytes that are not UTF-8 become \\x and two digits."""
    return os.fsencode(name).decode(errors="backslashreplace")


def split(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of s3://bucket/key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def name_below(prefix: str, key: str) -> str:
    """The name of an object below the input's folder. If the prefix ends inside a name, that name is kept whole."""
    rest = key.removeprefix(prefix)
    if rest.startswith("/") or not prefix or prefix.endswith("/"):
        return rest.lstrip("/")
    return key.removeprefix(prefix.rpartition("/")[0]).lstrip("/")
