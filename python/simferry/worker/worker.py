"""The worker: runs the stretches of one job beside a Python simulation or any command, and writes blocks.

    python worker.py check ROOT     is the simulation fit to run? answers in ROOT/check
    python worker.py run ROOT       runs ROOT/input/plan/job on all of the job's cores
    python worker.py replay ROOT    runs that job's one replication in the foreground

ROOT's folders are those of worker.R, which speaks the same protocol in R. It needs numpy, and cloudpickle where a function
object was sent; simferry itself need not be installed.
"""

import ast
import contextlib
import copy
import importlib.util
import inspect
import multiprocessing
import multiprocessing.connection
import os
import pickle
import platform
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).parent))
import blocks  # type: ignore[import-not-found]
import numpy as np

Stretch = tuple[int, int, int]  # row of the condition, first replication, count
CONTRACT = Path("/opt/ml")
WORKER_FILES = {"worker.R", "worker.py", "blocks.py", "profile.R", "private_mount.sh"}


class Refused(Exception):
    """The simulation returned something that can't be kept."""


class NotKept(Exception):
    """What a replication wrote could not be kept: no room on the disk, say."""


class ScriptFailed(Exception):
    """A whole script or a command did not end well."""


class Job:
    """What is to be run: ROOT/input/plan/job, read."""

    def __init__(self, root: Path) -> None:
        block = blocks.decode((root / "input" / "plan" / "job").read_bytes())
        facts = block.facts
        self.root, self.code, self.scratch = root, root / "input" / "code", root / "scratch"
        self.run, self.prefix = facts["run"], f"{facts['plan']}-{facts['job']}-{facts['attempt']}"
        self.language, self.kind, self.function = facts["language"], facts["kind"], facts["function"]
        self.script, self.objects, self.results_file = facts["script"], facts["objects"], facts["results_file"]
        self.workers, self.cores, self.jobs = int(facts["workers"]), int(facts["cores"]), int(facts["jobs"])
        self.timeout_seconds = float(facts["replication_timeout"])
        self.longest_block_seconds = float(facts["longest_block"])
        self.stop_on_error = facts["on_error"] == "stop"
        self.output, self.private_mount = facts["output"], bool(facts["private_mount"])
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
        self.seeds = conditions["seed"].values.tolist()
        keys = np.stack([conditions[f"key_{i}"].values for i in (1, 2, 3, 4)], axis=1)
        self.keys = np.ascontiguousarray(keys).view("<u8")
        self.arguments = [c.strings() for name, c in conditions.items() if name.startswith("argument_")]
        self.parameters = {name: as_python(column) for name, column in block.table("parameters").columns.items()}

    def values(self, row: int) -> dict[str, Any]:
        return {name: values[row] for name, values in self.parameters.items()}


def as_python(column: blocks.Column) -> list[Any]:
    """A parameter's values as Python code expects them: whole numbers below 2^53 as int, NA as None."""
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
    """What the numbers may depend on besides the code."""
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


def used_packages() -> list[tuple[str, str]]:
    """Imported top-level packages that say their version."""
    own = {"blocks", "worker", "simferry"}
    found = []
    for name, module in list(sys.modules.items()):
        version = vars(module).get("__version__") if "." not in name and name not in own else None
        if isinstance(version, str) and name not in sys.stdlib_module_names and not name.startswith("_"):
            found.append((name, version))
    return sorted(found)


# ---- what a replication returned, as rows ----


def as_rows(value: Any) -> dict[str, list[Any]] | None:
    """Columns of equal length; None where the value is no table and has to be kept whole."""
    if value is None:
        return {}
    if inspect.isroutine(value) or inspect.isclass(value) or hasattr(value, "fileno") or inspect.isgenerator(value):
        raise Refused(
            f"the simulation returned a {type(value).__name__}, which can't be kept: "
            "return numbers, a dict, a tuple or a data frame"
        )
    if is_plain(value):
        return {"value": [value]}
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if hasattr(value, "to_frame") and hasattr(value, "to_dict"):  # a pandas.Series: its index are names
        value = {str(k): v for k, v in value.to_dict().items()}
    if isinstance(value, dict):
        for item in value.values():
            if inspect.isroutine(item) or hasattr(item, "fileno"):
                raise Refused(f"the simulation returned a dict with a {type(item).__name__}, which can't be kept")
        return {str(k): [v] for k, v in value.items()} if all(map(is_plain, value.values())) else None
    if hasattr(value, "columns") and hasattr(value, "itertuples"):  # a pandas.DataFrame
        columns = {str(name): value.iloc[:, i].tolist() for i, name in enumerate(value.columns)}
        return columns if all(is_plain(v) for column in columns.values() for v in column) else None
    if isinstance(value, np.ndarray) and value.dtype != object and value.ndim in (0, 1, 2):
        if value.ndim == 2:
            return {f"value_{j + 1}": value[:, j].tolist() for j in range(value.shape[1])}
        value = value.tolist() if value.ndim else [value.item()]
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(v, dict) for v in value):
            names = list(dict.fromkeys(name for v in value for name in v))
            columns = {str(name): [v.get(name) for v in value] for name in names}
            return columns if all(is_plain(v) for column in columns.values() for v in column) else None
        if all(map(is_plain, value)):
            return {f"value_{i + 1}" if len(value) > 1 else "value": [v] for i, v in enumerate(value)}
    return None


