"""What is the user's own code."""

import os
import sys

import simferry as sf
from simferry.worker import own


def test_what_is_own(tmp_path):
    code = tmp_path / "code"
    assert own.is_own("helper", str(tmp_path / "helper.py"), code)
    assert not own.is_own("helper", str(code / "helper.py"), code)
    assert not own.is_own("json", os.__file__, code)
    assert not own.is_own("numpy", sys.modules["numpy"].__file__, code)
    assert not own.is_own("simferry.errors", sf.errors.__file__, code)
