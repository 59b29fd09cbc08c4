"""The tree of errors."""

import importlib
import pkgutil
import re

import simferry
from simferry import errors


def test_every_error_is_drawn_in_the_tree_and_has_a_code():
    """Each line: where it hangs, its name, its meaning, and the exit code where it is not that of what it hangs on."""
    for module in pkgutil.walk_packages(simferry.__path__, "simferry."):
        if not re.search(r"__main__|\.worker\.", module.name):  # jobs' own code, which knows no simferry
            importlib.import_module(module.name)
    kinds, drawn = [errors.SimferryError, errors.Interrupted], {}
    for kind in kinds:  # it grows
        kinds += kind.__subclasses__()
    above: list[str] = []
    for branch, name, exit_code in re.findall(r"^    ([ │├└─]*)(\w+) +.*?(?:exit code (\d))?$", errors.__doc__, re.M):
        above[len(branch) // 4 :] = [name]
        drawn[name] = (above[-2] if len(above) > 1 else "Exception", exit_code)
    del drawn["KeyboardInterrupt"]
    ours = [kind for kind in kinds if kind.__module__.startswith("simferry.")]
    assert {
        kind.__name__: next(base for base in kind.__bases__ if base is not errors.Worded).__name__ for kind in ours
    } == {n: above for n, (above, _) in drawn.items()}
    for kind in ours:
        told = drawn[kind.__name__][1]
        assert kind.exit_code == (int(told) if told else kind.__bases__[0].exit_code), kind
    here = [kind for kind in ours if kind.__module__ == "simferry.errors"]
    own = [kind.code for kind in here if "code" in vars(kind)]
    assert len(set(own)) == len(own)
    # who handles a run that is not found handles a name that fits several, too
    assert [kind for kind in here[1:] if "code" not in vars(kind)] == [errors.AmbiguousRun]


def test_ctrl_c_passes_through_except_exception():
    import pickle

    error = pickle.loads(pickle.dumps(errors.Interrupted("stopped", "go on")))
    assert isinstance(error, KeyboardInterrupt) and not isinstance(error, Exception)
    assert (error.code, error.message, error.hint, error.exit_code, str(error)) == (
        "interrupted", "stopped", "go on", 4, "stopped\ngo on",
    )  # fmt: skip


def test_errors_survive_pickling():
    import pickle

    error = pickle.loads(pickle.dumps(errors.DesignError("what", "do this")))
    assert (type(error), error.message, error.hint, str(error)) == (
        errors.DesignError,
        "what",
        "do this",
        "what\ndo this",
    )
    error.__setstate__({"message": "what", "hint": "do this", "retryable": True})  # as earlier versions kept them
    assert (error.message, error.retryable) == ("what", True)