def pickled(value: Any) -> bytes:
    dumps: Callable[[Any], bytes] = pickle.dumps
    with contextlib.suppress(ImportError):  # an image that runs scripts need not have it
        import cloudpickle

        dumps = cloudpickle.dumps
    try:
        return dumps(value)
    except Exception as error:
        raise Refused(f"the simulation returned a {type(value).__name__}, which can't be kept: {error}") from None


def is_simple(value: Any) -> bool:
    """Whether it is a number, or a dict of numbers: what most simulations return, found out fast."""
    if type(value) is dict:
        return all(type(v) in _NUMBERS for v in value.values())
    return type(value) in _NUMBERS


_NUMBERS = (float, int, bool, np.float64)


def is_plain(value: Any) -> bool:
    if isinstance(value, (bool, int, float, str, np.number, np.bool_)):
        return not isinstance(value, np.complexfloating)
    # pandas' missing values and times; neither is worth an import here
    return value is None or type(value).__name__ in ("NAType", "NaTType", "Timestamp", "date", "datetime")


def column_of(values: list[Any]) -> blocks.Column:
    """Plain values as one column: logical, integer, double or string, whichever holds them all."""
    if all(type(v) is float or type(v) is np.float64 for v in values):  # most columns, fast
        return blocks.numbers("double", values)
    values = [v.item() if isinstance(v, np.generic) else v for v in values]
    values = [None if type(v).__name__ in ("NAType", "NaTType") else v for v in values]
    kinds = {type(v) for v in values if v is not None}
    if kinds <= {bool}:
        return blocks.numbers("logical", [blocks.NA_INTEGER if v is None else v for v in values])
    if kinds <= {bool, int} and all(v is None or -(2**31) < v < 2**31 for v in values):
        return blocks.numbers("integer", [blocks.NA_INTEGER if v is None else v for v in values])
    if kinds <= {bool, int, float} and not any(type(v) is int and not _is_double(v) for v in values):
        out = np.array([0.0 if v is None else v for v in values], dtype="<f8")
        out[[v is None for v in values]] = blocks.NA_DOUBLE
        return blocks.numbers("double", out)
    return blocks.strings([None if v is None else blocks.as_text(v) for v in values])


def _is_double(value: int) -> bool:
    """Whether a double holds it exactly; texts do where doubles don't."""
    with contextlib.suppress(OverflowError):
        return float(value) == value
    return False


def result_tables(condition: list[int], replication: list[int], values: list[Any]) -> list[blocks.Table]:
    """One table for each distinct set of columns."""
    first = values[0] if values else None
    if type(first) is dict and first and is_simple(first):
        names = list(first)
        if all(type(v) is dict and list(v) == names and is_simple(v) for v in values):  # the common case, fast
            columns = [column_of([v[name] for v in values]) for name in names]
            return [results_table(condition, replication, dict(zip(map(str, names), columns, strict=True)))]
    groups: dict[tuple[str, ...], tuple[list[int], list[int], list[list[Any]]]] = {}
    for c, r, value in zip(condition, replication, values, strict=True):
        rows = as_rows(value)
        if rows:
            cs, rs, columns = groups.setdefault(tuple(rows), ([], [], [[] for _ in rows]))
            n = len(next(iter(rows.values())))
            cs += [c] * n
            rs += [r] * n
            for column, more in zip(columns, rows.values(), strict=True):
                column += more
    return [
        results_table(cs, rs, {name: column_of(c) for name, c in zip(names, columns, strict=True)})
        for names, (cs, rs, columns) in groups.items()
    ]


