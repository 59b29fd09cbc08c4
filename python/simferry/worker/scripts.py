"""Simulations that are whole scripts or commands: each replication is a new process."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import hooks, streams
from .family import ending
from .folders import Folder, name_of, stamp
from .job import Job
from .metrics import LAST, SERIES, as_csv, last_of, series_of
from .seeds import seed_hex_of


class ScriptFailed(Exception):
    """A whole script or a command failed."""


class Reported(Exception):
    """An error in a replication that another interpreter ran: message, call and traceback, as it reported them."""


class NotKept(Exception):
    """The files of a replication could not be kept, for instance because the disk is full."""


class ScriptRunner:
    """Runs a whole script or a command in a working directory of its own. `files` then has its results files: names and contents."""

    limit, ahead = 1, ()  # as of OctaveRunner: it computes none ahead

    def end(self) -> None:
        """Nothing is left to end."""

    def __init__(self, job: Job, process: int, on_warning: Callable[[str], None]) -> None:
        self.job, self.process, self.on_warning = job, process, on_warning
        self.output = Path(job.output) if job.output else job.scratch / f"output-{process}"
        self.home = self.output / job.beside  # where the script is started
        self.folder = Folder(self.output, job.scratch / f"loaded-{process}", job.included)
        self.processes = job.scratch / f"processes-{process}"  # where the processes that it starts are counted
        self.used: dict[str, str] = {}  # files that they loaded: see below.report_own_code

    def __call__(self, row: int, replication: int) -> None:
        job = self.job
        shutil.rmtree(self.processes, ignore_errors=True)
        self.processes.mkdir()
        log = job.scratch / f"log-{self.process}"
        with open(log, "wb") as stream:
            status = self.run(self.command(row, replication), self.environment(row, replication), stream)
        self.used |= loaded_files(self.processes)
        sys.stdout.flush()
        with open(log, "rb") as printed:  # it may not fit into memory
            shutil.copyfileobj(printed, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            printed.seek(max(0, printed.tell() - 100_000))
            printed_text = printed.read().decode(errors="replace")
        self.files = self.read_results(row, replication) if job.results_file else {}
        is_there = bool(self.files) or not job.results_file
        wrote = "" if is_there else self.shown_files()
        series = self.read_metrics(log)
        self.keep_output(self.job.ids[row], replication)
        if status is None:
            raise ScriptFailed(f"timed out after {job.timeout_seconds:g} s")
        if status != 0:
            tail = last_words(printed_text)
            if job.language == "octave":
                from .octave_text import lacked

                tail = lacked(printed_text) or tail
            how = f"status {status}" if status >= 0 else ending(status)
            raise ScriptFailed(
                f"the {job.kind} ended with {how}: {tail}" if tail else f"the {job.kind} ended with {how}"
            )
        if not is_there:
            raise ScriptFailed(f"the {job.kind} ended without writing {job.results_file} in its output folder{wrote}")
        for name in series:
            if not series[name]:
                self.on_warning(f"metric {name}: no line of the output matches {job.metrics[name]}")

    def command(self, row: int, replication: int) -> list[str]:
        job = self.job
        given = job.filled((column[row] for column in job.arguments), row, replication)
        beside = self.output / job.script
        program = str(beside.resolve().parent / beside.name) if beside.is_file() else job.script
        start = [sys.executable, program] if job.language == "python" else [program]
        if job.language == "octave":
            from .octave_program import script_command

            start = script_command(program, job.seed_of(row, replication))
        if job.module:
            start = [sys.executable, str(job.code.resolve() / "simferry_worker" / "as_module.py"), job.module]
        if job.private_mount:
            start = ["sh", str((job.code / "private_mount.sh").resolve()), str(self.output.resolve()), *start]
        return [*self.on_hosts(), *start, *given]

    def on_hosts(self) -> list[str]:
        """What begins a command that runs in several processes, or on each host."""
        if not (self.job.ranks or self.job.each_host):
            return []
        code = self.job.code.resolve()
        verb = ["run", "--ranks", f"{self.job.ranks}"] if self.job.ranks else ["each"]
        options = [f"--option={option}" for option in self.job.mpi_options]
        place = ["--work", str(self.output.resolve()), "--code", str(code), "--"]
        return [sys.executable, "-I", str(code / "simferry_worker" / "toolkit" / "mpi.py"), *verb, *options, *place]

    def environment(self, row: int, replication: int) -> dict[str, str]:
        code = str(self.job.code.resolve())
        own = {"PYTHONPATH": hooks.with_hook(code)}
        if self.job.language == "python":
            own = hooks.at_start(streams.derive(self.job.keys[row].tobytes(), f"script {replication}"), code)
        if self.job.language == "octave":
            own["OCTAVE_SITE_INITFILE"] = str(Path(code, "simferry_worker", "seed.m"))
        if job_paths := [str(self.output.resolve() / folder) for folder in self.job.import_from]:
            own["PYTHONPATH"] = os.pathsep.join([own["PYTHONPATH"], *job_paths])
        seed_hex = seed_hex_of(replication, self.job.seed_keys[row])
        displaced = os.environ.get("R_PROFILE_USER")
        return {
            **os.environ,
            **own,
            "SIMFERRY_OUTPUT": str(self.home.resolve()),
            "SIMFERRY_SEED": str(self.job.seed_of(row, replication)),
            "SIMFERRY_SEED_HEX": seed_hex,
            **({"SIMFERRY_SEEDS": self.job.seeds_of(row, replication)} if self.on_hosts() else {}),
            # for R and Python processes that it starts
            "SIMFERRY_PROCESSES": str(self.processes),
            "SIMFERRY_PARENT": seed_hex,
            "R_PROFILE_USER": str(self.job.code.resolve() / "profile.R"),
            **({} if displaced is None else {"SIMFERRY_R_PROFILE_USER": displaced}),
            "SIMFERRY_CORES": str(self.job.cores),
            **self.job.variables_of(row, replication),
        }

    def run(self, command: list[str], environment: dict[str, str], stream: Any) -> int | None:
        """Run the command. Returns its exit status, or None after the time limit. Its process group is killed at the end."""
        try:
            child = subprocess.Popen(
                command, cwd=self.home, env=environment, stdin=subprocess.DEVNULL,
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

    def read_metrics(self, log: Path) -> dict[str, list[str]]:
        """The metrics in what was printed. Their series becomes a file of the replication, their last values are among `files`."""
        if not self.job.metrics:
            return {}
        with open(log, errors="replace") as lines:
            series = series_of(self.job.metrics, lines)
        if any(series.values()):
            path = self.home / SERIES
            while os.path.lexists(path):  # the script has written one itself
                path = path.with_name(f"log_{path.name}")
            path.write_bytes(as_csv(series))
        self.files[LAST] = last_of(series)
        return series

    def read_results(self, row: int, replication: int) -> dict[str, bytes]:
        """The content of the results files that the script has written, by name: in its folder, or else in that around all."""
        files: dict[str, bytes] = {}
        for folder in dict.fromkeys([self.job.beside, ""]):
            begin = f"{folder}/" if folder else ""
            names = [os.path.normpath(self.job.results_file)]
            if self.job.patterns:
                pattern = re.compile(self.job.filled([self.job.patterns[row]], row, replication)[0])
                inside = [name.removeprefix(begin) for name in self.written() if name.startswith(begin)]
                names = [name for name in inside if pattern.fullmatch(name)]
            for name in names if not files else []:
                path, was = self.output / folder / name, self.folder.stamps.get(f"{begin}{name}")
                if path.is_file() and not (was and was == stamp(path)):
                    files[name] = path.read_bytes()
        return files

    def written(self) -> list[str]:
        """The names of all new and changed files."""
        found = []
        for folder, _, names in os.walk(self.output):
            for name in names:
                path = os.path.join(folder, name)
                relative = os.path.relpath(path, self.output)
                if self.folder.stamps.get(relative) != stamp(path):
                    found.append(relative)
        return sorted(found)

    def shown_files(self) -> str:
        """What the script has written instead of its results file, for an error."""
        found = self.written()
        written = [name_of(name, self.job.beside, found) for name in found]
        more = f" and {len(written) - 5} more" if len(written) > 5 else ""
        return f". It wrote: {', '.join(written[:5])}{more}" if written else ""

    def keep_output(self, condition: int, replication: int) -> None:
        """Keep the files that the script wrote as artifacts of the replication. They replace those of an earlier attempt."""
        folder = self.job.root / "artifacts" / str(condition) / str(replication)
        with not_kept_on_error():
            shutil.rmtree(folder, ignore_errors=True)
            self.folder.tidy(folder)


@contextlib.contextmanager
def not_kept_on_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotKept(str(error)) from None


def loaded_files(folder: Path) -> dict[str, str]:
    """Modules that Python processes have loaded, and files that R processes have sourced: name -> path."""
    out = {}
    for file in ("modules", "sourced"):
        with contextlib.suppress(OSError):
            for line in (folder / file).read_text(encoding="utf-8", errors="surrogateescape").splitlines():
                name, _, path = line.partition("\t")
                out[name] = path or name
    return out


def last_words(printed: str) -> str:
    """The last five lines that a program printed, and R's "Error in" and all that follows, if that is among the last twenty."""
    lines = [line for line in printed.splitlines() if line.strip()][-20:]
    errors = [i for i, line in enumerate(lines) if line.startswith(("Error in ", "Error: "))]
    return "\n".join(lines[min([*errors[-1:], max(0, len(lines) - 5)]) :])
