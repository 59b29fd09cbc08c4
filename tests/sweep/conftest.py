"""A script of R with a helper beside it."""

from pathlib import Path

import pytest

R = "simulate <- function(n, effect = 0) mean(rnorm(n, effect))\n"


@pytest.fixture
def script(tmp_path) -> Path:
    path = tmp_path / "code" / "simulate.R"
    path.parent.mkdir()
    path.write_text(R)
    (tmp_path / "code" / "helpers.R").write_text("x <- 1\n")
    (tmp_path / "data.csv").write_text("a\n1\n")
    return path
