"""Runs a script as the module of a package that it is, as `python -m` does: python as_module.py MODULE ARGUMENTS...

The package is found through PYTHONPATH. The working directory is the script's folder: `import helpers` finds what is beside the
script, after Python's own modules. `python -m` would look there first, where a package's module may be called types.py.
"""

import os
import runpy
import sys


def place_of_own(path: list[str]) -> int:
    """Where a package's folder goes in sys.path: behind Python's own modules, and before those that are installed."""
    installed = (i for i, entry in enumerate(path) if "site-packages" in entry or "dist-packages" in entry)
    return next(installed, len(path))


if __name__ == "__main__":
    del sys.path[0], sys.argv[0]
    sys.path.insert(place_of_own(sys.path), os.getcwd())
    # not run_module(), which puts a module in the place of __main__ that is gone at exit
    runpy._run_module_as_main(sys.argv[0])  # type: ignore[attr-defined]