def results_table(condition: list[int], replication: list[int], columns: dict[str, blocks.Column]) -> blocks.Table:
    ids = ids_of(condition, replication)
    outputs = {f"{name}_result" if name in ids else name: column for name, column in columns.items()}
    return table("results", ids, outputs)


def table(name: str, *columns: dict[str, blocks.Column]) -> blocks.Table:
    merged = {key: column for part in columns for key, column in part.items()}
    return blocks.Table(name, len(next(iter(merged.values())).values), merged)


# ---- the simulation ----


def load_function(job: Job) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function, of the script in ROOT/input/code or sent as an object, and the constants that it is given every time."""
    if job.objects:
        with open(job.code / job.objects, "rb") as file:
            return pickle.load(file)  # written by the user who started the run
    return getattr(load_script(job), job.function), {}


def load_script(job: Job) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(Path(job.script).stem, job.code / job.script)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def takes_rng(function: Callable[..., Any]) -> bool:
    with contextlib.suppress(TypeError, ValueError):
        return "rng" in inspect.signature(function).parameters
    return False


class FunctionRunner:
    """Calls the function, each replication on its own stream."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.function, self.constants = load_function(job)
        self.rng = takes_rng(self.function)
        self.bits = np.random.Philox(key=[0, 0])
        self.generator = np.random.Generator(self.bits)
        self.state = self.bits.state
        self.row = -1

    def __call__(self, row: int, replication: int) -> Any:
        if row != self.row:
            self.row, self.parameters = row, {**self.constants, **self.job.values(row)}
            if self.rng:
                self.parameters["rng"] = self.generator
                self.state["state"]["key"] = self.job.keys[row]
        if self.rng:
            state = self.state
            state["state"]["counter"][:] = (0, 0, 0, replication)
            state["buffer_pos"], state["has_uint32"], state["uinteger"] = 4, 0, 0
            self.bits.state = state
        else:
            words = [*self.job.keys[row].view("<u4").tolist(), replication]
            np.random.seed(words)
            random.seed(int.from_bytes(np.array(words, dtype="<u4").tobytes(), "little"))
        return self.function(**self.parameters)

    def text(self) -> None:
        return None


