"""What tests of object stores share."""

import simferry as sf

SWEEP = {"design": sf.grid(n=[5, 10]), "replications": 20, "seed": 7, "workers": 2}


def keys(s3, place: str, run: str = "") -> list[str]:
    """The names of all objects of a store, or of one of its runs."""
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/{run}")
    return sorted(one["Key"].removeprefix(f"{prefix}/{run}") for page in pages for one in page.get("Contents", []))


def bare(message: str) -> bool:
    """Whether a message keeps to itself what is secret, and what only developers of libraries understand."""
    return not any(word in message for word in ("Debug source", "Generic", "top-secret", "Traceback", "obstore::"))
