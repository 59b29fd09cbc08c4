"""The options of a run and of each backend, defined once.

A dataclass holds the options of one backend, or of every run. A field's annotation is the type of its values and an OptionSpec:
help, unit, default and limits (option_values.py). The command line, sweep files, R's types and the tables of the docs are made from
them. All options are checked here; each message spells the option as the user gave it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Annotated, Any, get_args, get_type_hints

from ..errors import Near, UsageError, nearest
from ..hints import BackendOptions, Literal, Option, Text, Words, lines
from ..words import joined
from . import on_hosts
from .option_base import AnyOptions, Fault, Given
from .option_base import Options as Options
from .option_values import KINDS, Field, Named, OptionSpec, Pairs, Paths, Texts, Unfit, Variables, checked
from .option_values import note as is_note
from .option_values import run_name as is_name

MOST = 2**31 - 1  # R's largest integer
VCPUS = 2.0  # of a job of AWS Batch, by default
SECONDS_OF_A_JOB = 86_400  # of a service: default of max_runtime
MOST_KEPT_ALIVE = 21_600  # seconds
ARGUMENTS = ("design", "constants", "inputs", "backend", "on_progress", "on_start", "detach")  # of a call, no options


def _instance(name: str) -> None:
    from ..aws.instances import instance

    instance(name)


Workers = Annotated[int | None, OptionSpec("Cores to use", "N", "cores", default="all", minimum=1, maximum=MOST)]
ImageName = Annotated[
    str | None,
    OptionSpec("the image that jobs run in", "NAME", default="sagemaker, batch: simferry-r, -python, -octave, -mpi"),
]
Stack = Annotated[
    str | None,
    OptionSpec(
        "the stack whose roles, bucket, repository and queues are used", "NAME", default="$SIMFERRY_STACK, or simferry"
    ),
]
Budget = Annotated[
    float | None,
    OptionSpec("the most that the run may cost; plan: the fastest way within it", "DOLLARS", "US dollars", above=0),
]
Tags = Annotated[Pairs | None, OptionSpec("tags of the jobs", "NAME=VALUE,...")]
SERVICES = ("processing", "training")
Attempts = Annotated[
    int | None,
    OptionSpec("attempts of a job whose machine is lost; of sagemaker of training jobs", "N", default="5", minimum=1, maximum=10),
]  # fmt: skip
Before = Annotated[
    str | Path | None, OptionSpec("a script, or requirements.txt, that each container runs first, to install what the image lacks", "FILE")
]  # fmt: skip


@dataclass(frozen=True, repr=False, eq=False)
class LocalOptions(Options):
    """Processes on this machine."""

    table = "local"
    owner = "the local backend"
    lacks = MappingProxyType({
        "before": Text("It would change this machine: run it here yourself, once. Or use a container: ", Option("backend", "docker"), "."),
        **on_hosts.LACK_HERE,
    })  # fmt: skip

    workers: Workers = None


@dataclass(frozen=True, repr=False, eq=False)
class ContainerOptions(Options):
    """Options of all backends whose jobs are containers under SageMaker's contracts."""

    image: ImageName = None
    images: Annotated[
        Pairs | None,
        OptionSpec("your images in place of AWS's framework images", "NAME=IMAGE,...", default="$SIMFERRY_IMAGES"),
    ] = None  # fmt: skip
    before: Before = None
    workers: Workers = None
    instance_type: Annotated[
        Texts | None, OptionSpec(
            "of a job; of several (with commas) the first available", "TYPE", default="sagemaker: ml.m5.xlarge",
            known=_instance,
        )
    ] = None  # fmt: skip
    jobs: Annotated[
        int | None, OptionSpec("number of jobs", "N", "jobs", default="1", minimum=1, maximum=MOST)
    ] = None  # fmt: skip
    max_runtime: Annotated[
        float | None,
        OptionSpec("time limit of a job", "SECONDS", "seconds", default="docker: nine days; else a day", above=0, maximum=1e9),
    ] = None  # fmt: skip
    hosts: Annotated[
        int | None,
        OptionSpec("hosts of a job; a whole script sees one cluster", "N", "hosts", default="1", minimum=1, maximum=MOST),
    ] = None  # fmt: skip
    mpi: on_hosts.Mpi = None
    mpi_options: on_hosts.MpiOptions = None
    each_host: on_hosts.EachHost = None


