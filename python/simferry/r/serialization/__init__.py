"""Reads and writes R's own serialisation, the format of `serialize` and `saveRDS` ("R Internals", section 1.8).

R reads and writes it very fast, and all bits are kept: NA and NaN, integers, logicals and strings with NA, factors, dates, times,
lists. Reading runs no code.

    bytes of R -> decode -> Vector (or None)            Python values, numpy arrays, tables -> encode -> bytes for R
    bytes of R -> decode_any -> Vector, Other or None   Other stands for calls, functions and environments
"""

from .reader import decode, decode_any, runs_code
from .vectors import NotPlain, Other, Vector
from .writer import data_frame, encode, vector

__all__ = ["NotPlain", "Other", "Vector", "data_frame", "decode", "decode_any", "encode", "runs_code", "vector"]
