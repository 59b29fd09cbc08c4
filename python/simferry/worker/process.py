"""A worker process of a job: it claims pieces of work, runs them and writes blocks."""

import contextlib
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import blocks, own, streams
from .family import leave
from .folders import Folder, enter
from .functions import FunctionRunner
from .job import Job, Stretch, facts_here, give_up, known_facts
from .rows import Refused, pickled, size_of
from .scripts import NotKept, ScriptRunner, not_kept_on_error
from .state import State
from .unsaved import Part, Unsaved
from .values import cannot_be_kept, describe, kind_phrase, message_of, rows_of

if TYPE_CHECKING:
    from .octave import OctaveRunner


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
        self.saving = 0.0  # seconds that it took to write the first block
        self.out = sys.stdout
        self.umask, self.recursion_limit = os.umask(0), sys.getrecursionlimit()
        os.umask(self.umask)
        self.stopping = (job.scratch / "stop").exists()
        self.started = self.block_started = time.perf_counter()
        self.folder: Folder | None = None  # of a function; the runner of a script has its own
        self.check_each = False  # whether the folder is checked after each replication
        self.restore_each = False  # whether the interpreter's state is restored after each replication
        self.next_check = 0.0
        self.again: list[Stretch] = []  # to be run again
        self.condition = self.replication = 0  # that is being run
        self.batch_first = 0  # the first replication of its batch
        self.unsaved = Unsaved()

    def work(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, self.interrupt)
        job = self.job
        with contextlib.suppress(
            OSError
        ):  # if memory runs out, the system should end this process and not its supervisor
            Path("/proc/self/oom_score_adj").write_text("1000")
        make_state: Callable[[], State] = State
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
                    self.run: FunctionRunner | ScriptRunner | OctaveRunner
                    if job.language == "octave":
                        from . import octave  # here: without it other workers start faster

                        self.run = run = octave.OctaveRunner(job, self.warn_of, self.drop_files)
                        make_state = partial(octave.OctaveState, run)
                    else:
                        self.run = FunctionRunner(job)
                    self.folder.adopt()
                else:
                    self.run = ScriptRunner(job, self.number, self.warn_of)
                self.out = sys.stdout or self.out
                self.facts = {"run": job.run, **facts_here(), **known_facts(job)}
                self.own = own.News(job)
                warnings.showwarning = self.warn
                streams.on_seed = self.record_seed
                self.state = make_state()
                self.run_stretches()
            self.flush()
            self.run.end()
        except KeyboardInterrupt:
            self.unsaved.keep_first(len(self.unsaved.parts))  # of others something may have been recorded
            self.flush()
        except (OSError, NotKept) as error:
            give_up(job, f"disk: {error}")
        except Exception as error:
            traceback.print_exc()
            message, where, _ = describe(error)
            give_up(job, f"{'worker' if hasattr(self, 'run') else 'load'}: {message} ({where})")
        finished(job, self.number).touch()
        leave()

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
        job, unsaved, end = self.job, self.unsaved, first + count
        while first < end:
            first += self.batch(row, first, end - first)
            now, failed = time.perf_counter(), unsaved.parts[-1].failed
            if self.folder:
                if now < self.next_check and not failed and not unsaved.is_full:
                    continue
                self.check_state(self.folder, now)
            seconds = now - self.block_started
            is_due = seconds > 1 and seconds > self.seconds_per_block(now)
            if is_due or unsaved.is_full or (failed and job.stop_on_error):
                self.flush()

    def batch(self, row: int, first: int, most: int) -> int:
        """Run replications of a condition until the next check is due, or one fails. Returns how many, at least one."""
        job, unsaved, condition = self.job, self.unsaved, self.job.ids[row]
        run, add, clock, out = self.run, self.unsaved.values.add, time.perf_counter, self.out
        careful, restore_each = self.careful, self.restore_each
        changing = False  # whether environment variables differ between the replications
        if job.variables and self.folder:
            self.state.set_variables(job.variables_of(row, first))
            changing = job.variables_change(row)
        run.limit = 1 if careful or restore_each or self.check_each or changing else most
        self.condition, done, failed, interrupted = condition, 0, False, False
        self.batch_first = first
        begin, deadline = clock(), self.next_check
        try:
            while True:
                self.replication = replication = first + done
                if self.stopping:
                    raise KeyboardInterrupt
                if careful:
                    write_marker(job, self.number, condition, replication)
                if changing:
                    self.state.set_variables(job.variables_of(row, replication))
                value = run(row, replication)
                if self.stopping:
                    raise KeyboardInterrupt
                if not add(value):
                    self.keep(value)
                    value = None  # it may be large
                    deadline = 0.0 if unsaved.is_full else deadline
                if sys.stdout is not out or out.closed:
                    self.restore_process_state()
                    out = self.out
                if restore_each and self.state.changed():
                    self.state.restore()
                done += 1  # last: what belongs to the first `done` replications is whole at any moment
                if done == most or (clock() >= deadline and not run.ahead):
                    break
        except NotKept:
            raise
        except BaseException as error:  # also SystemExit: it is recorded as a failure, and the job goes on
            self.restore_process_state()
            if restore_each and self.state.changed():
                self.state.restore()
            interrupted = self.stopping or (job.scratch / "stop").exists()
            failed = not interrupted
            if failed:
                folder = f"{self.folder.path}{os.sep}" if self.folder else ""  # its path differs between processes
                texts = (text.replace(folder, "") if folder else text for text in describe(error))
                unsaved.failures.append((condition, first + done, *texts))
        if failed:  # what it had kept already
            unsaved.values.keep_first(sum(part.good for part in unsaved.parts) + done)
        if count := done + failed:
            unsaved.parts.append(Part(row, condition, first, count, failed, (clock() - begin) / count))
        if interrupted:
            raise KeyboardInterrupt
        return count

    def run_stretches(self) -> None:
        unsaved = self.unsaved
        try:
            for span in self.claims():
                for stretch in span:
                    self.stretch(*stretch)
                    self.run_again()
            while self.folder and unsaved.checked < len(unsaved.parts):
                self.check_state(self.folder, time.perf_counter())
                self.run_again()
        except KeyboardInterrupt:
            if self.folder and (self.state.changed() or self.folder.changed()):
                unsaved.keep_first(unsaved.checked)  # the others may depend on what one of them left behind
            raise

    def run_again(self) -> None:
        """Run stretches again that depend on what others left behind."""
        while self.again:
            self.stretch(*self.again.pop(0))

    def check_state(self, folder: Folder, now: float) -> None:
        """Check whether replications since the last check changed the interpreter's state or wrote into the working directory.

        If there was only one replication, the change and the files are its own. If there were several, they may depend on
        what others left behind: their results are dropped, they are run again, and from then on the state is restored, or the
        folder checked, after each replication.
        """
        unsaved = self.unsaved
        parts = unsaved.parts[unsaved.checked :]
        if state_changed := self.state.changed():
            self.state.restore()
            self.restore_each = True
        folder_changed = folder.changed()
        if state_changed or folder_changed:
            condition, replication = parts[-1].condition, parts[-1].first + parts[-1].size - 1
            if sum(part.size for part in parts) > 1:
                self.check_each = self.check_each or folder_changed
                self.again += [(part.row, part.first, part.size) for part in parts]
                unsaved.keep_first(unsaved.checked)
                if folder_changed:
                    folder.tidy()
            elif folder_changed:
                keep = self.job.root / "artifacts" / str(condition) / str(replication) if self.job.keep_files else None
                with not_kept_on_error():
                    names = folder.tidy(keep)
                self.check_each = self.check_each or bool(names)
                if names and keep is None and not unsaved.dropped:
                    unsaved.dropped.append((condition, replication, names[0]))
        unsaved.checked = len(unsaved.parts)
        cost = time.perf_counter() - now
        self.next_check = 0.0 if self.check_each else now + max(0.002, 250 * cost)

    def drop_files(self) -> None:
        """Remove the files of replications that are to be computed again. If others before them were not checked yet, whose
        files these may be, the next check finds them, and all are run again."""
        unsaved = self.unsaved
        if self.folder and self.replication == self.batch_first and unsaved.checked == len(unsaved.parts):
            self.folder.tidy()

    def keep(self, value: Any) -> None:
        """Keep a value that is no number and no dict of numbers."""
        if isinstance(self.run, ScriptRunner):
            self.unsaved.outputs += [(self.condition, self.replication, *file) for file in self.run.files.items()]
        else:
            rows = self.rows_or_file(self.condition, self.replication, value)
            self.unsaved.values.keep(rows, size_of(rows))

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
        self.unsaved.objects += [(condition, replication, name, kind) for name, kind in odd.items()]
        return rows

    def restore_process_state(self) -> None:
        """Restore settings that the simulation may have changed and the worker needs: umask, recursion limit, stdout."""
        os.umask(self.umask)
        sys.setrecursionlimit(max(sys.getrecursionlimit(), self.recursion_limit))
        if self.out is not None and self.out.closed:
            self.out = open(1, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
        sys.stdout = self.out

    def warn(self, message: Any, category: Any, *_: Any, **__: Any) -> None:
        self.unsaved.warn(self.condition, self.replication, message_of(message, category))

    def warn_of(self, message: str) -> None:
        self.unsaved.warn(self.condition, self.replication, message)

    def record_seed(self, function: str, seed: Any) -> None:
        if isinstance(seed, (int, float, str, bytes, np.integer)):  # arrays may be long
            with contextlib.suppress(Exception):  # the user's own kind of integer may raise when it is printed
                self.unsaved.set_seeds.add(self.condition, self.replication, function, seed)

    def seconds_per_block(self, now: float) -> float:
        """How many seconds of work a block holds: one, up to five where the first took long to write, more where there would be more than
        50,000. Later ones do not count: what takes long because there is much to write takes longer in a larger block."""
        total = (now - self.started) * self.job.workers * self.job.jobs / self.fraction
        return min(max(1.0, min(5.0, 5 * self.saving), total / 50_000), self.job.longest_block_seconds)

    def flush(self) -> None:
        began, self.flushing = time.perf_counter(), True
        self.restore_process_state()
        if self.careful:
            marker_file(self.job, self.number).unlink(missing_ok=True)
        if parts := self.unsaved.parts:
            if os.getppid() != self.job.supervisor:
                os._exit(1)  # the supervisor is gone: another submission may already run these replications
            if name := self.job.included.shared_changed():
                give_up(self.job, f"shared: {name}")
            self.sequence += 1
            name = f"{self.sequence:06d}-r{sum(p.size for p in parts)}-f{sum(p.failed for p in parts)}"
            if news := self.own.look(self.run.used if isinstance(self.run, ScriptRunner) else None):
                self.facts["own_code"] = news
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter(
                    "ignore"
                )  # warnings of the worker; the simulation may have turned warnings into errors
                tables = self.unsaved.tables(of_functions=self.job.kind == "function")
                save_block(self.job, self.number, name, self.facts, tables)
        self.unsaved.clear()
        self.block_started = time.perf_counter()
        if self.sequence <= 1:
            self.saving = self.block_started - began
        self.flushing = False


def save_block(job: Job, process: int, name: str, facts: dict[str, str], tables: list[blocks.Table]) -> None:
    """Write a block. name: number-rREPLICATIONS-fFAILED."""
    name = f"{job.prefix}-{process:02d}.{name}"
    open_file = job.scratch / name
    try:
        with open(open_file, "wb") as file:
            file.writelines(blocks.pieces(blocks.Block(facts, tables)))
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
