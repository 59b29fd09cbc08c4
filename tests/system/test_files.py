"""Files that are written whole."""

import os

import pytest
from simferry.errors import StoreError
from simferry.system.files import write_whole, writing


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"first")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"second")
    assert path.read_bytes() == b"first" and os.listdir(tmp_path) == ["file"]


def test_an_error_of_a_copy_names_the_copy(tmp_path):
    with pytest.raises(StoreError, match="can't write /new: there is no room left"), writing(tmp_path):
        raise OSError(28, "No space left on device", "/old", None, "/new")
