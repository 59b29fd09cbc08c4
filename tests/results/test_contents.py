"""What the bytes of a results file are."""

import bz2
import gzip
import lzma

import pytest
from simferry.results import contents


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_what_is_compressed_is_unpacked_up_to_a_limit(pack, monkeypatch):
    assert contents.unpacked(pack(b"12345678")) == b"12345678" and contents.unpacked(b"12345678") == b"12345678"
    with pytest.raises(ValueError, match="it is compressed, and"):
        contents.unpacked(pack(b"12345678")[:-6])
    monkeypatch.setattr(contents, "MOST_BYTES", 7)
    with pytest.raises(ValueError, match="it is larger than"):
        contents.unpacked(pack(b"12345678"))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "an empty file"),
        (b" [1]", "JSON"),
        (b"<!DOCTYPE html>", "HTML or XML"),
        (b"\xff\xfea\0", "UTF-16"),
        (b"a\0b", "a binary file"),
        (b"Mean: 0.5\n", "text that begins with 'Mean: 0.5'"),
        (b"RDX3\nX\n", ".rds or .RData"),
    ],
)
def test_what_files_look_like(data, name):
    assert contents.looks_like(data) == name
