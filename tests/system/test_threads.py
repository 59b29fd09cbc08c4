"""Linear algebra on one thread."""

import sys

import pytest
from simferry.system.threads import _openblas, one_thread


def test_one_thread_within_the_block():
    if not _openblas():
        assert sys.platform != "linux"
        pytest.skip("numpy has no OpenBLAS here")
    before = [count() for _, count in _openblas()]
    with pytest.raises(RuntimeError), one_thread():
        assert {count() for _, count in _openblas()} == {1}
        raise RuntimeError
    assert [count() for _, count in _openblas()] == before
