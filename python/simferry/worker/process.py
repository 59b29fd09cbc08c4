"""A worker process of a job: it claims pieces of work, runs them and writes blocks."""

import contextlib
import os
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from . import blocks, own, streams
from .family import leave
from .folders import Folder, enter
from .functions import FunctionRunner
from .job import Job, facts_here, give_up
from .rows import Refused, ids_of, is_simple, pickled, records, result_tables, table
from .scripts import NotKept, ScriptRunner, not_kept_on_error
from .set_seeds import SetSeeds
from .state import State
from .values import cannot_be_kept, describe, kind_phrase, message_of, rows_of


def cut_pieces(counts: list[int], workers: int) -> list[int]:
    """Cut the stretches into pieces that the processes claim one after the other. Returns the end of each piece.

    A piece is about 1 / (4 workers) of what is left. Every process computes the same pieces. The process that makes the
    folder of a piece has claimed it.
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

    careful: write a marker before each replication, so that the supervisor knows which one crashed or hangs.
    """

    def __init__(self, job: Job, number: int, pieces: list[int] | None, careful: bool) -> None:
        self.job, self.number, self.pieces, self.careful = job, number, pieces, careful
        self.sequence = 0
        self.fraction = 1e-9
        self.flushing = False
        self.out = sys.stdout
        self.umask, self.recursion_limit = os.umask(0), sys.getrecursionlimit()
        os.umask(self.umask)
        self.stopping = (job.scratch / "stop").exists()
        self.started = self.block_started = time.perf_counter()
        self.folder: Folder | None = None  # of a function; the runner of a script has its own
        self.check_each = False  # whether the folder is checked after each replication
        self.restore_each = False  # whether the interpreter's state is restored after each replication
        self.next_check = 0.0
        # stretches of which the last replications have not been checked, and those to run again: row, first and count
        self.unchecked: list[tuple[int, int, int]] = []
        self.again: list[tuple[int, int, int]] = []
        self.set_seeds = SetSeeds()
        self.clear()

    def clear(self) -> None:
        self.condition: list[int] = []
        self.replication: list[int] = []
        self.ok: list[bool] = []
        self.seconds: list[float] = []
        self.values: list[Any] = []
        self.failures: list[tuple[int, int, str, str, str]] = []
        self.warned: dict[tuple[int, int, str], int] = {}
        self.outputs: list[tuple[int, int, str, bytes]] = []  # results files
        self.set_seeds.rows.clear()
        self.dropped: list[tuple[int, int, str]] = []
        self.objects: list[tuple[int, int, str, str]] = []
        self.checked = 0  # how many of these replications have been checked

    def work(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, self.interrupt)
        job = self.job
        with contextlib.suppress(
            OSError
        ):  # if memory runs out, the system should end this process and not its supervisor
            Path("/proc/self/oom_score_adj").write_text("1000")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always")  # before the script is loaded: it may set filters of its own
                warnings.simplefilter(
                    "ignore", ResourceWarning
                )  # as Python does by default; open(...).write(...) is common
                if job.kind == "function":
                    scratch = job.scratch
                    self.folder = enter(
                        scratch / f"folder-{self.number}", scratch / f"loaded-{self.number}", job.included
                    )
                    self.run: FunctionRunner | ScriptRunner = FunctionRunner(job)
                    self.folder.adopt()
                else:
                    self.run = ScriptRunner(job, self.number)
                self.out = sys.stdout or self.out
                self.facts = {"run": job.run, **facts_here()}
                self.own = own.News(job)
                warnings.showwarning = self.warn
                streams.on_seed = self.record_seed
                self.state = State()
                self.run_stretches()
            self.flush()
        except KeyboardInterrupt:  # keep complete replications
            whole = min(len(self.condition), len(self.replication), len(self.ok), len(self.seconds))
            self.keep_first(whole)
            self.flush()
        except (OSError, NotKept) as error:
            give_up(job, f"disk: {error}")
        except Exception as error:
            traceback.print_exc()
            message, where, _ = describe(error)
            give_up(job, f"{'worker' if hasattr(self, 'run') else 'load'}: {message} ({where})")
        finished(job, self.number).touch()
        leave()

    def keep_first(self, n: int) -> None:
        """Keep the first n replications since the last block, and forget the others."""
        for kept in (self.condition, self.replication, self.ok, self.seconds):
            del kept[n:]
        del self.values[sum(self.ok) :]
        whole = set(zip(self.condition, self.replication, strict=True))
        self.failures = [f for f in self.failures if f[:2] in whole]
        self.outputs = [output for output in self.outputs if output[:2] in whole]
        self.objects = [o for o in self.objects if o[:2] in whole]
        self.warned = {at: count for at, count in self.warned.items() if at[:2] in whole}

    def interrupt(self, *_: Any) -> None:
        """Handle SIGINT. If the run is to stop, the current replication is dropped and the open block is written.
        Otherwise the signal came from the simulation, and the replication fails."""
        first, self.stopping = not self.stopping, (self.job.scratch / "stop").exists()
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
        replication, end = first, first + count
        checked = first  # up to here
        while replication < end:
            if self.stopping:
                raise KeyboardInterrupt
            self.current = (row, replication)
            if self.careful:
                write_marker(job, self.number, condition, replication)
            ok = True
            if self.folder and job.variables:
                self.state.set_variables(job.variables_of(row, replication))
            try:
                value = run(row, replication)
                if self.stopping:
                    raise KeyboardInterrupt
                if not is_simple(value):
                    value = self.rows_or_file(condition, replication, value)
                elif type(value) is dict:
                    value = value.copy()  # the simulation may reuse the same dict
            except NotKept:
                raise
            except BaseException as error:  # also SystemExit: it is recorded as a failure, and the job goes on
                self.restore_process_state()
                if self.stopping or (job.scratch / "stop").exists():
                    raise KeyboardInterrupt from None
                ok = False
                folder = f"{self.folder.path}{os.sep}" if self.folder else ""  # its path differs between processes
                texts = (text.replace(folder, "") if folder else text for text in describe(error))
                self.failures.append((condition, replication, *texts))
            else:
                self.values.append(value)
                if isinstance(run, ScriptRunner):
                    self.outputs += [(condition, replication, *file) for file in run.files.items()]
            if sys.stdout is not self.out or self.out.closed:
                self.restore_process_state()
            if self.restore_each and self.state.changed():
                self.state.restore()
            now = clock()
            self.condition.append(condition)
            self.replication.append(replication)
            self.seconds.append(now - before)
            self.ok.append(ok)
            before = now
            replication += 1
            if self.folder and (now >= self.next_check or not ok):
                replication -= self.check_state(self.folder, now)
                checked = replication
                before = clock()
            elif self.folder:
                if replication == end:
                    self.unchecked.append((row, checked, end - checked))
                continue
            if (now - self.block_started > 1 and now - self.block_started > self.seconds_per_block(now)) or (
                not ok and job.stop_on_error
            ):
                self.flush()

    def run_stretches(self) -> None:
        try:
            for span in self.claims():
                for stretch in span:
                    self.stretch(*stretch)
                    self.run_again()
            while self.unchecked and self.folder:
                self.check_state(self.folder, time.perf_counter())
                self.run_again()
        except KeyboardInterrupt:
            if self.folder and (self.state.changed() or self.folder.changed()):
                self.keep_first(self.checked)  # the others may depend on what one of them left behind
            raise

    def run_again(self) -> None:
        """Run stretches again that depend on what others left behind."""
        while self.again:
            self.stretch(*self.again.pop(0))

    def check_state(self, folder: Folder, now: float) -> int:
        """Check whether replications since the last check changed the interpreter's state or wrote into the working directory.

        If there was only one replication, the change and the files are its own. If there were several, they may depend on
        what others left behind: their results are dropped, and from then on the state is restored, or the folder checked,
        after each replication. Returns how many replications of the current stretch to run again; earlier stretches that were
        not checked are run again after it.
        """
        since, again = len(self.condition) - self.checked, 0
        if state_changed := self.state.changed():
            self.state.restore()
            self.restore_each = True
        folder_changed = folder.changed()
        if state_changed or folder_changed:
            condition, replication = self.condition[-1], self.replication[-1]
            if since > 1:
                again = since - sum(count for *_, count in self.unchecked)
                self.check_each = self.check_each or folder_changed
                dropped = zip(self.condition[self.checked :], self.replication[self.checked :], strict=True)
                self.set_seeds.forget(set(dropped))
                self.again += self.unchecked
                self.keep_first(self.checked)
                if folder_changed:
                    folder.tidy()
            elif folder_changed:
                keep = self.job.root / "artifacts" / str(condition) / str(replication) if self.job.keep_files else None
                with not_kept_on_error():
                    names = folder.tidy(keep)
                self.check_each = self.check_each or bool(names)
                if names and keep is None and not self.dropped:
                    self.dropped.append((condition, replication, names[0]))
        self.checked = len(self.condition)
        self.unchecked.clear()
        cost = time.perf_counter() - now
        self.next_check = 0.0 if self.check_each else now + max(0.002, 250 * cost)
        return again

    def rows_or_file(self, condition: int, replication: int, value: Any) -> Any:
        """The rows of a value. A value that is not a table, or not all of it, is written to a file (value.pkl) too."""
        rows = rows_of(value)
        if rows is not None and not rows.odd:
            return rows
        odd = rows.odd if rows is not None else {"": kind_phrase(value).partition(" ")[2]}
        if self.job.keep_files and self.folder and os.path.lexists(self.folder.path / self.folder.beside / "value.pkl"):
            raise Refused(
                f"the simulation returned {kind_phrase(value)}, which is kept as value.pkl, and wrote a file of that name: "
                "give the file another name"
            )
        try:
            data = pickled(value)
        except Exception as error:
            raise cannot_be_kept(value, error) from None
        self.restore_process_state()
        folder = self.job.root / "artifacts" / str(condition) / str(replication)
        open_file = self.job.scratch / f"object-{self.number}"
        with not_kept_on_error():
            folder.mkdir(parents=True, exist_ok=True)
            open_file.write_bytes(data)
            os.replace(open_file, folder / "value.pkl")
        self.objects += [(condition, replication, name, kind) for name, kind in odd.items()]
        return rows

    def restore_process_state(self) -> None:
        """Restore settings that the simulation may have changed and the worker needs: umask, recursion limit, stdout."""
        os.umask(self.umask)
        sys.setrecursionlimit(max(sys.getrecursionlimit(), self.recursion_limit))
        if self.out is not None and self.out.closed:
            self.out = open(1, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
        sys.stdout = self.out

    def warn(self, message: Any, category: Any, *_: Any, **__: Any) -> None:
        row, replication = self.current
        key = (self.job.ids[row], replication, message_of(message, category))
        self.warned[key] = self.warned.get(key, 0) + 1

    def record_seed(self, function: str, seed: Any) -> None:
        row, replication = self.current
        if isinstance(seed, (int, float, str, bytes, np.integer)):  # arrays may be long
            with contextlib.suppress(Exception):  # the user's own kind of integer may raise when it is printed
                self.set_seeds.add(self.job.ids[row], replication, function, seed)

    def seconds_per_block(self, now: float) -> float:
        """How many seconds of work a block holds: at least one, and at most 50,000 blocks for the whole run."""
        total = (now - self.started) * self.job.workers * self.job.jobs / self.fraction
        return min(max(1.0, total / 50_000), self.job.longest_block_seconds)

    def flush(self) -> None:
        self.flushing = True
        self.restore_process_state()
        if self.careful:
            marker_file(self.job, self.number).unlink(missing_ok=True)
        if self.condition:
            if os.getppid() != self.job.supervisor:
                os._exit(1)  # the supervisor is gone: another submission may already run these replications
            if name := self.job.included.shared_changed():
                give_up(self.job, f"shared: {name}")
            self.sequence += 1
            name = f"{self.sequence:06d}-r{len(self.ok)}-f{self.ok.count(False)}"
            if news := self.own.look(self.run.used if isinstance(self.run, ScriptRunner) else None):
                self.facts["own_code"] = news
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter(
                    "ignore"
                )  # warnings of the worker; the simulation may have turned warnings into errors
                save_block(self.job, self.number, name, self.facts, self.tables())
        self.clear()
        self.block_started = time.perf_counter()
        self.flushing = False

    def tables(self) -> list[blocks.Table]:
        status = {"ok": blocks.numbers("logical", self.ok), "seconds": blocks.numbers("double", self.seconds)}
        tables = [table("replications", ids_of(self.condition, self.replication), status)]
        if self.dropped:  # first: readers look for it at the beginning of a block
            tables.append(records("dropped", ("file",), self.dropped))
        if self.job.kind == "function" and self.values:
            good = [i for i, ok in enumerate(self.ok) if ok]
            tables += result_tables([self.condition[i] for i in good], [self.replication[i] for i in good], self.values)
        if self.failures:
            tables.append(records("failures", ("message", "call", "traceback"), self.failures))
        if self.warned:
            tables.append(records("warnings", ("message",), list(self.warned)))
            tables[-1].columns["count"] = blocks.numbers("integer", list(self.warned.values()))
        if self.set_seeds.rows:
            tables.append(records("seeds", ("seed",), self.set_seeds.rows))
        if self.outputs:
            tables.append(records("outputs", ("name",), [output[:3] for output in self.outputs]))
            tables[-1].columns["content"] = blocks.raws([output[3] for output in self.outputs])
        if self.objects:
            tables.append(records("objects", ("output", "kind"), self.objects))
        return tables


def save_block(job: Job, process: int, name: str, facts: dict[str, str], tables: list[blocks.Table]) -> None:
    """Write a block. name: number-rREPLICATIONS-fFAILED."""
    name = f"{job.prefix}-{process:02d}.{name}"
    data = blocks.encode(blocks.Block(facts, tables))
    open_file = job.scratch / name
    try:
        open_file.write_bytes(data)
        os.rename(open_file, job.root / "blocks" / name)
    except OSError:
        open_file.unlink(missing_ok=True)  # makes room for the error message
        raise


def marker_file(job: Job, process: int) -> Path:
    """The file in which a careful process names its current replication."""
    return job.scratch / f"now-{process}"


def write_marker(job: Job, process: int, condition: int, replication: int) -> None:
    path = marker_file(job, process)
    with open(f"{path}~", "w") as file:
        file.write(f"{condition} {replication}")
    os.rename(f"{path}~", path)


def finished(job: Job, process: int) -> Path:
    """A file that a process makes at its regular end. Its exit status is no proof: the simulation may have set it."""
    return job.scratch / f"finished-{process}"
