"""Objects in a bucket, through obstore: S3 with the usual AWS configuration, and gs:// and az:// as obstore reads theirs."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from .errors import StoreError, UsageError, nearest

AT_ONCE = 64  # requests under way: S3 answers each in tens of milliseconds
SCHEMES = ("s3", "gs", "az")
T = TypeVar("T")
Content = bytes | Path


class ObjectNotFound(StoreError):
    """There is no object of that name."""


class Objects:
    """The objects below an address such as s3://bucket/folder. Names are relative to it."""

    def __init__(self, address: str, kms_key: str | None = None) -> None:
        self.address = address.rstrip("/")
        self.kms_key = kms_key or os.environ.get("SIMFERRY_KMS_KEY")
        self.scheme, _, rest = self.address.partition("://")
        self.bucket, _, self.prefix = rest.partition("/")
        if self.scheme not in SCHEMES:
            known = " ".join(f"{s}://" for s in SCHEMES)
            raise UsageError(
                f"{address} is no store", nearest(self.scheme, SCHEMES) or f"Stores are folders, or {known}"
            )
        if not self.bucket:
            raise UsageError(f"{address} names no bucket", f"For instance: --store {self.scheme}://my-bucket/simferry")

    def below(self, name: str) -> "Objects":
        """The objects of a folder in this one."""
        return Objects(f"{self.address}/{name}", self.kms_key)

    @classmethod
    def split(cls, address: str) -> tuple["Objects", str]:
        """The bucket of an address, and the rest of it."""
        scheme, _, rest = address.partition("://")
        bucket, _, name = rest.partition("/")
        return cls(f"{scheme}://{bucket}"), name

    @cached_property
    def _store(self) -> Any:
        try:
            from obstore.store import S3Store, from_url
        except ImportError:
            raise UsageError(
                f"{self.address} is an object store, and the package obstore is not installed",
                'pip install "simferry[sagemaker]"  brings all that AWS needs.',
            ) from None
        if self.scheme != "s3":
            with self._explained():
                return from_url(self.address)
        from obstore.auth.boto3 import Boto3CredentialProvider

        from .aws import session

        with session.asking(self.address):
            if session.session().get_credentials() is None:
                raise session.CredentialsError(f"there are no AWS credentials to ask for {self.address}", session.LOGIN)
        endpoint = session.client("s3").meta.endpoint_url
        options: dict[str, Any] = {} if "amazonaws.com" in endpoint else {"endpoint": endpoint}
        if self.kms_key:
            options |= {"server_side_encryption": "aws:kms", "sse_kms_key_id": self.kms_key}
        return S3Store(
            self.bucket, prefix=self.prefix or None, region=session.region(),
            credential_provider=Boto3CredentialProvider(session.session()),
            client_options={"allow_http": endpoint.startswith("http://"), "timeout": "120s"}, **options,
        )  # fmt: skip

    # ---- one object ----

    def get(self, name: str) -> bytes:
        """Raises ObjectNotFound."""
        return next(self.get_many([name]))[1]

    def put(self, name: str, data: Content) -> None:
        self.put_many([(name, data)])

    def create(self, name: str, data: bytes) -> bool:
        """Put an object where there is none; False where there is one."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self._explained():
            try:
                obstore.put(self._store, name, data, mode="create")
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    # ---- many ----

    def get_many(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The objects of these names, in this order. Raises ObjectNotFound for the first that is not there."""

        async def one(name: str) -> bytes | None:
            try:
                got = await self._store.get_async(name)
                return bytes(await got.bytes_async())
            except FileNotFoundError:
                return None

        names = list(names)
        for start in range(0, len(names), 2000):  # so that not all of them are in memory at once
            some = names[start : start + 2000]
            with self._explained():
                contents = _concurrently(one, some)
            for name, content in zip(some, contents, strict=True):
                if content is None:
                    self._check_bucket()
                    raise ObjectNotFound(f"there is no {self.address}/{name}")
                yield name, content

    def put_many(self, contents: Iterable[tuple[str, Content]]) -> None:
        """Put objects, the bytes themselves or a file's."""

        async def one(item: tuple[str, Content]) -> None:
            await self._store.put_async(item[0], item[1])

        with self._explained():
            _concurrently(one, list(contents))

    def listing(self, prefix: str = "") -> list[tuple[str, int]]:
        """Names and sizes of all objects whose names lie below a folder, sorted."""
        import obstore

        with self._explained():
            found = [
                (meta["path"], int(meta["size"]))
                for page in obstore.list(self._store, prefix or None, chunk_size=1000)
                for meta in page
            ]
        if not found:
            self._check_bucket()
        return sorted(found)

    def versions(self, name: str) -> list[tuple[str, int, str]]:
        """Names, sizes and ETags of the object of a name, or of all below the folder of that name."""
        import obstore

        with self._explained():
            try:
                found = [] if not name or name.endswith("/") else [obstore.head(self._store, name)]
            except FileNotFoundError:
                found = []
            found += [meta for page in obstore.list(self._store, name.rstrip("/") or None) for meta in page]
        if not found:
            self._check_bucket()
        return sorted((meta["path"], int(meta["size"]), str(meta["e_tag"])) for meta in found)

    def folders(self) -> list[str]:
        """The names of the folders directly below."""
        import obstore

        with self._explained():
            found = obstore.list_with_delimiter(self._store, None)
        if not found["common_prefixes"]:
            self._check_bucket()
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])

    def delete(self, names: Iterable[str]) -> None:
        import obstore

        if names := list(names):
            with self._explained():
                obstore.delete(self._store, names)

    # ---- errors ----

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns obstore's errors, whose texts are for its developers, into one in our words."""
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self.address} can't be reached: {error.strerror or type(error).__name__}") from None
        except Exception as error:
            if not type(error).__module__.startswith("obstore"):
                raise
            self._check_bucket()
            reason = {
                "PermissionDeniedError": "permission denied",
                "UnauthenticatedError": "the credentials are not accepted",
            }.get(type(error).__name__, "its service did not answer as it should")
            raise StoreError(f"{self.address} can't be read or written: {reason}") from None

    def _check_bucket(self) -> None:
        """Ask about the bucket itself, which tells what is wrong where it is the bucket, the region, or who asks."""
        if self.scheme == "s3":
            from .aws.buckets import check_bucket

            check_bucket(self.bucket)


def _concurrently(work: Callable[[Any], Awaitable[T]], items: list[Any]) -> list[T]:
    """work of each item, up to AT_ONCE at a time. In a thread: notebooks have an event loop of their own."""

    async def all_of_them() -> list[T]:
        free = asyncio.Semaphore(AT_ONCE)

        async def one(item: Any) -> T:
            async with free:
                return await work(item)

        return await asyncio.gather(*map(one, items))

    if not items:
        return []
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, all_of_them()).result()
