"""The files of a plan's jobs in one object."""

from simferry.store.packed import packed, unpacked


def test_each_file_is_read_with_two_ranges():
    files = [b"one", b"", b"\0\xff" * 100, b"last"]
    whole, ranges = packed(files), []

    def read(start, end):
        ranges.append((start, end))
        return whole[start:end]

    assert [unpacked(read, number + 1) for number in range(4)] == files
    assert len(ranges) == 8 and ranges[0] == (0, 16)
