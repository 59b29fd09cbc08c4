"""The files of a plan's jobs in one object."""

import struct

import pytest
from simferry.errors import StoreError
from simferry.store.packed import packed, unpacked


def test_each_file_is_read_with_two_ranges():
    files = [b"one", b"", b"\0\xff" * 100, b"last"]
    whole, ranges = packed(files), []

    def read(start, end):
        ranges.append((start, end))
        return whole[start:end]

    assert [unpacked(read, number + 1) for number in range(4)] == files
    assert len(ranges) == 7 and ranges[0] == (0, 16)


@pytest.mark.parametrize(
    "whole", [b"", packed([b"one", b"two"])[:20], packed([b"one", b"two"])[:-1], struct.pack("<3Q", 3, 2, 1)]
)
def test_an_object_that_is_not_whole(whole):
    with pytest.raises(StoreError, match="the file of job 2 is damaged"):
        unpacked(lambda start, end: whole[start:end], 2)