@dataclass(frozen=True, repr=False, eq=False)
class DockerOptions(ContainerOptions):
    """Containers on this machine, under the contract of SageMaker Processing."""

    table = "docker"
    owner = "the docker backend"

    instance_type: Annotated[
        str | None, OptionSpec("of a job", "TYPE", default="all of this machine", known=_instance)
    ] = None  # fmt: skip


@dataclass(frozen=True, repr=False, eq=False)
class SagemakerOptions(ContainerOptions):
    """Jobs of SageMaker, Processing or Training: the backend sagemaker."""

    table = "sagemaker"
    owner = "the sagemaker backend"

    role: Annotated[
        str | None, OptionSpec("the IAM role of the jobs", "ARN", default="$SIMFERRY_ROLE, or that of the stack")
    ] = None  # fmt: skip
    stack: Stack = None
    budget: Budget = None
    volume: Annotated[
        int | None, OptionSpec("disk of a job", "GB", "GB", default="30", minimum=1, maximum=MOST)
    ] = None  # fmt: skip
    subnets: Annotated[Texts | None, OptionSpec("of a VPC, with security groups", "IDS")] = None
    security_groups: Annotated[Texts | None, OptionSpec("of a VPC, with subnets", "IDS")] = None
    kms_key: Annotated[
        str | None, OptionSpec("key that encrypts disks and outputs", "ID", default="$SIMFERRY_KMS_KEY")
    ] = None
    network_isolation: Annotated[bool | None, OptionSpec("jobs have no network access")] = None
    encrypt_traffic: Annotated[bool | None, OptionSpec("encrypt traffic between the hosts of a job")] = None
    tags: Tags = None
    spot: Annotated[bool | None, OptionSpec("training jobs on Spot machines, cheap ones that AWS may take back")] = None
    service: Annotated[
        str | None,
        OptionSpec("kind of the jobs", default="processing; with spot, or of an image: training", choices=SERVICES),
    ] = None  # fmt: skip
    max_wait: Annotated[
        float | None,
        OptionSpec("with spot: the longest time until a job's end, waiting included", "SECONDS", "seconds", default="max_runtime and a day",
                   above=0, maximum=1e9),
    ] = None  # fmt: skip
    keep_alive: Annotated[
        int | None,
        OptionSpec("training: keep a job's machine for the next job, which costs as much", "SECONDS", "seconds", default="0", minimum=0,
                   maximum=MOST_KEPT_ALIVE),
    ] = None  # fmt: skip
    attempts: Attempts = None
    image_id: Annotated[str | None, OptionSpec("what Docker calls the image here, for replays", kept=True)] = None

    @property
    def runner(self) -> str:
        return "training" if self.spot or self.service == "training" else "sagemaker"

    def conflicts(self) -> list[Fault]:
        def fault(name: str, *words: Words, hint: Words = "") -> None:
            out.append(Fault(self.table, name, Text(Given(self.table, name), *words), hint))

        out: list[Fault] = []
        trains, use_training = self.runner == "training", BackendOptions(self.table, service="training")
        if self.spot and self.service == "processing":
            fault("spot", " is for training jobs: SageMaker Processing has no Spot machines", hint=use_training)
        for name in ("keep_alive", "attempts"):
            if not trains and getattr(self, name) is not None:
                fault(name, " is for training jobs, and these are processing jobs", hint=use_training)
        if self.max_wait is not None and not self.spot:
            fault("max_wait", " is for Spot machines", hint=BackendOptions(self.table, spot=True))
        limit = self.max_runtime or SECONDS_OF_A_JOB
        if self.spot and self.max_wait is not None and self.max_wait < limit:
            words = (
                f" is {self.max_wait:.0f} s, less than the time limit of a job, {limit:.0f} s (",
                Option("max_runtime"),
                ")",
            )
            fault("max_wait", *words, hint="It includes the time that a job runs.")
        if self.spot and self.keep_alive:
            fault(
                "keep_alive", " does not go with Spot machines, which SageMaker does not keep",
                hint="Leave one of them out.",
            )  # fmt: skip
        types = self.instance_type.split(",") if isinstance(self.instance_type, str) else self.instance_type or ()
        if self.spot and len(types) > 1:
            fault(
                "instance_type",
                " names several types, which SageMaker does not try for Spot machines",
                hint="Name one of them.",
            )
        return out


