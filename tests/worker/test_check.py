"""What a script imports."""

import ast

import pytest
from simferry.worker.check import missing_modules


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        ("import os, nothere.part\nfrom nothere2 import x\n", ["nothere", "nothere2"]),
        ("from . import sibling\nimport json.decoder\n", []),
        ("try:\n    import nothere\nexcept ImportError:\n    pass\ndef f():\n    import nothere2\n", []),
    ],
)
def test_only_what_is_needed_to_load_it_is_missed(tmp_path, code, missing):
    assert missing_modules(ast.parse(code), tmp_path) == missing
