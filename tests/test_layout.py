"""The package's layout: bands that import only from those below, no circle between modules, modules and functions that are short."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "python" / "simferry"
BANDS = [  # from the ground up
    {"_version", "errors", "hints", "system", "words", "worker"},
    {"aws", "containers", "emulator", "images", "r", "toolkit"},
    {"analysis", "backends", "driver", "jobs", "report", "results", "search", "store", "sweep"},
    {"hosting", "infra", "screen", "verbs"},
    {"_rbridge", "cli", "sagemaker"},
]
# modules without a file of tests of their own: where they are tested
TESTED_ELSEWHERE = {
    "_rbridge.images": "r_package/test_docker.py",  # from R, in containers
    "_rbridge.manage": "r_package/test_check.py",
    "_rbridge.serve": "r_package/test_docker.py",
    "_rbridge.loops": "r_package/test_check.py",  # by the tests of R's package
    "containers.removal": "backends/test_in_image.py",
    "containers.waiting": "backends/test_in_image.py",
    "backends.base": "backends/test_service.py",  # with a complete backend
    "backends.foreground": "jobs/test_waiting.py",
    "emulator.backends": "emulator/test_operations.py",  # over HTTP, as all of the emulator
    "emulator.batch_templates": "infra/test_deployment.py",
    "emulator.processing_job": "emulator/test_jobs.py",
    "emulator.services.jobs": "emulator/services/test_training.py",
    "emulator.hosted": "emulator/test_endpoints.py",
    "emulator.services.processing": "emulator/test_jobs.py",
    "emulator.services.sessions": "infra/test_rstudio.py",
    "emulator.services.transform": "emulator/test_transform_job.py",
    "emulator.services.stacks": "emulator/test_stack.py",
    "emulator.services.tags": "emulator/test_jobs.py",
    "emulator.training_job": "emulator/services/test_training.py",
    "results.copies": "results/test_gather.py",
    "results.parameter_columns": "results/test_table.py",
    "results.parts": "results/test_cache.py",
    "results.read": "results/test_collect.py",  # damaged blocks
    "results.sorted_rows": "results/test_gather.py",
    "results.witnesses": "results/test_gather.py",
    "system.dialogue": "infra/test_deployment.py",
    "sagemaker.transform_here": "sagemaker/test_endpoints_here.py",
    "toolkit.__main__": "toolkit/test_program.py",
    "verbs.compute": "driver/test_drive.py",
    "verbs.create": "sweep/test_sweep.py",
    "verbs.run": "driver/test_drive.py",
    "verbs.runs": "cli/test_verbs.py",
    "worker.check": "verbs/test_check.py",
    "worker.octave_check": "worker/test_octave.py",  # by what is refused
    "worker.octave_program": "worker/test_octave.py",  # by a whole script
}


def modules():
    """Each module's path by its name, without the package's own."""
    named = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in named.items() if not name.startswith("__")}


def imports():
    """Pairs of modules, the first of which imports the second, wherever in its code."""
    known = modules()
    for name, path in known.items():
        package = ["simferry", *(name.split(".") if path.name == "__init__.py" else name.split(".")[:-1])]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                base = [*base, *(node.module.split(".") if node.module else [])]
                for alias in node.names if base[:1] == ["simferry"] else ():
                    whole, part = ".".join([*base[1:], alias.name]), ".".join(base[1:])
                    if whole in known or part in known:
                        yield name, whole if whole in known else part


def test_every_part_has_a_band_and_there_are_few():
    parts = {name.split(".")[0] for name in modules()}
    assert parts == set().union(*BANDS)
    assert (
        len([path for path in PACKAGE.iterdir() if path.name != "__pycache__"]) <= 31
    )  # with loops, which are to come, 32


def test_imports_run_down():
    band = {part: number for number, parts in enumerate(BANDS) for part in parts}
    up = {
        (name, other.split(".")[0]) for name, other in imports() if band[name.split(".")[0]] < band[other.split(".")[0]]
    }
    assert up == set()


def test_there_is_no_circle():
    graph = {}
    for name, other in imports():
        if name != other:
            graph.setdefault(name, set()).add(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None


def test_modules_and_functions_are_short():
    """A module has at most 450 lines, a function 60 without its docstring."""
    long = set()
    for name, path in modules().items():
        text = path.read_text()
        if text.count("\n") > 450:
            long.add(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = node.body[0]
                documented = ast.get_docstring(node) is not None
                lines = node.end_lineno - node.lineno + 1
                if lines - (first.end_lineno - first.lineno + 1 if documented else 0) > 60:
                    long.add(f"{name}.{node.name}")
    assert not long


def test_each_module_has_tests_in_a_file_of_its_name():
    """Of simferry.store.keys they are in tests/store/test_keys.py. A module without functions, and what a package says of itself,
    need none."""
    without = set()
    for name, path in modules().items():
        *folders, last = name.removeprefix("_").split(".")
        functions = any(isinstance(node, ast.FunctionDef) for node in ast.walk(ast.parse(path.read_text())))
        if functions and path.name != "__init__.py" and not TESTS.joinpath(*folders, f"test_{last}.py").exists():
            without.add(name)
    assert without == set(TESTED_ELSEWHERE)
    assert {file for file in TESTED_ELSEWHERE.values() if not (TESTS / file).exists()} == set()
