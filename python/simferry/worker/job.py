"""The job: its file, the environment that its numbers may depend on, and the message when it cannot go on."""

import contextlib
import os
import platform
import sys
from collections.abc import Iterable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from . import blocks
from .as_module import place_of_own
from .folders import Included
from .seeds import seed_of, seeds_of_ranks

# marks in arguments and environment variables, which the worker replaces
MARKS = {"replication": "\ue001", "seed": "\ue002", "condition": "\ue003"}
Stretch = tuple[int, int, int]  # row of the condition, first replication, count
CONTRACT = Path("/opt/ml")
OUTPUT = CONTRACT / "output"  # SageMaker's


class OwnPackage(MetaPathFinder):
    """Finds the package of the script in the snapshot, before an editable install of it."""

    def __init__(self, job: "Job") -> None:
        self.name = job.module.partition(".")[0]
        self.inside, self.folder = f"{job.root}/", f"/{job.import_from[0]}"

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != self.name:
            return None
        folders = [entry for entry in sys.path if entry.startswith(self.inside) and entry.endswith(self.folder)]
        return PathFinder.find_spec(name, folders)


class Job:
    """The content of the job file, ROOT/input/plan/job."""

    def __init__(self, root: Path) -> None:
        block = blocks.decode((root / "input" / "plan" / "job").read_bytes())
        facts = block.facts
        self.root, self.code, self.scratch = root, root / "input" / "code", root / "scratch"
        attempt = os.environ.get("SIMFERRY_ATTEMPT") or facts["attempt"]  # the carrier's, where a service tries again
        self.run, self.prefix = facts["run"], f"{facts['plan']}-{facts['job']}-{attempt}"
        self.own_code = facts.get("own_code", "")
        self.language, self.kind, self.function = facts["language"], facts["kind"], facts["function"]
        self.script, self.objects, self.results_file = facts["script"], facts["objects"], facts["results_file"]
        self.beside = facts.get("folder", "")  # the script's folder in the snapshot
        self.module = facts.get("module", "")  # the script's name, where it is one of a package
        self.import_from = facts.get("import_from", "").split("\n") if facts.get("import_from") else []
        self.loaded_from = facts.get("loaded_from", "")  # a project's folder: its files are code where they are loaded
        self.workers, self.cores, self.jobs = int(facts["workers"]), int(facts["cores"]), int(facts["jobs"])
        self.seed = facts["seed"]  # the run's
        self.timeout_seconds = float(facts["replication_timeout"])
        self.longest_block_seconds = float(facts["longest_block"])
        self.stop_on_error = facts["on_error"] == "stop"
        self.output, self.private_mount = facts["output"], bool(facts["private_mount"])
        self.keep_files = bool(facts["keep_files"])
        # of a script: processes with MPI, options of mpirun, hosts that each run it
        self.ranks, self.each_host = int(facts.get("ranks") or 0), int(facts.get("each_host") or 0)
        self.mpi_options = facts["mpi_options"].split("\n") if facts.get("mpi_options") else []
        program = self.script if self.kind == "command" else ""
        self.included = Included(
            self.code, self.objects, copies=bool(facts["copies"]), beside=self.beside, program=program
        )
        self.supervisor = os.getpid()
        stretches, conditions = block.table("stretches").columns, block.table("conditions").columns
        self.ids = conditions["condition"].values.tolist()
        row = {condition: i for i, condition in enumerate(self.ids)}
        self.stretches = [
            (row[c], first, count)
            for c, first, count in zip(
                *(stretches[name].values.tolist() for name in ("condition", "first", "count")), strict=True
            )
        ]
        seed_keys = [c.values for name, c in conditions.items() if name.startswith("seed_key_")]
        self.seed_keys = np.stack(seed_keys, axis=1).tolist() if seed_keys else []
        keys = np.stack([conditions[f"key_{i}"].values for i in (1, 2, 3, 4)], axis=1)
        self.keys = np.ascontiguousarray(keys).view("<u8")
        self.arguments = [c.strings() for name, c in conditions.items() if name.startswith("argument_")]
        # patterns of the results files' names, where there is more to them than one name
        self.patterns = conditions["results_pattern"].strings() if "results_pattern" in conditions else []
        self.variables = {name[4:]: c.strings() for name, c in conditions.items() if name.startswith("env_")}
        shared = block.table("variables").columns
        self.shared_variables = dict(
            zip(*(map(str, shared[name].strings()) for name in ("name", "value")), strict=True)
        )
        self.metrics: dict[str, str] = {}  # name -> expression
        if any(table.name == "metrics" for table in block.tables):
            found = block.table("metrics").columns
            self.metrics = dict(zip(*(map(str, found[name].strings()) for name in ("name", "value")), strict=True))
        self.parameters = {name: as_python(column) for name, column in block.table("parameters").columns.items()}

    def enter_code(self) -> None:
        """Work in the script's folder of the snapshot, and find modules there and in the folders of its project or package."""
        code = str(self.code.resolve())
        os.chdir(os.path.join(code, self.beside))
        paths = [os.path.join(code, folder) for folder in self.import_from]
        sys.path.insert(place_of_own(sys.path) if self.module else 0, os.getcwd())
        if self.module:
            sys.path.insert(0, paths.pop(0))
            sys.meta_path.insert(0, OwnPackage(self))
        sys.path += paths

    def seed_of(self, row: int, replication: int) -> int:
        """The seed of a replication, of 31 bits, for what takes no other."""
        return seed_of(replication, self.seed_keys[row])

    def seeds_of(self, row: int, replication: int) -> str:
        """The same for each process, or each host, that runs the script."""
        return ",".join(map(str, seeds_of_ranks(replication, self.seed_keys[row], self.ranks or self.each_host)))

    def filled(self, texts: Iterable[str | None], row: int, replication: int) -> list[str]:
        """Texts of the condition, with the number of the condition, of the replication, and its seed in place of marks."""
        seed = self.seed_of(row, replication) if self.seed_keys else ""
        known = {"replication": replication, "seed": seed, "condition": self.ids[row]}
        out = [text or "" for text in texts]
        for name, value in known.items():
            out = [text.replace(MARKS[name], str(value)) for text in out]
        return out

    def variables_of(self, row: int, replication: int) -> dict[str, str]:
        """The environment variables of a replication."""
        return dict(
            zip(self.variables, self.filled((c[row] for c in self.variables.values()), row, replication), strict=True)
        )

    def variables_change(self, row: int) -> bool:
        """Whether environment variables of a condition differ between its replications."""
        texts = [column[row] or "" for column in self.variables.values()]
        return any(MARKS[name] in text for text in texts for name in ("replication", "seed"))

    def values(self, row: int) -> dict[str, Any]:
        return {name: values[row] for name, values in self.parameters.items()}


