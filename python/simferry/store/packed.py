"""The files of a plan's jobs in one object, where jobs bring their files themselves: 10,000 of them would be as many requests.

The begin of each file and the end of the last (little-endian, 8 bytes each), then the files. Jobs read it with two ranges; see
worker/carrier.py.
"""

import struct
from collections.abc import Callable, Sequence
from itertools import accumulate

from ..errors import StoreError


def packed(files: Sequence[bytes]) -> bytes:
    """The bytes of the object with these files."""
    begin = 8 * (len(files) + 1)
    offsets = accumulate(map(len, files), initial=begin)
    return b"".join([struct.pack(f"<{len(files) + 1}Q", *offsets), *files])


def unpacked(read: Callable[[int, int], bytes], number: int) -> bytes:
    """One of the files. read: gives the object's bytes from the first position to before the second. number: begins at 1.

    Raises StoreError if the object is damaged, such as cut off.
    """
    index = read(8 * (number - 1), 8 * (number + 1))
    if len(index) == 16:
        start, end = struct.unpack("<2Q", index)
        content = read(start, end) if start < end else b""  # stores refuse to read nothing
        if len(content) == end - start:
            return content
    raise StoreError(f"the file of job {number} is damaged: the object with all jobs' files is not whole")
