"""What the outputs of a simulation are, as options: the roles of columns in measures."""

from dataclasses import dataclass
from typing import Annotated

from .option_base import Options
from .option_values import OptionSpec, Texts, Truth, Values


@dataclass(frozen=True, repr=False, eq=False)
class MeasureOptions(Options):
    """What the outputs are, for measures: given once, with the run, or when they are asked for."""

    table = "measures"
    owner = "a measure"

    estimate: Annotated[
        Texts | None, OptionSpec("The column of estimates, or several; p-values alone need none", "COLUMN,...")
    ] = None
    truth: Annotated[
        Truth | None,
        OptionSpec("The true value: a number, a parameter, a column, or a CSV or Parquet file by condition", "NUMBER|NAME|FILE"),
    ] = None  # fmt: skip
    se: Annotated[Texts | None, OptionSpec("The column of standard errors", "COLUMN,...")] = None
    interval: Annotated[
        Texts | None, OptionSpec("The columns of intervals", "LOWER,UPPER", default="estimate -/+ quantile x standard error")
    ] = None  # fmt: skip
    p_value: Annotated[Texts | None, OptionSpec("The column of p-values", "COLUMN,...")] = None
    df: Annotated[
        Values | None, OptionSpec("Degrees of freedom: intervals and tests are then those of t", "NUMBER|COLUMN")
    ] = None  # fmt: skip
    by: Annotated[
        Texts | None, OptionSpec("The columns that tell the methods apart", "COLUMN,...", default="texts")
    ] = None
    reference: Annotated[
        Values | None, OptionSpec("The method that others are compared with, or one of several estimates", "VALUE", default="the first one")
    ] = None  # fmt: skip
    alpha: Annotated[
        Values | None, OptionSpec("The level of tests, or several; intervals have 1 - alpha", "LEVEL,...", default="0.05")
    ] = None  # fmt: skip
