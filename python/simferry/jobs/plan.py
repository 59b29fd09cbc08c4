"""Plans: the work of each job of a submission, as files in the run folder."""

import datetime
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.base import Backend, JobLimits, Metered
from ..errors import StoreError
from ..store.counts import Counts
from ..store.keys import JobId, key_of
from ..store.records import PlanRecord
from ..store.run_folder import RunFolder
from ..store.spans import Spans, distinct
from ..store.steps import Step
from ..sweep import own_code
from ..sweep.conditions import joined, read_conditions, rows_to_add
from ..sweep.design import Design
from ..sweep.template import constant_variables, rendered_arguments, rendered_variables, results_patterns
from ..worker import blocks, seeds
from . import job_file, streams
from .stretches import Work, chunks, cut, deal


def add_plan(
    run: RunFolder,
    backend: Backend,
    work: Work,
    reason: str,
    *,
    replications: Counts,
    jobs: int,
    changed_code: Mapping[str, str],
    copies: bool,
    step: Step | None = None,
    added: Design | None = None,
    beside: int = 0,
) -> list[JobId]:
    """Deal work to jobs, and write the plan and the job files into the run folder. Returns the ids of the jobs.

    replications: wanted of each condition. jobs: maximum number. changed_code: see driver.drive.
    copies: whether each process gets its own copies of large input files, because a replication has written to one. step: of a search, of
    which the plan is one; `replications` is then of its condition. added: a condition that the run does not have yet. beside: how many
    more jobs a budget has to allow.
    """
    record, options = run.record, run.record.options
    traits, workers = backend.traits, backend.traits.workers
    spec = record.simulation
    design = read_conditions(run)
    rows = [] if added is None else rows_to_add(run, added)
    design = design if added is None else joined(design, added)
    made = streams_of(design, record.seed, record.common, spec["kind"])
    cores = options.cores or (1 if spec["kind"] == "function" else workers)
    dealt = _dealt(run, work, made, jobs, workers // cores)
    limits = JobLimits(traits.seconds_at_most)
    if isinstance(backend, Metered) and dealt:
        limits = backend.job_limits(run, len(dealt) + beside)
    facts = {
        **job_file.facts_of(spec),
        "run": run.id, "seed": record.seed, "workers": workers, "cores": cores, "jobs": len(dealt),
        "on_error": options.on_error,
        "replication_timeout": options.replication_timeout or 0, "longest_block": limits.seconds / 20,
        # the contract's output folder, if only one replication runs at a time
        "output": "/opt/ml/processing/output" if traits.contract and workers // cores <= 1 else "",
        "private_mount": "yes" if spec["private_mount"] and not traits.contract else "",
        "chunked": "yes" if options.chunk_size else "", "keep_files": "yes" if options.keep_files else "",
        "copies": "yes" if copies else "",
        "own_code": own_code.known_to(record),
    }  # fmt: skip

    def job(j: int) -> Callable[[str], bytes]:
        own = {**facts, "job": f"{j + 1:04d}", **secret_of(spec)}
        return lambda number: job_bytes({**own, "plan": number}, dealt[j], made, spec, design)

    plan = PlanRecord(
        reason=reason,
        replications=replications,
        jobs=len(dealt),
        to_do=work.replications,
        workers=workers,
        created=datetime.datetime.now(datetime.timezone.utc),
        backend_options=backend.options.given(),
        changed_code=dict(changed_code),
        limit=int(limits.seconds) if limits.types else None,
        types=list(limits.types),
        hosts=limits.hosts,
        added=rows,
        step=step,
    )
    number = run.add_plan(plan, {f"{j + 1:04d}": job(j) for j in range(len(dealt))}, traits.carry_files)
    return [JobId.of(number, j + 1) for j in range(len(dealt))]


def _dealt(run: RunFolder, work: Work, made: "Streams", jobs: int, processes: int) -> list[Work]:
    """What each job does. jobs: maximum number. processes: of a job."""
    spec, chunk_size = run.record.simulation, run.record.options.chunk_size
    if not len(work):  # all is there: an evaluation of what earlier runs have computed
        return []
    if spec["kind"] == "image":
        in_stretches = work if spec.get("replications_as") else chunks(work, 1)
        return deal(in_stretches, len(in_stretches))
    if chunk_size:
        return deal(chunks(work, chunk_size), jobs)
    return deal(cut(work, made.numbers(work.condition), jobs * max(1, processes)), jobs)


def secret_of(spec: Mapping[str, Any]) -> dict[str, str]:
    """What a job's hosts know each other by, if they run one script together. spec: the simulation, as in run.json."""
    return {"secret": secrets.token_hex(32)} if spec.get("mpi") or spec.get("each_host") else {}


class Streams:
    """The random-number streams of a run's conditions, computed for those of them that are asked for.

    common: parameters on which they do not depend. whole_scripts: a replication owns a stream, and its parallel tasks its substreams.
    Conditions are given by their ids, in ascending order and distinct.
    """

    def __init__(self, seed: int, design: Design, *, common: Iterable[str] = (), whole_scripts: bool) -> None:
        self.seed, self.design, self.common, self.whole_scripts = seed, design, list(common), whole_scripts
        self.start = streams.initial_state(seed)
        self._known: tuple[np.ndarray, np.ndarray] | None = None  # ids, and their streams' numbers

    def _texts(self, ids: np.ndarray) -> Iterator[str]:
        return self.design.rows(ids - 1).canonical(self.common)

    def numbers(self, conditions: np.ndarray) -> np.ndarray:
        """The number of the stream of each of these conditions, which may come in any order and again: uint64."""
        if self._known is None or not np.isin(conditions, self._known[0]).all():
            ids = distinct(conditions)
            self._known = ids, streams.stream_numbers(self._texts(ids))
        ids, numbers = self._known
        return np.asarray(numbers[np.searchsorted(ids, conditions)])

    def states(self, work: Work) -> np.ndarray:
        """R's generator at the first replication of each stretch: int32 (stretches, 6)."""
        first = work.first.astype(np.uint64)
        numbers = self.numbers(work.condition)
        if self.whole_scripts:
            return streams.states(self.start, (numbers + first) & np.uint64(2**63 - 1), np.zeros_like(first))
        return streams.states(self.start, numbers, first - np.uint64(1))

    def conditions(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        """Philox keys (four int32 words) of some conditions, and the seeds of version 1."""
        digest = streams.digests(self.seed, self._texts(ids))
        keys = np.ascontiguousarray(digest[:, :16]).view("<i4")
        seed = (digest[:, 16:24].copy().view(">u8")[:, 0] & np.uint64(2**31 - 1)).astype(np.int32)
        return {"condition": ids, "seed": seed, **{f"key_{i + 1}": keys[:, i] for i in range(4)}}

    def seed_keys(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        """The keys that make the seeds of some conditions' replications (see worker/seeds.py), each below 2^31 - 1."""
        words = streams.digests(self.seed, (f"seeds\n{text}" for text in self._texts(ids))).view("<u4")
        keys = (words % (seeds.PRIME - 1) + 1).astype(np.int32)
        return {f"seed_key_{i + 1}": keys[:, i] for i in range(keys.shape[1])}


def streams_of(design: Design, seed: int, common: str | Iterable[str], kind: str) -> Streams:
    """The streams of a design. common: parameters, or "all", on which they do not depend. kind: of the simulation."""
    names = design.names if common == "all" else [common] if isinstance(common, str) else common
    return Streams(seed, design, common=names, whole_scripts=kind == "script")


def spans_of(path: Path) -> Spans:
    """The replications in a job file, as spans (see store/spans.py). Raises StoreError if it can't be read."""
    try:
        columns = blocks.decode(path.read_bytes()).table("stretches").columns
        condition, first, count = (columns[n].values.astype(np.int64) for n in ("condition", "first", "count"))
        if not (len(condition) == len(first) == len(count) and (count >= 0).all() and count.sum() < 2**31):
            raise blocks.DamagedBlock("its stretches are invalid")
    except (OSError, blocks.DamagedBlock, KeyError) as error:
        raise StoreError(f"{path} can't be read: {error}") from None
    some = count > 0
    begin = key_of(condition[some], first[some])
    return begin, begin + count[some] - 1


def job_bytes(
    facts: Mapping[str, Any], work: Work, streams_: Streams, spec: Mapping[str, Any], design: Design
) -> bytes:
    """The job file of the stretches dealt to one job. spec: how the simulation is called."""
    stretches = {"condition": work.condition, "first": work.first, "count": work.count}
    states = streams_.states(work) if spec["language"] == "r" else np.zeros((len(work), 6), dtype=np.int32)
    stretches |= {f"state_{i + 1}": states[:, i] for i in range(6)}
    ids = distinct(work.condition)
    some = design.rows(ids - 1)
    conditions, arguments, patterns = streams_.conditions(ids), [], None
    variables = rendered_variables(spec, some)
    if spec["kind"] != "function" or variables:
        conditions |= streams_.seed_keys(ids)
    if spec["kind"] != "function":
        patterns = results_patterns(spec, some)
        arguments = rendered_arguments(spec, some) if spec["kind"] != "image" else []
    return job_file.encode(
        facts, stretches, conditions, arguments, some.table, patterns, variables, constant_variables(spec), design.types,
        spec.get("metric"),
    )  # fmt: skip