def not_a_size(text: str) -> str:
    """What a size of memory has to be, in words, if the text is none; else empty."""
    found = re.fullmatch(r"([0-9]+(?:[.][0-9]+)?) ?[MGT]i?B?", text, re.I)
    return "" if found and float(found[1]) > 0 else "a size such as 4G or 512M"


@dataclass(frozen=True, repr=False, eq=False)
class BatchOptions(Options):
    """Children of an array job of AWS Batch: the backend batch."""

    table = "batch"
    owner = "the batch backend"
    lacks = MappingProxyType({
        **on_hosts.LACK_ON_BATCH,
        "hosts": "A job of AWS Batch has one machine here: jobs of several nodes can't be in arrays, nor on Spot machines or Fargate. "
        "A machine has up to 192 vCPUs.",
        "instance_type": "A job asks for vCPUs and memory, and AWS Batch chooses a machine.",
        "workers": "A job uses the vCPUs that it asks for.",
        "role": "The role of jobs is that of the stack.",
    })  # fmt: skip
    lasting = MappingProxyType(dict.fromkeys(("on", "queue", "stack"), "Its jobs are looked for in one job queue."))

    jobs: Annotated[
        int | None, OptionSpec("number of jobs; of batch at most 10,000", "N", "jobs", default="1", minimum=1, maximum=10_000)
    ] = None  # fmt: skip
    vcpus: Annotated[
        float | None, OptionSpec("vCPUs of a job", "N", "vCPUs", default="2", above=0, maximum=192)
    ] = None  # fmt: skip
    memory: Annotated[str | None, OptionSpec("of a job, such as 8G", "SIZE", default="4G", fits=not_a_size)] = None
    on: Annotated[
        str | None, OptionSpec("machines of the jobs", default="spot", choices=("spot", "demand", "fargate"))
    ] = None  # fmt: skip
    queue: Annotated[str | None, OptionSpec("a job queue in place of the stack's", "NAME")] = None
    stack: Stack = None
    max_runtime: Annotated[
        float | None,
        OptionSpec("time limit of a job, of batch of each attempt", "SECONDS", "seconds", default="docker: nine days; else a day",
                   minimum=60, maximum=1e9),
    ] = None  # fmt: skip
    attempts: Attempts = None
    budget: Budget = None
    before: Before = None
    tags: Tags = None
    image: ImageName = None
    job_role: Annotated[str | None, OptionSpec("the role of jobs", kept=True)] = None
    execution_role: Annotated[str | None, OptionSpec("the role that starts containers", kept=True)] = None
    log_group: Annotated[str | None, OptionSpec("of jobs", kept=True)] = None
    machines: Annotated[Texts | None, OptionSpec("types and families that the queue may start", kept=True)] = None
    entrypoint: Annotated[str | None, OptionSpec("the program of the image's entry point", kept=True)] = None
    carrier_image: Annotated[str | None, OptionSpec("of the container beside an image without Python", kept=True)] = (
        None
    )
    image_id: Annotated[str | None, OptionSpec("what Docker calls the image here, for replays", kept=True)] = None
    program: Annotated[bool | None, OptionSpec("the image is the program", kept=True)] = None
    volumes: Annotated[Texts | None, OptionSpec("that the image declares", kept=True)] = None

    @property
    def runner(self) -> str:
        """Which of the classes of backends runs jobs with these options."""
        return "batch_images" if self.program else self.table

    def conflicts(self) -> list[Fault]:
        """What is wrong between these options."""
        return []

    def check_beside(self, run: "RunOptions") -> None:
        vcpus = self.vcpus or VCPUS
        if run.cores and run.cores > max(1, vcpus):
            raise UsageError(
                Text(Option("cores"), f" is {run.cores}, and a job of AWS Batch has {vcpus:g} vCPUs"),
                BackendOptions("batch", vcpus=run.cores),
            )


