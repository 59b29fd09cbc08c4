"""Objects in a bucket, through obstore: S3 with the usual AWS configuration, and gs:// and az:// as obstore reads theirs."""

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

AT_ONCE = 64  # requests under way: S3 answers each in tens of milliseconds
IN_MEMORY = 2000  # objects that are fetched before the first of them is taken
SCHEMES = ("s3", "gs", "az")
WHO_ASKS = {
    "gs": "gcloud auth application-default login, or GOOGLE_APPLICATION_CREDENTIALS, tells it who asks.",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY tell it who asks.",
}
_used_in: int | None = None  # the process in which obstore's threads run
T = TypeVar("T")
Content = bytes | Path


class ObjectNotFound(StoreError):
    """There is no object of that name."""


class UnfitName(StoreError):
    """An object has a name that no file could have."""


def check_address(address: str) -> None:
    """Raise UsageError for what is no address of an object store, or one that some service or tool would read as another."""
    scheme, _, rest = address.partition("://")
    bucket, _, name = rest.partition("/")
    if scheme not in SCHEMES:
        known = [f"{scheme}://" for scheme in SCHEMES]
        hint = nearest(f"{scheme}://", known) or f"Stores are folders, or {' '.join(known)}"
        raise UsageError(f"{address} is no store", hint)
    if not bucket:
        raise UsageError(f"{address} names no bucket", f"For instance: {scheme}://my-bucket/simferry")
    if found := re.search(r"[?#\\\x00-\x1f\x7f]", address):
        raise UsageError(f"{address!r} has a {found[0]!r}, which no address can have", "Choose another name.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bucket):
        raise UsageError(f"{address}: {bucket!r} is no bucket's name", f"For instance: {scheme}://my-bucket/simferry")
    if {".", ".."} & set(name.split("/")):
        raise UsageError(
            f"{address} has a part '.' or '..', which mean nothing in an address", "Write it without them."
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
        """The objects of a folder in this one, over the same connections."""
        return Objects(f"{self.address}/{name}", self.kms_key, self)

    @classmethod
    def split(cls, address: str) -> tuple["Objects", str]:
        """The bucket of an address, and the rest of it."""
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
                Extra("sagemaker") + "  brings all that AWS needs.",
            ) from None
        if self.scheme != "s3":
            with self._explained():
                # without credentials it asks the machine's metadata service, which few machines have
                retries: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
                return from_url(f"{self.scheme}://{self.bucket}", retry_config=retries)
        from obstore.auth.boto3 import Boto3CredentialProvider

        from ..aws import session

        with session.asking(self.address):
            if session.session().get_credentials() is None:
                raise session.CredentialsError(f"there are no AWS credentials to ask for {self.address}", session.LOGIN)
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

    def put(self, name: str, data: Content) -> None:
        self.put_many([(name, data)])

    def create(self, name: str, data: bytes) -> bool:
        """Put an object where there is none; False where there is another."""
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._explained():
            try:
                self._store.put(self._full(name), data, mode="create")
            except (AlreadyExistsError, PreconditionError):
                # the object is ours where the answer was lost and the request was repeated
                return self.get(name) == data
        return True

    # ---- many ----

    def find_many(self, names: Iterable[str], at_most: int | None = None) -> Iterator[tuple[str, bytes]]:
        """Those of these objects that are there, in this order. at_most: bytes; a larger one is taken for empty."""

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
        """The objects of these names, in this order. Raises ObjectNotFound for the first that is not there."""
        names = list(names)
        found = self.find_many(names)
        for name in names:
            got = next(found, None)
            if got is None or got[0] != name:
                raise ObjectNotFound(f"there is no {self.address}/{name}")
            yield got

    def put_many(self, contents: Iterable[tuple[str, Content]]) -> None:
        """Put objects, the bytes themselves or a file's."""
        with self._explained():
            _concurrently(lambda item: self._store.put(self._full(item[0]), item[1], max_concurrency=2), list(contents))

    def download(self, files: Iterable[tuple[str, Path]]) -> None:
        """Write objects of any size to files, each whole or not at all. Those that are not there are left out: what S3's
        console makes of a folder is listed without the slash at the end of its name."""

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

    def listing_with_times(self, folder: str) -> list[tuple[str, int, datetime]]:
        """Names and sizes of all objects below a folder, and when each was put."""
        with self._explained():
            return [(self._short(meta), int(meta["size"]), meta["last_modified"]) for meta in self._below(folder)]

    def versions(self, name: str) -> list[tuple[str, int, str]]:
        """Names, sizes and ETags of all objects below the folder of a name, or of the one object of that name."""
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
        """The names of the folders directly below one."""
        try:
            with self._explained():
                found = self._store.list_with_delimiter(self._full(folder) or None)["common_prefixes"]
        except UnfitName:
            if self.scheme != "s3":
                raise
            found = self._folders_by_boto3(folder)
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def _folders_by_boto3(self, folder: str) -> list[str]:
        """The same where obstore refuses a whole listing because of one name in it."""
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
        if _used_in != os.getpid():  # in a forked process obstore would wait for ever
            raise StoreError(
                f"{self.address} can't be asked by a process that was forked from one that has asked such a store",
                'multiprocessing.set_start_method("spawn")  starts processes afresh.',
            )
        try:
            yield
        except Exception as error:
            kind = type(error)
            if kind.__name__ == "InvalidPathError" or (kind is ValueError and "parse path" in str(error)):
                raise UnfitName(
                    f"{self.address}: there is a name that no file could have, with an empty part, .. or a line break",
                    "Find it, and rename it: " + Shell("aws", "s3", "ls", "--recursive", f"{self.address}/"),
                ) from None
            if not kind.__module__.startswith("obstore") and not isinstance(error, OSError):
                raise
            self._check_bucket()
            reason = {
                "PermissionDeniedError": "permission denied",
                "UnauthenticatedError": "the credentials are not accepted",
            }.get(kind.__name__, "its service did not answer as it should")
            hint = WHO_ASKS.get(self.scheme, "")
            if self.kms_key:
                hint = (
                    f"May whoever asks use the key {self.kms_key} (SIMFERRY_KMS_KEY), and does it lie in this region?"
                )
            raise StoreError(f"{self.address} can't be read or written: {reason}", hint) from None

    def _check_bucket(self) -> None:
        """Ask about the bucket, which shows whether the bucket, the region or the credentials are wrong."""
        if self.scheme == "s3":
            from ..aws.buckets import check_bucket

            check_bucket(self.bucket)


def _concurrently(work: Callable[[Any], T], items: list[Any]) -> list[T]:
    """work of each item, up to AT_ONCE at a time. Raises the first error; items that have not started by then are left out."""
    if len(items) < 2:
        return [work(item) for item in items]
    several = max(1, len(items) // (4 * AT_ONCE))  # to a task, as each costs as much as half a request
    parts = [items[start : start + several] for start in range(0, len(items), several)]
    with ThreadPoolExecutor(min(AT_ONCE, len(parts))) as threads:
        return [done for part in threads.map(lambda part: [work(item) for item in part], parts) for done in part]
