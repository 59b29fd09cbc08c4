"""Version 1's way to an image."""

from typing import Any

from ..image_uris import retrieve


def get_image_uri(region_name: str | None, repo_name: str, repo_version: Any = None) -> str:
    """The user's image for a framework's. repo_name: "xgboost", say. Others as of image_uris.retrieve, which raises UsageError too."""
    return retrieve(repo_name, region_name, repo_version)
