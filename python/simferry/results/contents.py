"""What the bytes of a results file are, and the text in them."""

import bz2
import lzma
import re
import zlib
from typing import Any

MOST_BYTES = 1 << 29  # of one results file, after decompression
R_FORMS = (b"RDX2\n", b"RDX3\n", b"X\n\0\0\0", b"B\n\2\0\0\0", b"B\n\3\0\0\0")
READ = "What is read: CSV (.csv, .tsv), JSON (.json), .rds and .RData; in files of other names numbers, JSON, or a table with a header"
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0")
_LOOKS = {
    b"PK\3\4": "a zip archive (as .xlsx and .npz are)",
    b"\x93NUMPY": "numpy's .npy",
    b"\x80\4": "a pickle of Python, which is never opened",
    b"\x80\5": "a pickle of Python, which is never opened",
    b"PAR1": "Parquet",
    b"ARROW1": "Feather (Arrow)",
    b"\x89HDF": "HDF5 (as .h5 and MATLAB's .mat of version 7.3 are)",
    b"MATLAB 5": "MATLAB's .mat",
    b"SQLite format 3": "a database of SQLite",
    b"%PDF": "PDF",
    b"\x89PNG": "a picture",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls)",
    b"<stata_dta>": "Stata's .dta",
    b"A\n": "R's ASCII form, which saveRDS() and save() write with ascii = TRUE",
    b"RDA": "R's ASCII form, which saveRDS() and save() write with ascii = TRUE",
    **dict.fromkeys(R_FORMS, ".rds or .RData"),
}


def unpacked(data: bytes) -> bytes:
    """The content of gzip, bzip2 and xz; other bytes as they are. Raises ValueError if it is damaged or too large."""
    if not data.startswith(_PACKED):
        return data
    out = b""
    try:
        while data.startswith(_PACKED):  # files may be appended to each other
            expand: Any = (
                zlib.decompressobj(31)
                if data.startswith(b"\x1f\x8b")
                else bz2.BZ2Decompressor()
                if data.startswith(b"BZh")
                else lzma.LZMADecompressor()
            )
            out += expand.decompress(data, MOST_BYTES + 1 - len(out))
            if len(out) > MOST_BYTES:
                raise ValueError(f"it is larger than {MOST_BYTES >> 20} MB")
            if not expand.eof:
                raise ValueError("it is compressed, and cut short")
            data = expand.unused_data
    except (zlib.error, OSError, lzma.LZMAError) as error:
        raise ValueError(f"it is compressed, and damaged ({error})") from None
    return out


def looks_like(data: bytes) -> str:
    """What a file looks like, for messages."""
    for magic, name in _LOOKS.items():
        if data.startswith(magic):
            return name
    text = as_text(data).lstrip()
    if not text:
        return "an empty file"
    if "\0" in text or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "a binary file"
    if text[0] in "{[":
        return "JSON"
    if re.match(r"<(!doctype|\?xml|html)", text, re.IGNORECASE):
        return "HTML or XML"
    return f"text that begins with {text.splitlines()[0][:40]!r}"


def as_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")