BACKENDS: dict[str, type[Options]] = {
    kind.table: kind for kind in (LocalOptions, DockerOptions, SagemakerOptions, BatchOptions)
}


@dataclass(frozen=True, repr=False, eq=False)
class SimulationOptions(Options):
    """How a simulation is called."""

    table = "simulation"
    owner = "a simulation"

    function: Annotated[str, OptionSpec("The script's function", "NAME", default="simulate")] = "simulate"
    args: Annotated[
        str | None, OptionSpec('Run a whole script or a program with these arguments: "{n} {effect}"', "TEMPLATE")
    ] = None  # fmt: skip
    include: Annotated[Paths, OptionSpec("A file or folder to copy along with the script", "PATH")] = ()
    project: Annotated[bool, OptionSpec("Copy along the files of the script's project that git does not ignore")] = (
        False
    )
    large_project: Annotated[bool, OptionSpec("Agree to a project of more than 100 MB")] = False
    env: Annotated[
        Variables | None, OptionSpec("An environment variable; {n}, {condition} ... are filled in, as in arguments", "NAME=VALUE")
    ] = None  # fmt: skip
    results_file: Annotated[
        str, OptionSpec("The file, or pattern, with a whole script's results (CSV, JSON, .rds, numbers)", "NAME")
    ] = ""  # fmt: skip
    metric: Annotated[
        Named | None, OptionSpec("script or image: a number in its log, as loss='loss=([0-9.]+)'; the last one is an output", "NAME=REGEX")
    ] = None  # fmt: skip
    replications_as: Annotated[
        str, OptionSpec("image: do a condition in one job, and tell it the number of replications in this hyperparameter", "NAME")
    ] = ""  # fmt: skip
    seed_as: Annotated[str, OptionSpec("image: tell it the seed in this hyperparameter, too", "NAME")] = ""


@dataclass(frozen=True, repr=False, eq=False)
class RunOptions(Options):
    """What every run has, wherever its jobs are. Without `replications` it is not complete."""

    table = "run"
    owner = "a run"

    replications: Annotated[
        int | tuple[int, ...] | None, OptionSpec("Replications of each condition [1, but not of functions]", "N", minimum=1, maximum=MOST)
    ] = None  # fmt: skip
    replications_from: Annotated[
        str | None, OptionSpec("The column of the design with each condition's replications; it is no parameter", "COLUMN")
    ] = None  # fmt: skip
    until: Annotated[
        Pairs | None, OptionSpec("Go on until each condition's MCSE is so small, as coverage=0.005,bias=0.01", "MEASURE=MCSE,...")
    ] = None  # fmt: skip
    least: Annotated[
        int | None, OptionSpec("until: replications at least", "N", default="50", minimum=2, maximum=MOST)
    ] = None
    most: Annotated[int | None, OptionSpec("until: at most", "N", default="100000", minimum=2, maximum=MOST)] = None
    seed: Annotated[
        int | None, OptionSpec("0 to 2147483647", "N", default="drawn, and printed", minimum=0, maximum=MOST)
    ] = None  # fmt: skip
    common: Annotated[
        Texts, OptionSpec("Parameters (comma separated, or all) that do not change the random numbers", "NAMES")
    ] = ()  # fmt: skip
    store: Annotated[
        str | Path | None,
        OptionSpec("The store of runs: a folder, or s3://bucket/folder", "STORE", default="$SIMFERRY_STORE, or ./simferry-runs"),
    ] = None  # fmt: skip
    cores: Annotated[
        int | None,
        OptionSpec("Cores that one replication uses", "N", "cores", default="1; whole scripts: all", minimum=1, maximum=MOST),
    ] = None  # fmt: skip
    on_error: Annotated[
        str, OptionSpec("What to do after a failed replication", default="continue", choices=("continue", "stop"))
    ] = "continue"  # fmt: skip
    replication_timeout: Annotated[
        float | None, OptionSpec("Stop a replication that takes longer; it counts as failed", "SECONDS", "seconds", above=0)
    ] = None  # fmt: skip
    retries: Annotated[
        int, OptionSpec("How often to try again what a lost job left undone", "N", default="2", minimum=0, maximum=MOST)
    ] = 2  # fmt: skip
    many_jobs: Annotated[bool, OptionSpec("Agree to more than 100 jobs of an image, which cost money")] = False
    keep_files: Annotated[bool, OptionSpec("Keep files that a function writes into its working directory")] = False
    fresh: Annotated[bool, OptionSpec("Compute again what an earlier run has computed")] = False
    name: Annotated[str | None, OptionSpec("A name of the run; several may have it", "NAME", fits=is_name)] = None
    note: Annotated[str | None, OptionSpec("A note on the run, which can be changed later", "TEXT", fits=is_note)] = (
        None
    )
    chunk_size: Annotated[
        int | None, OptionSpec("replications to a stretch", kept=True, minimum=1, maximum=MOST)
    ] = None  # fmt: skip


