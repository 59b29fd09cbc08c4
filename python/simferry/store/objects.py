"""Objects in a bucket, with obstore: S3 with the usual AWS configuration, gs:// and az:// with that of obstore."""

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from ..errors import StoreError, UsageError, nearest
from ..hints import Extra, Shell
from ..system.files import writing

AT_ONCE = 64  # requests at the same time; S3 answers each in tens of milliseconds
IN_MEMORY = 2000  # objects that are fetched together
SCHEMES = ("s3", "gs", "az")
CREDENTIALS = {
    "gs": "Credentials come from  gcloud auth application-default login  or GOOGLE_APPLICATION_CREDENTIALS.",
    "az": "Credentials come from AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY.",
}
_used_in: int | None = None  # the process in which obstore's threads run
T = TypeVar("T")
Content = bytes | Path


class ObjectNotFound(StoreError):
    """There is no object with this name."""


class UnfitName(StoreError):
    """An object has a name that is not valid for a file."""


def check_address(address: str) -> None:
    """Raise UsageError if it is not an address of an object store, or if a service or tool could misread it."""
    scheme, _, rest = address.partition("://")
    bucket, _, name = rest.partition("/")
    if scheme not in SCHEMES:
        known = [f"{scheme}://" for scheme in SCHEMES]
        hint = nearest(f"{scheme}://", known) or f"Stores are folders, or {' '.join(known)}"
        raise UsageError(f"{address} is not a store", hint)
    if not bucket:
        raise UsageError(f"{address} has no bucket", f"Example: {scheme}://my-bucket/simferry")
    if found := re.search(r"[?#\\\x00-\x1f\x7f]", address):
        raise UsageError(f"{address!r} has a {found[0]!r}, which is not allowed in an address", "Choose another name.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bucket):
        raise UsageError(f"{address}: {bucket!r} is not a bucket name", f"Example: {scheme}://my-bucket/simferry")
    if {".", ".."} & set(name.split("/")):
        raise UsageError(
            f"{address} has a part '.' or '..', which is not allowed in an address", "Write it without them."
        )


class Objects:
    """The objects below an address such as s3://bucket/folder. Names are relative to it."""

    def __init__(self, address: str, kms_key: str | None = None, above: "Objects | None" = None) -> None:
        self._above = above
        self.address = address.rstrip("/")
        self.kms_key = kms_key or os.environ.get("SIMFERRY_KMS_KEY")
        self.scheme, _, rest = self.address.partition("://")
        self.bucket, _, self.prefix = rest.partition("/")
        if above is None:  # otherwise it has been checked
            check_address(address)
        if "//" in f"/{self.prefix}":
            raise UsageError(f"{address} has an empty part", f"Is {re.sub('(?<!:)/+', '/', self.address)} meant?")

    def below(self, name: str) -> "Objects":
        """The objects of a subfolder, with the same connections."""
        return Objects(f"{self.address}/{name}", self.kms_key, self)

    @classmethod
    def split(cls, address: str) -> tuple["Objects", str]:
        """The bucket of an address, and the rest of the address."""
        check_address(address)
        scheme, _, rest = address.partition("://")
        bucket, _, name = rest.partition("/")
        return cls(f"{scheme}://{bucket}"), name

    @cached_property
    def _store(self) -> Any:
        """obstore's store of the whole bucket."""
        if self._above:
            return self._above._store
        try:
            from obstore.store import S3Store, from_url
        except ImportError:
            raise UsageError(
                f"{self.address} is an object store, and the package obstore is not installed",
                Extra("sagemaker") + "  installs all that AWS needs.",
            ) from None
        if self.scheme != "s3":
            with self._explained():
                # without credentials obstore asks the machine's metadata service, which few machines have
                retries: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
                return from_url(f"{self.scheme}://{self.bucket}", retry_config=retries)
        from obstore.auth.boto3 import Boto3CredentialProvider

        from ..aws import session

        with session.asking(self.address):
            if session.session().get_credentials() is None:
                raise session.CredentialsError(f"there are no AWS credentials for {self.address}", session.LOGIN)
        with contextlib.suppress(
            session.AccessDenied
        ):  # a user who may not ask about the bucket may still read its objects
            self._check_bucket()  # now: obstore tries for minutes
        endpoint = session.client("s3").meta.endpoint_url
        encryption: Any = {"server_side_encryption": "aws:kms", "sse_kms_key_id": self.kms_key} if self.kms_key else {}
        return S3Store(
            self.bucket, region=session.region(), endpoint=endpoint,
            # boto3 renews credentials ten minutes before they expire
            credential_provider=Boto3CredentialProvider(session.session(), ttl=timedelta(minutes=5)),
            client_options={"allow_http": endpoint.startswith("http://"), "timeout": "120s"}, **encryption,
        )  # fmt: skip

    def _full(self, name: str) -> str:
        """An object's name in the bucket."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def _short(self, meta: Mapping[str, Any]) -> str:
        return str(meta["path"]).removeprefix(f"{self.prefix}/")

    # ---- one object ----

    def get(self, name: str) -> bytes:
        """Raises ObjectNotFound."""
        return next(self.get_many([name]))[1]

    def get_range(self, name: str, start: int, end: int) -> bytes:
        """The bytes from start to before end of an object. Raises ObjectNotFound."""
        with self._explained():
            return bytes(self._store.get_range(self._full(name), start=start, end=end))

    def put(self, name: str, data: Content) -> None:
        self.put_many([(name, data)])

    def create(self, name: str, data: bytes) -> bool:
        """Put an object unless there is one. Returns False if there is another."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._explained():
            try:
                self._store.put(self._full(name), data, mode="create")
            except (AlreadyExistsError, PreconditionError):
                # the object is ours if the answer was lost and the request was repeated
                return self.get(name) == data
        return True

    # ---- many ----

    def find_many(self, names: Iterable[str], at_most: int | None = None) -> Iterator[tuple[str, bytes]]:
        """Yields (name, bytes) of the objects that exist, in this order. at_most: bytes; larger objects count as empty."""

        def one(name: str) -> bytes | None:
            try:
                found = self._store.get(self._full(name))
                return b"" if at_most is not None and found.meta["size"] > at_most else bytes(found.bytes())
            except FileNotFoundError:
                return None

        names = list(names)
        for start in range(0, len(names), IN_MEMORY):
            some = names[start : start + IN_MEMORY]
            with self._explained():
                contents = _concurrently(one, some)
            yield from ((name, content) for name, content in zip(some, contents, strict=True) if content is not None)

    def get_many(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yields (name, bytes) of objects, in this order. Raises ObjectNotFound for the first that does not exist."""
        names = list(names)
        found = self.find_many(names)
        for name in names:
            got = next(found, None)
            if got is None or got[0] != name:
                raise ObjectNotFound(f"there is no {self.address}/{name}")
            yield got

    def put_many(self, contents: Iterable[tuple[str, Content]]) -> None:
        """Put objects, given as bytes or as paths of files."""
        with self._explained():
            _concurrently(lambda item: self._store.put(self._full(item[0]), item[1], max_concurrency=2), list(contents))

    def download(self, files: Iterable[tuple[str, Path]]) -> None:
        """Write objects of any size to files, each atomically. Objects that do not exist are skipped: S3's console lists its
        empty objects for folders without the slash at the end."""

        def one(item: tuple[str, Path]) -> None:
            name, path = item
            try:
                content = self._store.get(self._full(name))
            except FileNotFoundError:
                return
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                open_file = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
                with open(open_file, "wb") as file:
                    for part in content.stream(min_chunk_size=1 << 20):
                        file.write(part)
                os.replace(open_file, path)

        with self._explained():
            _concurrently(one, list(files))

    def listing(self, folder: str = "") -> list[tuple[str, int]]:
        """Names and sizes of all objects below a folder (`blocks/`), sorted."""
        with self._explained():
            return sorted((self._short(meta), int(meta["size"])) for meta in self._below(folder))

    def listings(self, folders: Iterable[str]) -> list[list[tuple[str, int]]]:
        """The same of several folders."""
        return _concurrently(self.listing, list(folders))

    def listing_with_times(self, folder: str) -> list[tuple[str, int, datetime]]:
        """Names, sizes and times of change of all objects below a folder."""
        with self._explained():
            return [(self._short(meta), int(meta["size"]), meta["last_modified"]) for meta in self._below(folder)]

    def versions(self, name: str) -> list[tuple[str, int, str]]:
        """Names, sizes and ETags of all objects below a folder, or of the one object with this name."""
        with self._explained():
            found = list(self._below(name))
            if not found and name and not name.endswith("/"):
                with contextlib.suppress(FileNotFoundError):
                    found = [self._store.head(self._full(name))]
        return sorted((self._short(meta), int(meta["size"]), str(meta["e_tag"])) for meta in found)

    def _below(self, folder: str) -> Iterator[Mapping[str, Any]]:
        for page in self._store.list(self._full(folder) or None, chunk_size=1000):
            yield from page

    def folders(self, folder: str = "") -> list[str]:
        """The names of the subfolders of a folder."""
        try:
            with self._explained():
                found = self._store.list_with_delimiter(self._full(folder) or None)["common_prefixes"]
        except UnfitName:
            if self.scheme != "s3":
                raise
            found = self._folders_by_boto3(folder)
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def _folders_by_boto3(self, folder: str) -> list[str]:
        """As `folders`, for a bucket whose listing obstore refuses because of one name in it."""
        from ..aws import session

        above = self._full(folder)
        pages = session.client("s3").get_paginator("list_objects_v2")
        asked = {"Bucket": self.bucket, "Prefix": f"{above.rstrip('/')}/" if above else "", "Delimiter": "/"}
        with session.asking(self.address):
            return [one["Prefix"] for page in pages.paginate(**asked) for one in page.get("CommonPrefixes", [])]

    def delete(self, names: Iterable[str]) -> None:
        if names := [self._full(name) for name in names]:
            with self._explained():
                self._store.delete(names)

    # ---- errors ----

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns errors of obstore into errors with a text for users."""
        global _used_in
        _used_in = _used_in or os.getpid()
        if _used_in != os.getpid():  # in a forked process obstore would hang
            raise StoreError(
                f"{self.address} can't be used in this process: it was forked from one that has used an object store",
                'Start processes without fork: multiprocessing.set_start_method("spawn")',
            )
        try:
            yield
        except Exception as error:
            kind = type(error)
            if kind.__name__ == "InvalidPathError" or (kind is ValueError and "parse path" in str(error)):
                raise UnfitName(
                    f"{self.address}: an object's name has an empty part, .. or a line break, and can't be that of a file",
                    "Find and rename it: " + Shell("aws", "s3", "ls", "--recursive", f"{self.address}/"),
                ) from None
            if not kind.__module__.startswith("obstore") and not isinstance(error, OSError):
                raise
            self._check_bucket()
            reason = {
                "PermissionDeniedError": "permission denied",
                "UnauthenticatedError": "the credentials are not accepted",
            }.get(kind.__name__, "its service gave an unexpected answer")
            hint = CREDENTIALS.get(self.scheme, "")
            if self.kms_key:
                hint = (
                    f"Check that you may use the key {self.kms_key} (SIMFERRY_KMS_KEY), and that it is in this region."
                )
            raise StoreError(f"{self.address} can't be read or written: {reason}", hint) from None

    def _check_bucket(self) -> None:
        """Raises an error if the bucket, the region or the credentials are wrong."""
        if self.scheme == "s3":
            from ..aws.buckets import check_bucket

            check_bucket(self.bucket)


def _concurrently(work: Callable[[Any], T], items: list[Any]) -> list[T]:
    """work(item) for all items, up to AT_ONCE at the same time. Raises the first error; later items are then skipped."""
    if len(items) < 2:
        return [work(item) for item in items]
    several = max(1, len(items) // (4 * AT_ONCE))  # items of a task: a task costs as much as half a request
    parts = [items[start : start + several] for start in range(0, len(items), several)]
    with ThreadPoolExecutor(min(AT_ONCE, len(parts))) as threads:
        return [done for part in threads.map(lambda part: [work(item) for item in part], parts) for done in part]
