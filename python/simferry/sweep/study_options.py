"""What a study is about, for its report: the table [study] of a sweep file."""

from dataclasses import dataclass
from typing import Annotated

from .option_base import Options
from .option_values import OptionSpec, Texts


@dataclass(frozen=True, repr=False, eq=False)
class StudyOptions(Options):
    """Aims, data-generating mechanisms, estimands, methods and performance measures (ADEMP: Morris, White and Crowther 2019), in words."""

    table = "study"
    owner = "a study"

    title: Annotated[str | None, OptionSpec("The title of the report")] = None
    aims: Annotated[Texts | None, OptionSpec("What the study is to find out")] = None
    data_generating_mechanisms: Annotated[Texts | None, OptionSpec("How the data are drawn")] = None
    estimands: Annotated[Texts | None, OptionSpec("What is estimated")] = None
    methods: Annotated[Texts | None, OptionSpec("The methods that are compared")] = None
    performance_measures: Annotated[Texts | None, OptionSpec("How the methods are judged")] = None
    authors: Annotated[Texts | None, OptionSpec("Who has made the study, for its citation")] = None
