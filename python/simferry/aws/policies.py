"""Reads the IAM policies of docs/iam, and fills in their placeholders."""

import json
import re
from pathlib import Path
from typing import Any


def folder() -> Path:
    """docs/iam of the checkout, or of the installed package."""
    inside = Path(__file__).parents[1] / "iam"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "docs" / "iam"


def policy(name: str, **values: str) -> dict[str, Any]:
    """A policy document. name: of the file; values: of its placeholders, such as ${Account}. Variables of IAM's (${aws:userid}) stay."""
    text = (folder() / f"{name}.json").read_text()
    return dict(json.loads(re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text)))
