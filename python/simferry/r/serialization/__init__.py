"""R's own serialisation: what `serialize` and `saveRDS` write, and the vectors, lists and data frames that R is given.

R reads and writes it at the speed of its memory, and every bit survives: NA and NaN, integers, logicals and strings with
NA, factors, dates, times, lists. The format is described in "R Internals", section 1.8. Reading it runs nothing.

    bytes of R -> decode -> Vector (or None)            Python values, numpy arrays, tables -> encode -> bytes for R
    bytes of R -> decode_any -> Vector, Other or None   calls, functions and environments are named, not rebuilt
"""

from .reader import decode, decode_any, runs_code
from .vectors import NotPlain, Other, Vector
from .writer import data_frame, encode, vector

__all__ = ["NotPlain", "Other", "Vector", "data_frame", "decode", "decode_any", "encode", "runs_code", "vector"]
