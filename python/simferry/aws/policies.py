"""Reads the IAM policies of docs/iam, and fills in their placeholders."""

import json
from pathlib import Path
from string import Template
from typing import Any


def folder() -> Path:
    """docs/iam of the checkout, or of the installed package."""
    inside = Path(__file__).parents[1] / "iam"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "docs" / "iam"


def policy(name: str, **values: str) -> dict[str, Any]:
    """A policy document. name: "user", "role" or "trust"; values: Account, Bucket, Prefix, Region, Role."""
    return dict(json.loads(Template((folder() / f"{name}.json").read_text()).substitute(values)))
