"""What replications returned that no column holds, in short: the metadata of the table of results."""

import json
from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa

_KEY = b"simferry.objects"


class Objects(NamedTuple):
    """output: the name of the value, empty where all that a replication returned is an object. kind: of the first. replications: their
    number. condition, replication: of the first."""

    output: str
    kind: str
    replications: int
    condition: int
    replication: int


def found(objects: pa.Table) -> dict[bytes, bytes]:
    """The metadata. objects: condition, replication, output, kind, sorted by the first two."""
    import pyarrow.compute as pc  # takes long to load

    rows = []
    for output in objects["output"].unique().to_pylist():
        of = objects.filter(pc.equal(objects["output"], output))
        first = {name: of[name][0].as_py() for name in ("condition", "replication", "kind")}
        rows.append(Objects(output=output, replications=of.num_rows, **first))
    return {_KEY: json.dumps(rows).encode()} if rows else {}


def noted(metadata: Mapping[bytes, bytes] | None) -> list[Objects]:
    """What `found` noted. Others may have written it."""
    try:
        rows = json.loads((metadata or {}).get(_KEY, b"[]"))
        return [Objects(str(row[0]), str(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in rows]
    except (ValueError, TypeError, LookupError):
        return []