class ScriptRunner:
    """Runs a whole script or a command once, in an output folder of its own; `text` is then its results file."""

    def __init__(self, job: Job, process: int) -> None:
        self.job, self.process = job, process
        self.output = Path(job.output) if job.output else job.scratch / f"output-{process}"
        self.beside = (
            [p for p in job.code.resolve().iterdir() if p.name not in WORKER_FILES] if job.code.is_dir() else []
        )

    def __call__(self, row: int, replication: int) -> None:
        job, output = self.job, self.output
        output.mkdir(parents=True, exist_ok=True)
        for old in output.iterdir():
            remove(old)
        links = [output / p.name for p in self.beside]
        for link, target in zip(links, self.beside, strict=True):
            link.symlink_to(target)
        log = job.scratch / f"log-{self.process}"
        with open(log, "wb") as stream:
            status = self.run(self.command(row, replication), self.environment(row, replication), stream)
        said = log.read_text(errors="replace")
        sys.stdout.write(said)
        sys.stdout.flush()
        for link in links:
            link.unlink(missing_ok=True)
        results = output / job.results_file
        self._text = read_text(results) if job.results_file and results.is_file() else None
        self.keep_output(self.job.ids[row], replication)
        if status is None:
            raise ScriptFailed(f"timed out after {job.timeout_seconds:g} s")
        if status != 0:
            tail = "\n".join([line for line in said.splitlines() if line.strip()][-5:])
            raise ScriptFailed(f"the {job.kind} ended with status {status}: {tail}")
        if job.results_file and self._text is None:
            raise ScriptFailed(f"the {job.kind} ended without writing {job.results_file} in its output folder")

    def text(self) -> str | None:
        return self._text

    def seed(self, row: int, replication: int) -> int:
        return (self.job.seeds[row] + replication) % 2**31

    def command(self, row: int, replication: int) -> list[str]:
        job = self.job
        marks = {"\ue001": replication, "\ue002": self.seed(row, replication), "\ue003": job.ids[row]}
        given = [column[row] or "" for column in job.arguments]
        for mark, value in marks.items():
            given = [text.replace(mark, str(value)) for text in given]
        beside = job.code / job.script
        program = str(beside.resolve()) if beside.is_file() else job.script
        start = [sys.executable, program] if job.language == "python" else [program]
        if job.private_mount:
            start = ["sh", str((job.code / "private_mount.sh").resolve()), str(self.output.resolve()), *start]
        return [*start, *given]

    def environment(self, row: int, replication: int) -> dict[str, str]:
        return {
            **os.environ,
            "SIMFERRY_OUTPUT": str(self.output.resolve()),
            "SIMFERRY_SEED": str(self.seed(row, replication)),
            "SIMFERRY_CORES": str(self.job.cores),
        }

    def run(self, command: list[str], environment: dict[str, str], stream: Any) -> int | None:
        """The exit status, or None after the time limit. It runs in a session of its own, so that its children end with it."""
        try:
            child = subprocess.Popen(
                command, cwd=self.output, env=environment, stdin=subprocess.DEVNULL,
                stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise ScriptFailed(f"{command[0]} can't be started: {error.strerror}") from None
        try:
            return child.wait(self.job.timeout_seconds or None)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def keep_output(self, condition: int, replication: int) -> None:
        written = sorted(self.output.iterdir())
        if written:
            folder = self.job.root / "artifacts" / str(condition) / str(replication)
            with keeping():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                for path in written:
                    shutil.move(str(path), str(folder / path.name))


@contextlib.contextmanager
def keeping() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotKept(str(error)) from None


def read_text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


# ---- a process of the job: claims pieces, runs them, writes blocks ----


def cut_pieces(counts: list[int], workers: int) -> list[int]:
    """Ends of pieces: consecutive stretches that processes claim in turn, each about a share of what is left.

    Every process computes the same cut; making a folder decides who has a piece.
    """
    total = np.cumsum(np.asarray(counts, dtype=float))
    ends: list[int] = []
    at = 0
    while at < len(counts):
        before = total[at - 1] if at else 0.0
        at = max(at + 1, int(np.searchsorted(total, before + (total[-1] - before) / (4 * workers), side="right")))
        ends.append(at)
    return ends


class Process:
    """Runs stretches until there are none left to claim, and writes a block every second or so.

    careful: before each replication its name is written down, so that the supervisor knows which one crashed or hangs.
    """

    def __init__(self, job: Job, number: int, pieces: list[int] | None, careful: bool) -> None:
        self.job, self.number, self.pieces, self.careful = job, number, pieces, careful
        self.sequence = 0
        self.fraction = 1e-9
        self.flushing = False
        self.stopping = (job.scratch / "stop").exists()
        self.started = self.block_started = time.perf_counter()
        self.clear()

    def clear(self) -> None:
        self.condition: list[int] = []
        self.replication: list[int] = []
        self.ok: list[bool] = []
        self.seconds: list[float] = []
        self.values: list[Any] = []
        self.failures: list[tuple[int, int, str, str, str]] = []
        self.warned: dict[tuple[int, int, str], int] = {}
        self.texts: list[tuple[int, int, str]] = []

    def work(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, self.interrupt)
        job = self.job
        with contextlib.suppress(OSError):  # where memory runs out this process is to end, and not its supervisor
            Path("/proc/self/oom_score_adj").write_text("1000")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always")  # before the script is loaded: it may say which ones it ignores
                self.run = FunctionRunner(job) if job.kind == "function" else ScriptRunner(job, self.number)
                self.facts = {"run": job.run, **facts_here()}
                warnings.showwarning = self.warn
                for span in self.claims():
                    for stretch in span:
                        self.stretch(*stretch)
            self.flush()
        except KeyboardInterrupt:  # keep what is whole
            n = min(len(self.condition), len(self.replication), len(self.ok), len(self.seconds))
            for kept in (self.condition, self.replication, self.ok, self.seconds):
                del kept[n:]
            del self.values[sum(self.ok) :]
            whole = set(zip(self.condition, self.replication, strict=True))
            self.failures = [f for f in self.failures if f[:2] in whole]
            self.texts = [t for t in self.texts if t[:2] in whole]
            self.warned = {at: count for at, count in self.warned.items() if at[:2] in whole}
            self.flush()
        except Refused as error:
            give_up(job, f"refused: {error} (condition {job.ids[self.at[0]]}, replication {self.at[1]})")
        except (OSError, NotKept) as error:
            give_up(job, f"disk: {error}")
        except Exception as error:
            traceback.print_exc()
            message, where, _ = describe(error)
            give_up(job, f"{'worker' if hasattr(self, 'run') else 'load'}: {message} ({where})")
        finished(job, self.number).touch()

    def interrupt(self, *_: Any) -> None:
        """SIGINT: what is computed now does not count, even where the simulation goes on regardless; a block is finished."""
        first, self.stopping = not self.stopping, True
        if first and not self.flushing:
            raise KeyboardInterrupt

    def claims(self) -> Any:
        if self.pieces is None:
            self.fraction = 1.0
            yield self.job.stretches
            return
        before = 0
        for number, end in enumerate(self.pieces):
            try:
                os.mkdir(self.job.scratch / "claims" / str(number))
            except FileExistsError:
                pass
            else:
                with open(self.job.scratch / f"claimed-{self.number}", "a") as file:
                    file.write(f"{before} {end}\n")
                self.fraction = end / len(self.job.stretches)
                yield self.job.stretches[before:end]
            before = end

    def stretch(self, row: int, first: int, count: int) -> None:
        job, clock, run = self.job, time.perf_counter, self.run
        condition = job.ids[row]
        before = clock()
        for replication in range(first, first + count):
            if self.stopping:
                raise KeyboardInterrupt
            self.at = (row, replication)
            if self.careful:
                write_marker(job, self.number, condition, replication)
            ok = True
            try:
                value = run(row, replication)
                if self.stopping:
                    raise KeyboardInterrupt
                if not is_simple(value) and as_rows(value) is None:
                    self.keep_object(condition, replication, value)
                    value = None
            except (Refused, NotKept):
                raise
            except BaseException as error:  # whatever it is, SystemExit too: it is recorded, and the rest goes on
                if self.stopping:
                    raise KeyboardInterrupt from None
                ok = False
                self.failures.append((condition, replication, *describe(error)))
            else:
                self.values.append(value)
                text = run.text()
                if text is not None:
                    self.texts.append((condition, replication, text))
            now = clock()
            self.condition.append(condition)
            self.replication.append(replication)
            self.seconds.append(now - before)
            self.ok.append(ok)
            before = now
            if (now - self.block_started > 1 and now - self.block_started > self.seconds_per_block(now)) or (
                not ok and job.stop_on_error
            ):
                self.flush()

    def keep_object(self, condition: int, replication: int, value: Any) -> None:
        """Objects that are no table are kept whole, beside the block."""
        folder = self.job.root / "artifacts" / str(condition) / str(replication)
        open_file = self.job.scratch / f"object-{self.number}"
        data = pickled(value)
        with keeping():
            folder.mkdir(parents=True, exist_ok=True)
            open_file.write_bytes(data)
            os.replace(open_file, folder / "value.pkl")

    def warn(self, message: Any, category: Any, *_: Any, **__: Any) -> None:
        row, replication = self.at
        key = (self.job.ids[row], replication, f"{category.__name__}: {message}")
        self.warned[key] = self.warned.get(key, 0) + 1

    def seconds_per_block(self, now: float) -> float:
        """A second, but not more than 50,000 blocks for the whole run."""
        total = (now - self.started) * self.job.workers * self.job.jobs / self.fraction
        return min(max(1.0, total / 50_000), self.job.longest_block_seconds)

    def flush(self) -> None:
        self.flushing = True
        if self.careful:
            marker_file(self.job, self.number).unlink(missing_ok=True)
        if self.condition:
            if os.getppid() != self.job.supervisor:
                os._exit(1)  # a run without a supervisor is taken up by another
            self.sequence += 1
            name = f"{self.sequence:06d}-r{len(self.ok)}-f{self.ok.count(False)}"
            save_block(self.job, self.number, name, self.facts, self.tables())
        self.clear()
        self.block_started = time.perf_counter()
        self.flushing = False

    def tables(self) -> list[blocks.Table]:
        status = {"ok": blocks.numbers("logical", self.ok), "seconds": blocks.numbers("double", self.seconds)}
        tables = [table("replications", ids_of(self.condition, self.replication), status)]
        if self.job.kind == "function" and self.values:
            good = [i for i, ok in enumerate(self.ok) if ok]
            tables += result_tables([self.condition[i] for i in good], [self.replication[i] for i in good], self.values)
        if self.failures:
            tables.append(records("failures", ("message", "call", "traceback"), self.failures))
        if self.warned:
            tables.append(records("warnings", ("message",), list(self.warned)))
            tables[-1].columns["count"] = blocks.numbers("integer", list(self.warned.values()))
        if self.texts:
            tables.append(records("outputs", ("text",), self.texts))
        return tables


def ids_of(condition: Any, replication: Any) -> dict[str, blocks.Column]:
    return {"condition": blocks.numbers("integer", condition), "replication": blocks.numbers("integer", replication)}


def records(name: str, fields: tuple[str, ...], rows: list[Any]) -> blocks.Table:
    """A table of (condition, replication, *texts)."""
    columns = list(zip(*rows, strict=True))
    texts = {field: blocks.strings(column) for field, column in zip(fields, columns[2:], strict=True)}
    return table(name, ids_of(columns[0], columns[1]), texts)


def save_block(job: Job, process: int, name: str, facts: dict[str, str], tables: list[blocks.Table]) -> None:
    """name: number-rREPLICATIONS-fFAILED"""
    name = f"{job.prefix}-{process:02d}.{name}"
    data = blocks.encode(blocks.Block(facts, tables))
    open_file = job.scratch / name
    try:
        open_file.write_bytes(data)
        os.rename(open_file, job.root / "blocks" / name)
    except OSError:
        open_file.unlink(missing_ok=True)  # makes room for the message that says so
        raise


def marker_file(job: Job, process: int) -> Path:
    """Where a careful process says which replication it is at."""
    return job.scratch / f"now-{process}"


def write_marker(job: Job, process: int, condition: int, replication: int) -> None:
    path = marker_file(job, process)
    with open(f"{path}~", "w") as file:
        file.write(f"{condition} {replication}")
    os.rename(f"{path}~", path)


def finished(job: Job, process: int) -> Path:
    """A file that is there when a process came to its end: an exit status may be the simulation's own."""
    return job.scratch / f"finished-{process}"


def describe(error: BaseException) -> tuple[str, str, str]:
    """Message, call and traceback of a failed replication, without the worker's own frames."""
    if isinstance(error, ScriptFailed):
        return str(error), "", ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    call = f"{frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    text = "".join(traceback.format_list(frames[-30:]) + traceback.format_exception_only(error))
    return f"{type(error).__name__}: {error}", call, text


def in_container(job: Job) -> bool:
    return job.root == CONTRACT / "processing" and (CONTRACT / "output").is_dir()


def memory_kills() -> int:
    """How many processes have been ended for want of memory, here or in this container (cgroup v2, v1)."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        with contextlib.suppress(OSError):
            for line in Path(path).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def give_up(job: Job, text: str) -> NoReturn:
    """Ends the whole job, from the supervisor or from one of its processes."""
    # in a container under SageMaker's contract, the second place becomes the job's ExitMessage
    for place in [job.root, *([CONTRACT / "output"] if in_container(job) else [])]:
        with contextlib.suppress(OSError):  # on a full disk, the file alone may be all that can be made
            (place / "message").write_text(text, errors="backslashreplace")
    sys.stdout.flush()
    os._exit(1)


# ---- the supervisor: forks processes, and outlives their crashes ----


class Supervisor:
    """Forks the job's processes, ends those that hang, and has the work of those that died done by others."""

    def __init__(self, job: Job) -> None:
        job.workers = max(1, job.workers // job.cores)
        self.job = job
        careful = job.timeout_seconds > 0 and job.kind == "function"
        self.everything = Part(
            job.stretches, cut_pieces([count for _, _, count in job.stretches], job.workers), careful
        )
        self.children: dict[int, tuple[Part, Any]] = {}
        self.seen: dict[int, tuple[str, float]] = {}
        self.hung: set[int] = set()
        self.started = 0
        self.in_vain = 0  # how many processes, one after the other, died without having come any further
        self.driver = int(os.environ.get("SIMFERRY_DRIVER", "0"))

    def start(self, part: "Part") -> None:
        self.started += 1
        job = copy.copy(self.job)
        job.stretches = part.stretches
        process = Process(job, self.started, part.pieces, part.careful)
        # forked, so that a second process costs milliseconds; see docs/decisions/worker-processes.md
        child = multiprocessing.get_context("fork").Process(target=process.work)
        child.start()
        self.children[self.started] = (part, child)

    def run(self) -> None:
        # an interrupt is for the processes: they write what they have, and end
        signal.signal(signal.SIGINT, self.hand_on if in_container(self.job) else signal.SIG_IGN)
        (self.job.scratch / "claims").mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(ImportError):
            if self.job.objects:
                import cloudpickle  # noqa: F401  once, here, and not in every process
        self.killed_before = memory_kills()
        for _ in range(min(self.job.workers, len(self.everything.pieces or ()))):
            self.start(self.everything)
        while self.children:
            self.tend()

    def hand_on(self, number: int, _frame: Any) -> None:
        """A signal to a container reaches its first process alone."""
        for _, child in list(self.children.values()):
            with contextlib.suppress(OSError):
                os.kill(child.pid, number)

    def tend(self) -> None:
        job = self.job
        multiprocessing.connection.wait([child.sentinel for _, child in self.children.values()], timeout=0.2)
        if (job.root / "message").exists() or (self.driver and os.getppid() != self.driver):
            self.end_all()
        for number, (part, child) in list(self.children.items()):
            if child.exitcode is not None:
                del self.children[number]
                child.join()
                if (job.scratch / "stop").exists() or (job.root / "message").exists():
                    continue
                if not finished(job, number).exists():
                    self.recover(number, part)
                elif part.then:
                    self.start(part.then)
            elif part.careful and job.timeout_seconds > 0 and number not in self.hung:
                now = marker(job, number)
                if now and self.seen.get(number, ("", 0.0))[0] != now:
                    self.seen[number] = (now, time.monotonic())
                elif now and time.monotonic() - self.seen[number][1] > job.timeout_seconds:
                    self.hung.add(number)
                    for pid in family(child.pid):
                        with contextlib.suppress(OSError):
                            os.kill(pid, signal.SIGKILL)

    def end_all(self) -> NoReturn:
        for _, child in self.children.values():
            child.kill()
        sys.exit(1)

    def recover(self, number: int, part: "Part") -> None:
        """A process died: what it had claimed and not finished is run again by one that is careful, which names the culprit
        if it dies too."""
        job, left, then = self.job, part.stretches, part.then
        if part.pieces is not None:
            claimed = job.scratch / f"claimed-{number}"
            spans = [map(int, line.split()) for line in claimed.read_text().splitlines()] if claimed.exists() else []
            left, then = [stretch for before, end in spans for stretch in job.stretches[before:end]], part
        done: set[tuple[int, int]] = set()
        for path in (job.root / "blocks").glob(f"{job.prefix}-{number:02d}.*"):
            columns = blocks.decode(path.read_bytes()).table("replications").columns
            done |= set(zip(columns["condition"].values.tolist(), columns["replication"].values.tolist(), strict=True))
        left = self.without(left, done)
        at = marker(job, number) if part.pieces is None or number in self.hung else ""
        if at:
            culprit = tuple(map(int, at.split()))
            why = (
                f"timed out after {job.timeout_seconds:g} s"
                if number in self.hung
                else "out of memory"
                if memory_kills() > self.killed_before
                else "the process ended (a crash, an exit, or out of memory)"
            )
            status = {"ok": blocks.numbers("logical", [False]), "seconds": blocks.numbers("double", [np.nan])}
            tables = [
                table("replications", ids_of(*([v] for v in culprit)), status),
                records("failures", ("message", "call", "traceback"), [(*culprit, why, "", "")]),
            ]
            save_block(job, number, "999999-r1-f1", {"run": job.run, **facts_here()}, tables)
            left = self.without(left, {culprit})
        self.in_vain = 0 if at or done or (part.pieces is not None and left) else self.in_vain + 1
        if self.in_vain > 2:
            give_up(job, "worker: its processes end before they have run anything (out of memory?)")
        if left:
            self.start(Part(left, None, True, then))
        elif then:
            self.start(then)

    def without(self, stretches: list[Stretch], done: set[Any]) -> list[Stretch]:
        """Stretches without some (condition, replication)."""
        out: list[Stretch] = []
        for row, first, count in stretches:
            condition, begin = self.job.ids[row], first
            for r in range(first, first + count + 1):
                if r == first + count or (condition, r) in done:
                    if r > begin:
                        out.append((row, begin, r - begin))
                    begin = r + 1
        return out


@dataclass
class Part:
    """What one process is to do: claim pieces of the stretches, or else all of them; and what another is to do after it."""

    stretches: list[Stretch]
    pieces: list[int] | None
    careful: bool
    then: "Part | None" = None


def family(pid: int) -> list[int]:
    """A process and the programs that it has started, as far as the system tells."""
    found = [pid]
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += family(int(child))
    return found


def marker(job: Job, process: int) -> str:
    try:
        return marker_file(job, process).read_text()
    except FileNotFoundError:
        return ""


# ---- is the simulation fit to run? ----


def check(root: Path) -> None:
    job = Job(root)
    facts = {"problem": "", "detail": ""}
    arguments: list[tuple[str, bool]] = []
    functions: list[str] = []
    try:
        if job.script and job.language == "python":
            source = (job.code / job.script).read_bytes()
            tree = ast.parse(source, job.script)
            if absent := missing_modules(tree, job.code):
                facts.update(problem="packages", detail="\n".join(absent))
            elif job.kind == "function":
                module = load_script(job)
                functions = [
                    n
                    for n, f in vars(module).items()
                    if callable(f) and getattr(f, "__module__", "") == module.__name__
                ]
                if callable(getattr(module, job.function, None)):
                    arguments = arguments_of(getattr(module, job.function))
                else:
                    facts.update(problem="function", detail=job.function)
    except SyntaxError as error:
        facts.update(problem="syntax", detail=f"{job.script}, line {error.lineno}: {error.msg}")
    except BaseException as error:
        facts.update(problem="load", detail=describe(error)[0] + f" (in {describe(error)[1]})")
    facts |= facts_here()
    flags = blocks.numbers("logical", [has_default for _, has_default in arguments])
    tables = [
        table("arguments", {"name": blocks.strings([name for name, _ in arguments]), "has_default": flags}),
        table("functions", {"name": blocks.strings(functions)}),
    ]
    (root / "check").write_bytes(blocks.encode(blocks.Block(facts, tables)))


def arguments_of(function: Callable[..., Any]) -> list[tuple[str, bool]]:
    """Names of a function's arguments and whether each may be left out; `**` is called `...`, as R has it."""
    out = []
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.VAR_KEYWORD:
            out.append(("...", True))
        elif p.kind is not p.VAR_POSITIONAL:
            out.append((p.name, p.default is not p.empty))
    return out


def missing_modules(tree: ast.AST, code: Path) -> list[str]:
    """Modules that the script imports unconditionally, and that are not to be had."""
    names = []
    for node in getattr(tree, "body", []):
        if isinstance(node, ast.Import):
            names += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.append(node.module.partition(".")[0])
    return sorted({n for n in names if importlib.util.find_spec(n) is None})


# ---- one replication in the foreground ----


def replay(root: Path) -> None:
    """What it prints is shown. ROOT/replay is left behind, a block that tells how it ended, and ROOT/value.pkl."""
    job = Job(root)
    row, replication, _ = job.stretches[0]
    job.scratch.mkdir(exist_ok=True)
    shown, failure = "", ("", "", "")
    try:
        if job.kind == "function":
            value = FunctionRunner(job)(row, replication)
            as_rows(value)  # refuses what a run would not keep
            shown = repr(value)
            with contextlib.suppress(ImportError):  # the reader has no module that the script was
                import cloudpickle

                if job.script:
                    cloudpickle.register_pickle_by_value(sys.modules[Path(job.script).stem])
        else:
            runner = ScriptRunner(job, 0)
            runner(row, replication)
            value = runner.text()
            shown = "" if value is None else f"{job.results_file}:\n{value}"
        (root / "value.pkl").write_bytes(pickled(value))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too, as in a run
        failure = describe(error)
    columns = dict(zip(("shown", "message", "call", "traceback"), (shown, *failure), strict=True))
    said = table("replay", {name: blocks.strings([text]) for name, text in columns.items()})
    (root / "replay").write_bytes(blocks.encode(blocks.Block({"failed": "yes" if any(failure) else ""}, [said])))


def main(arguments: list[str]) -> int:
    verb = arguments[0]
    root = Path(arguments[1] if len(arguments) > 1 else "/opt/ml/processing").resolve()
    # so that open("data.csv") and `import helpers` find what came along with the script
    os.chdir(root / "input" / "code")
    sys.path.insert(0, os.getcwd())
    sys.dont_write_bytecode = True
    if verb == "check":
        check(root)
    elif verb == "replay":
        replay(root)
    else:
        (root / "scratch").mkdir(exist_ok=True)
        job = Job(root)
        supervisor = Supervisor(job)
        try:
            supervisor.run()
        except OSError as error:
            if not (root / "message").exists():
                (root / "message").write_text(f"disk: {error}")
            supervisor.end_all()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
