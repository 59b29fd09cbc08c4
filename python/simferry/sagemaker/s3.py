"""Copies files to S3 and back."""

import io
import re
from typing import Any
from urllib.parse import urlparse

from ..errors import UsageError
from .session import Session

Texts = list[str]  # S3Downloader has a method called list


def parse_s3_url(url: str) -> tuple[str, str]:
    """Bucket and key of s3://bucket/key."""
    parsed = urlparse(url)
    if parsed.scheme != "s3":
        raise UsageError(f"{url!r} is not an address in S3", "s3://bucket/folder")
    return parsed.netloc, parsed.path.lstrip("/")


def s3_path_join(*args: str | None, with_end_slash: bool = False) -> str:
    """The parts, without the empty ones, joined by single slashes: s3_path_join("s3://", "b", "", "a/") is s3://b/a."""
    joined = re.sub("/+", "/", "/".join(part for part in args if part)).strip("/")
    joined = re.sub("^s3:/?", "s3://", joined)
    return f"{joined}/" if with_end_slash and joined and not joined.endswith("/") else joined


class S3Uploader:
    @staticmethod
    def upload(
        local_path: str,
        desired_s3_uri: str,
        kms_key: str | None = None,
        sagemaker_session: Session | None = None,
        callback: Any = None,
    ) -> str:
        """Upload a file or a whole folder below an address. Returns the address of the file or folder."""
        bucket, prefix = parse_s3_url(desired_s3_uri)
        return (sagemaker_session or Session()).upload_data(local_path, bucket, prefix, callback, _encrypted(kms_key))

    @staticmethod
    def upload_string_as_file_body(
        body: str, desired_s3_uri: str, kms_key: str | None = None, sagemaker_session: Session | None = None
    ) -> str:
        """Write text to an address. Returns the address."""
        bucket, key = parse_s3_url(desired_s3_uri)
        (sagemaker_session or Session()).upload_string_as_file_body(body, bucket, key, kms_key)
        return desired_s3_uri

    @staticmethod
    def upload_bytes(
        b: bytes | io.BytesIO, s3_uri: str, kms_key: str | None = None, sagemaker_session: Session | None = None
    ) -> str:
        """Write bytes to an address. Returns the address."""
        bucket, key = parse_s3_url(s3_uri)
        content = b.getvalue() if isinstance(b, io.BytesIO) else bytes(b)
        (sagemaker_session or Session()).upload_string_as_file_body(content, bucket, key, kms_key)
        return s3_uri


class S3Downloader:
    @staticmethod
    def download(
        s3_uri: str, local_path: str, kms_key: str | None = None, sagemaker_session: Session | None = None
    ) -> Texts:
        """Download a file, or all files below an address, into a folder. Returns the files' paths."""
        bucket, prefix = parse_s3_url(s3_uri)
        extra_args = {"SSECustomerKey": kms_key} if kms_key else None
        return (sagemaker_session or Session()).download_data(local_path, bucket, prefix, extra_args)

    @staticmethod
    def read_file(s3_uri: str, sagemaker_session: Session | None = None) -> str:
        """The text of a file in S3."""
        return (sagemaker_session or Session()).read_s3_file(*parse_s3_url(s3_uri))

    @staticmethod
    def read_bytes(s3_uri: str, sagemaker_session: Session | None = None) -> bytes:
        """The bytes of a file in S3."""
        return (sagemaker_session or Session()).read_s3_bytes(*parse_s3_url(s3_uri))

    @staticmethod
    def list(s3_uri: str, sagemaker_session: Session | None = None) -> Texts:
        """The addresses of all files below an address."""
        bucket, prefix = parse_s3_url(s3_uri)
        return [f"s3://{bucket}/{key}" for key in (sagemaker_session or Session()).list_s3_files(bucket, prefix)]


def _encrypted(kms_key: str | None) -> dict[str, str] | None:
    return {"SSEKMSKeyId": kms_key, "ServerSideEncryption": "aws:kms"} if kms_key else None