def fields_of(kind: type[Options]) -> Mapping[str, Field]:
    """The options of a dataclass by their names, in its order."""
    one: Any = kind
    return _fields_of(one)


@cache
def _fields_of(kind: Any) -> Mapping[str, Field]:
    hints = get_type_hints(kind, include_extras=True)
    return {one.name: _field(one.name, hints[one.name]) for one in fields(kind)}


def _field(name: str, hint: Any) -> Field:
    types, option = get_args(hint)[:2]
    members = frozenset(get_args(types) or (types,)) - {NoneType}
    return Field(name, KINDS[members], option)


def offered(kind: type[Options]) -> dict[str, Field]:
    """The options that users give."""
    return {name: field for name, field in fields_of(kind).items() if not field.option.kept}


def read(kind: type[AnyOptions], given: Mapping[str, Any]) -> tuple[AnyOptions | None, list[Fault]]:
    """The options made of a user's values, or all faults in them. A value of None counts as not given."""
    known, values = fields_of(kind), {}
    faults: list[Fault] = []
    for name, value in given.items():
        if value is None:
            continue
        if name not in known:
            faults.append(_unknown(kind, name))
            continue
        try:
            values[name] = checked(known[name], value)
        except Unfit as unfit:
            message = Text(Given(kind.table, name), " is ", Literal(value), "; it has to be ", unfit.words)
            faults.append(Fault(kind.table, name, message, unfit.hint))
    made = None if faults else kind(**values)
    faults += made.conflicts() if made else []
    return (None if faults else made), faults


def check(kind: type[AnyOptions], given: Mapping[str, Any]) -> AnyOptions:
    """The options made of a user's values. Raises one UsageError that names all faults in them."""
    options, faults = read(kind, given)
    refuse(faults)
    assert options is not None
    return options


def refuse(faults: Sequence[Fault]) -> None:
    """Raise UsageError where there are faults: one as its message and hint, several in one message."""
    if len(faults) == 1:
        raise UsageError(faults[0].message, faults[0].hint)
    if faults:
        listed = [Text("  ", one.message, ". " if one.hint else "", one.hint) for one in faults]
        raise UsageError(lines(f"{len(faults)} options are wrong:", *listed))


def backend_kind(name: Any) -> type[Options]:
    """The dataclass of a backend's options, by the backend's name. Raises UsageError."""
    kind = BACKENDS.get(name) if isinstance(name, str) else None
    if kind is None:
        message = Text(Given("run", "backend"), " is ", Literal(name), f"; it has to be {joined(BACKENDS)}")
        raise UsageError(message, nearest(name, BACKENDS) if isinstance(name, str) else "")
    return kind


def _unknown(kind: type[Options], name: str) -> Fault:
    message = Text(f"{kind.owner} has no option ", Given(kind.table, name))
    others = [other.owner for other in BACKENDS.values() if other is not kind and name in offered(other)]
    if name in kind.lacks:
        return Fault(kind.table, name, message, kind.lacks[name])
    if kind.table in BACKENDS and others:
        owners = joined(others, "and")
        return Fault(
            kind.table, name, message, f"{owners[0].upper()}{owners[1:]} {'have' if others[1:] else 'has'} it."
        )
    also = (*offered(RunOptions), *offered(SimulationOptions), *ARGUMENTS) if kind.table in BACKENDS else ()
    return Fault(kind.table, name, message, Near(name, tuple(offered(kind)), also))
