"""Generators that a replication is the first to use."""

import pytest
from sweeps import write


@pytest.mark.parametrize("taken", ["n", "n, rng"])
def test_what_a_module_draws_when_a_replication_imports_it_moves_no_replication(tmp_path, good, taken):
    """In each process another replication is the first to import it."""
    module = (
        "import random\nimport numpy as np\nx = [np.random.normal(), random.random()]\nrng = np.random.default_rng()\n"
    )
    write(tmp_path, "drawing.py", module)
    code = "import random\nimport numpy as np\ndef simulate({}):\n    {}\n    return [np.random.normal(), random.random(), *more]\n"
    late = "import drawing; more = [*drawing.x, drawing.rng.normal()]"
    tables = []
    for load in (late, "more = [0, 0, 0]"):
        script = write(tmp_path, "simulate.py", code.format(taken, load))
        run = good(script, {"n": [1]}, 4, workers=1, include=["drawing.py"])
        tables.append(run.results())
        assert run.replay(1, 3) == tables[-1].iloc[2, -5:].tolist()  # there it is the first
    mine = ["value_1", "value_2"]
    assert tables[0][mine].equals(tables[1][mine])
    assert tables[0]["value_3"].nunique() == 1 and tables[0]["value_5"].nunique() == 4


@pytest.mark.parametrize("taken", ["n", "n, rng"])
def test_compiled_code_that_draws_from_a_pointer_draws_what_np_random_would(tmp_path, good, taken):
    """As scipy.stats.random_table does; it takes no lock."""
    code = "import numpy as np\nbits = lambda: np.random.mtrand._rand._bit_generator.ctypes\n{}\ndef simulate({}):\n    return {}\n"
    draw = "one.next_double(one.state)"
    tables = []
    for early, value in [
        ("", "np.random.random()"),
        ("", f"[{draw} for one in [bits()]][0]"),
        ("one = bits()", draw),
    ]:
        script = write(tmp_path, "simulate.py", code.format(early, taken, value))
        tables.append(good(script, {"n": [1, 2]}, 3, workers=1, fresh=True).results())
    assert tables[0]["value"].nunique() == 6
    assert tables[1].equals(tables[0]) and tables[2].equals(tables[0])


@pytest.mark.parametrize("taken", ["n", "n, rng"])
def test_functions_that_draw_several_numbers_draw_them_one_after_the_other_at_first_use(tmp_path, good, taken):
    code = (
        "import random\ndef simulate({}):\n    {}\n"
        "    if n == 1: return random.choices(range(1000), k=4)\n"
        "    if n == 2: return random.gauss(0, 1)\n"
        "    return random.sample(range(10), 10)\n"  # it draws until the number is small enough
    )
    tables = []
    for early in ("state = random.getstate()", "pass"):  # the first use is another one
        script = write(tmp_path, "simulate.py", code.format(taken, early))
        tables.append(good(script, {"n": [1, 2, 3]}, 8, workers=1, fresh=True).results())
    assert tables[1].equals(tables[0])
