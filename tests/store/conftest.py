"""What tests of stores share."""

import pytest
from sweeps import DRAWS, write


@pytest.fixture
def script(tmp_path):
    return write(tmp_path, *DRAWS["python"])