def as_python(column: blocks.Column) -> list[Any]:
    """A parameter's values as Python code expects them: whole numbers below 2^53 as int, NA as None; lists, or arrays."""
    if column.is_list:
        lengths, elements = blocks.unlisted(column)
        if column.form.startswith("array "):
            inside: Any = elements.values.astype({"double": "f8", "integer": "i8", "logical": "?"}[elements.kind])
        else:
            inside = as_python(elements)
        ends = np.cumsum(np.maximum(lengths, 0)).tolist()
        return [None if n < 0 else inside[end - n : end] for n, end in zip(lengths.tolist(), ends, strict=True)]
    if column.kind == "string":
        return column.strings()
    values = column.values.tolist()
    if column.kind == "double":
        na = (column.values.view("<u8") == blocks.NA_DOUBLE.view("<u8")).tolist()
        whole = [
            None if missing else int(v) if v.is_integer() and abs(v) < 2**53 else v
            for v, missing in zip(values, na, strict=True)
        ]
        return whole
    if column.kind == "logical":
        return [None if v == blocks.NA_INTEGER else bool(v) for v in values]
    return [None if v == blocks.NA_INTEGER else v for v in values]


def facts_here() -> dict[str, str]:
    """The environment that the numbers may depend on: interpreter, packages, BLAS, CPU."""
    cpu = platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line for line in lines if line.startswith("model name")).partition(": ")[2]
    blas = ""
    with contextlib.suppress(Exception):  # numpy's description of its build has no fixed form
        config: Any = np.show_config(mode="dicts")
        blas = " ".join(str(config["Build Dependencies"]["blas"][k]) for k in ("name", "version"))
    return {
        "interpreter": f"Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {version}" for name, version in used_packages()),
        "blas": blas,
        "cpu": cpu,
    }


def keep_facts(job: Job, facts: dict[str, str]) -> None:
    """Write the facts down for `known_facts`, in another process of the job."""
    with contextlib.suppress(OSError):
        part = job.scratch / f"interpreter-{os.getpid()}~"
        part.write_text("\n".join(f"{name}: {text}" for name, text in facts.items()), encoding="utf-8")
        os.replace(part, job.scratch / "interpreter")


def known_facts(job: Job) -> dict[str, str]:
    """The facts of the interpreter that runs the replications; none if it is this Python."""
    with contextlib.suppress(OSError):
        lines = (job.scratch / "interpreter").read_text(encoding="utf-8").splitlines()
        return dict(line.partition(": ")[::2] for line in lines)
    return {}


def used_packages() -> list[tuple[str, str]]:
    """Imported top-level packages that have a __version__: name and version."""
    own = {"simferry_worker", "worker", "simferry"}
    found = []
    for name, module in list(sys.modules.items()):
        version = None
        with contextlib.suppress(Exception):  # sys.modules may hold any object
            version = vars(module).get("__version__") if "." not in name and name not in own else None
        if type(version) is str and name not in sys.stdlib_module_names and not name.startswith("_"):
            found.append((name, version))
    return sorted(found)


def in_container(job: Job) -> bool:
    return job.root == CONTRACT / "processing"


def give_up(job: Job, text: str) -> NoReturn:
    """End the whole job, from the supervisor or from one of its processes."""
    # in a container under the contract of SageMaker the second file becomes the ExitMessage of the job
    for folder in [job.root, *([OUTPUT] if in_container(job) and OUTPUT.is_dir() else [])]:
        leave_message(folder, text)
    sys.stdout.flush()
    os._exit(1)


def leave_message(folder: Path, text: str) -> None:
    """Write the message atomically. When it exists, the supervisor ends all processes. An empty message means a full disk."""
    part = folder / f"message-{os.getpid()}~"
    with contextlib.suppress(OSError):  # on a full disk perhaps only an empty file can be made
        part.write_text(text, errors="backslashreplace")
    with contextlib.suppress(OSError):
        os.replace(part, folder / "message")
