"""Options of the command line, and the page of the docs that lists them."""

from r_fixtures import ROOT, in_r, library  # noqa: F401
from simferry.cli.options import page


def test_the_docs_have_the_table_of_options():
    assert (ROOT / "docs" / "options.md").read_text() == page()  # CONTRIBUTING.md tells how it is written
