"""What is in a bucket: its runs, and how large they are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..aws.session import AwsError, account, asking, client
from ..store.folder_store import is_whole_id
from ..store.run_folder import RECORD

LOOKED_AT = 100_000  # objects whose sizes are added: 100 requests
FOLDERS = 1_000  # that are searched for runs
_RUN = re.compile(r"(.*?[^/]-\d{8}-[0-9a-f]{8})/(.*)", re.DOTALL)  # the folder of a run, and what is in it


@dataclass(frozen=True)
class StoredRun:
    """A run in a bucket. address: for --store and verbs. changed: when a file was last written. whole: False for what an interrupted
    deletion has left. complete: False if not all of its objects were counted, or none."""

    address: str
    objects: int
    gigabytes: float
    changed: datetime | None
    whole: bool = True
    complete: bool = True


@dataclass(frozen=True)
class Contents:
    """Of a bucket, or of a folder in it. complete: False if only the first objects were counted."""

    objects: int
    gigabytes: float
    runs: list[StoredRun]
    complete: bool = True


@dataclass
class _Sum:
    objects: int = 0
    size: int = 0
    changed: datetime | None = None
    whole: bool = False


def contents(bucket: str, folder: str = "") -> Contents:
    """Counts objects and their sizes, in all and of each run, below a folder such as "simferry/". Raises AwsError.

    Of the objects after the first LOOKED_AT only the names of runs are asked for, in the folder that was reached.
    """
    found: dict[str, _Sum] = {}
    objects = size = 0
    last = ""
    for page in _pages(bucket, Prefix=folder):
        for one in page.get("Contents", []):
            objects, size, last = objects + 1, size + one["Size"], one["Key"]
            if match := _RUN.match(last):
                run = found.setdefault(match[1], _Sum())
                run.objects, run.size = run.objects + 1, run.size + one["Size"]
                run.changed = max(filter(None, (run.changed, one["LastModified"])))
                run.whole = run.whole or match[2] == RECORD
        if objects >= LOOKED_AT and page.get("IsTruncated"):
            break
    else:
        runs = [_stored(bucket, name, run) for name, run in found.items()]
        return Contents(objects, size / 1e9, runs)
    reached = match[1] if (match := _RUN.match(last)) else ""
    above = reached.rpartition("/")[0]
    for name in _folders(bucket, f"{above}/" if above else "", last):
        found.setdefault(name, _Sum(whole=True))
    if reached:
        found[reached].whole = True  # run.json comes late in the order
    runs = [_stored(bucket, name, run, run.objects > 0 and name != reached) for name, run in found.items()]
    return Contents(objects, size / 1e9, runs, complete=False)


def runs_in(bucket: str, folder: str = "") -> Iterator[tuple[str, str]]:
    """Store and id of each run below a folder, without a look into runs: a request for each folder. What a deletion left is there, too.

    Raises AwsError, also if there are more than FOLDERS folders.
    """
    above = [folder]
    for looked, one in enumerate(above):  # which grows
        if looked >= FOLDERS:
            raise AwsError(f"bucket {bucket} has more than {FOLDERS:,} folders, and is not searched for runs")
        for page in _pages(bucket, Prefix=one, Delimiter="/"):
            for found in page.get("CommonPrefixes", []):
                store, _, name = found["Prefix"].rstrip("/").rpartition("/")
                if is_whole_id(name):
                    yield f"s3://{bucket}/{store}".rstrip("/"), name
                else:
                    above.append(found["Prefix"])


def _stored(bucket: str, name: str, run: _Sum, complete: bool = True) -> StoredRun:
    return StoredRun(f"s3://{bucket}/{name}", run.objects, run.size / 1e9, run.changed, run.whole, complete)


def _pages(bucket: str, **asked: Any) -> Iterator[dict[str, Any]]:
    with asking(f"bucket {bucket}"):
        pages = client("s3").get_paginator("list_objects_v2")
        yield from pages.paginate(Bucket=bucket, ExpectedBucketOwner=account(), **asked)


def _folders(bucket: str, above: str, after: str = "") -> Iterator[str]:
    """The folders of runs in a folder, without the slash at their end."""
    start = {"StartAfter": after} if after else {}
    for page in _pages(bucket, Prefix=above, Delimiter="/", **start):
        for one in page.get("CommonPrefixes", []):
            name = one["Prefix"].rstrip("/")
            if is_whole_id(name.rpartition("/")[2]):
                yield name
