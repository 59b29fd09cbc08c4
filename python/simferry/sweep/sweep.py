"""The sweep: a simulation, its design, and the options of its run and backend. Every face makes one; every verb takes one."""

import copy
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from ..errors import Note, UsageError
from ..hints import Option, Text
from ..jobs import setup_script
from ..store import counts
from ..store.counts import Counts, simplest
from ..system.files import is_address
from .calls import literal, named
from .design import Design, note_of_columns, table
from .fingerprint import fingerprint
from .image_program import many_jobs, number_of_jobs
from .measure_options import MeasureOptions
from .on_hosts import with_hosts
from .option_base import Fault
from .options import (
    BatchOptions,
    DockerOptions,
    Options,
    RunOptions,
    SagemakerOptions,
    SimulationOptions,
    backend_kind,
    check,
    fields_of,
    read,
    refuse,
)
from .replications import as_options, counted
from .roles import roles
from .simulation import Simulation
from .stopping import Until, stopping_rule
from .study_options import StudyOptions
from .truths import Truths
from .write import given_by_user, write_sweep

# the arguments of a simulation, beside its target, with their defaults
_OF_SIMULATION = {one.name: one.default for one in fields(Simulation) if one.init and one.name != "target"}
_OF_RUN = tuple(fields_of(RunOptions))
_OF_MEASURES = tuple(fields_of(MeasureOptions))


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Sweep:
    """A sweep, for `run` and `plan`: sf.run(sweep). It is immutable, see `replace`. Two are equal if all their parts are.

    simulation, design, backend: as for `run`. function, args, include, constants, results_file, inputs, env, project,
        large_project, metric, replications_as, seed_as: as for `Simulation`.
    options: further arguments of `run`: replications, seed, common, store, cores, on_error, ..., what the outputs are (estimate,
        truth, se ..., as for `measures`), and options of the backend.
    study: for its report, texts by the names title, aims, data_generating_mechanisms, estimands, methods, performance_measures, authors.

    Attributes: simulation, a Simulation; design, a Design; options, the RunOptions; backend, the options of the backend, of
    that backend's class; measures, the MeasureOptions; study, the StudyOptions.

    Raises UsageError that names all wrong options at once, DesignError or SimulationError.
    """

    simulation: Simulation
    design: Design
    options: RunOptions
    backend: Options
    measures: MeasureOptions
    study: StudyOptions

    def __init__(
        self,
        simulation: "str | Path | Callable[..., Any] | Simulation | Any",
        design: "Design | Mapping[str, Any] | Any | None" = None,
        *,
        function: str = "simulate",
        args: str | None = None,
        include: str | Path | Iterable[str | Path] = (),
        constants: Mapping[str, Any] | None = None,
        results_file: str = "",
        inputs: Mapping[str, Any] | None = None,
        env: Mapping[str, Any] | None = None,
        project: bool = False,
        large_project: bool = False,
        metric: Mapping[str, str] | None = None,
        replications_as: str = "",
        seed_as: str = "",
        backend: str = "local",
        **options: Any,
    ) -> None:
        kind = backend_kind("local" if backend is None else backend)
        call: dict[str, Any] = {
            "function": function, "args": args, "include": include, "results_file": results_file, "env": env,
            "project": project, "large_project": large_project, "metric": metric, "replications_as": replications_as,
            "seed_as": seed_as,
        }  # fmt: skip
        called, faults = read(SimulationOptions, call)
        ours, measures, about, backend_options, wrong = _parts(as_options(options), kind)
        refuse([*faults, *wrong])
        assert called is not None and ours is not None and backend_options is not None and measures is not None
        stopping_rule(ours)
        backend_options.check_beside(ours)
        if isinstance(simulation, Simulation):
            if beside := _not_default({**call, "constants": constants, "inputs": inputs}):
                raise UsageError(
                    f"{next(iter(beside))} is given beside a Simulation, which has its own arguments",
                    f"Write Simulation(..., {next(iter(beside))}=...).",
                )
        else:
            include = (called.include,) if isinstance(called.include, (str, Path)) else called.include
            simulation = Simulation(
                simulation, called.function, called.args, include, dict(constants or {}), called.results_file,
                dict(inputs or {}), called.env or {}, called.project, called.large_project,
                called.metric or {}, called.replications_as, called.seed_as,
            )  # fmt: skip
        if isinstance(design, Mapping) and (note := note_of_columns(design, "sf.grid(**d)", "sf.table(d)")):
            warnings.warn(Note(note), stacklevel=2)
        backend_options = with_image(backend_options, simulation)
        simulation = with_setup(simulation, getattr(backend_options, "before", None))
        simulation = with_hosts(simulation, backend_options, ours.cores)
        design = Design({}) if design is None else design if isinstance(design, Design) else table(design)
        design, ours = counted(design, ours)
        measures = with_truths(measures, design)
        if design.objects or simulation.by_name:
            simulation = with_objects(simulation, design)
        parts = {"simulation": simulation, "design": design, "options": ours, "backend": backend_options,
            "measures": measures, "study": about}  # fmt: skip
        for name, value in parts.items():
            object.__setattr__(self, name, value)

    @property
    def replications(self) -> Counts:
        """The number of replications of each condition, or of all of them where it is the same; with `until` those before the first
        look; 1 of a script, a command or an image where none is given. Raises UsageError if it is not given for a function."""
        if self.until is not None:
            return min(self.until.least, self.until.most)
        if self.options.replications is None:
            if self.simulation.kind != "function":
                return 1
            raise UsageError("how many replications?", Option("replications", 1000))
        return self.options.replications

    @property
    def until(self) -> Until | None:
        """When the run has enough replications; None: they are given."""
        return stopping_rule(self.options)

    @property
    def jobs_of_image(self) -> int | None:
        """The jobs of an image; None for other simulations, whose jobs are as many as they are told. Raises UsageError."""
        if not self.simulation.image:
            return None
        return number_of_jobs(self.simulation.spec(), self.replications, len(self.design))

    @property
    def many_jobs(self) -> str:
        """What a user has to agree to first, for a run of an image whose many jobs cost money each; else empty. Raises UsageError."""
        service = {"sagemaker": "SageMaker", "batch": "AWS Batch"}.get(self.backend.table)
        if not (service and self.simulation.image) or self.options.many_jobs:
            return ""
        each = self.until.most if self.until else self.replications
        jobs = len(self.design) if self.simulation.replications_as else counts.total(each, len(self.design))
        return many_jobs(jobs, f"{self.simulation.target} is {'up to ' if self.until else ''}", service)

    @property
    def seed(self) -> int | None:
        """The seed of a run; None: each run draws one."""
        return self.options.seed

    @property
    def common(self) -> str | list[str]:
        """The parameters that do not change the random numbers, or "all"."""
        common = self.options.common
        return list(common) if not isinstance(common, str) else common if common == "all" else [common]

    def replace(self, **changes: Any) -> "Sweep":
        """A copy of the sweep with other arguments. A new backend starts without the options of the old one.

        changes: arguments of `Sweep`. A new script is called like the old one; a `Simulation` has its own arguments.

        Raises what `Sweep` raises.
        """
        ours: dict[str, Any] = {
            "simulation": self.simulation,
            "design": self.design,
            **self._given(),
            **self.measures.given(),
            **self._study(),
        }
        if "backend" not in changes or changes["backend"] == self.backend.table:
            ours |= {"backend": self.backend.table, **self.backend.given()}
        called_anew = any(name in changes for name in ("simulation", *_OF_SIMULATION))
        if called_anew and not isinstance(changes.get("simulation"), Simulation):
            ours |= self._call()
        return Sweep(**{**ours, **changes})

    def write(self, path: str | Path) -> None:
        """Write a sweep file, which `read_sweep` reads as an equal sweep.

        path: of the file, ending in .toml. A design of many conditions, or with NA, goes to a CSV file of the same name.

        Raises UsageError for what no file can hold, such as a function object.
        """
        write_sweep(self.simulation, self.design, self.options, self.backend, self.measures, self.study, Path(path))

    def _given(self) -> dict[str, Any]:
        """The options of the run that differ from their defaults."""
        ours, without = asdict(self.options), asdict(RunOptions())
        return {name: value for name, value in ours.items() if value != without[name]}

    def _study(self) -> dict[str, Any]:
        return {"study": self.study.given()} if self.study.given() else {}

    def _call(self) -> dict[str, Any]:
        """The arguments that make its Simulation, without defaults."""
        one = self.simulation
        inputs = {
            name: i.source if (i.mode, i.sharded) == ("File", False)
            else i.given
            for name, i in one.inputs.items()
        }  # fmt: skip
        out = {"simulation": one.target, **{name: getattr(one, name) for name in _OF_SIMULATION}}
        out |= {"include": tuple(one.include), "constants": dict(one.constants), "inputs": inputs, "env": dict(one.env)}
        if one.is_object:
            del out["function"]
        # args="" is a whole script without arguments
        return {name: value for name, value in out.items() if value not in (None, (), {}, _OF_SIMULATION.get(name))}

    def __repr__(self) -> str:
        """The call that makes it, with each argument that is not the default."""
        call = self._call()
        shown = [literal(call.pop("simulation")), *([repr(self.design)] if self.design.names else [])]
        backend = {} if self.backend.table == "local" else {"backend": self.backend.table}
        ours = {**call, **self._given(), **self.measures.given(), **self._study()}
        shown += named({**ours, **backend, **given_by_user(self.backend)})
        return f"sf.Sweep({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sweep) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash((str(self.simulation.target), len(self.design), self.options.replications, self.options.seed))

    def _content(self) -> list[Any]:
        """All its parts, to compare; paths are absolute."""
        one, call, given = self.simulation, self._call(), self._given()
        call["simulation"] = one.path or one.target
        call["constants"] = fingerprint(dict(one.constants))  # they may be arrays, whose == is one as well
        call["include"] = [*sorted(str(one.included(entry)) for entry in one.include), one.around.place]
        call["inputs"] = {
            name: (_whole(i.source), i.mode, i.sharded) for name, i in one.inputs.items()
        }  # fmt: skip
        given["common"] = self.common
        if "store" in given:
            given["store"] = _whole(given["store"])
        backend_options = {n: [v] if isinstance(v, str) else v for n, v in self.backend.given().items()}
        if one.before is not None:
            backend_options["before"] = [str(one.setup_script)]
        return [
            call,
            given,
            self.backend.table,
            backend_options,
            self.design,
            self.measures.given(),
            self.study.given(),
        ]


def _parts(
    given: Mapping[str, Any], kind: type[Options]
) -> tuple[RunOptions | None, MeasureOptions | None, StudyOptions | None, Options | None, list[Fault]]:
    """Options of the run, of its measures, of its study and of its backend, and all faults in them."""
    ours, faults = read(RunOptions, {name: given[name] for name in given if name in _OF_RUN})
    measures, unfit = read(MeasureOptions, {name: given[name] for name in given if name in _OF_MEASURES})
    study, unlike = read(StudyOptions, dict(given.get("study") or {}))
    others = {name: value for name, value in given.items() if name not in (*_OF_RUN, *_OF_MEASURES, "study")}
    backend, unknown = read(kind, others)
    return ours, measures, study, backend, [*faults, *unfit, *unlike, *unknown]


def with_truths(measures: MeasureOptions, design: Design) -> MeasureOptions:
    """The options with the content of a table of truths in place of its path. Raises UsageError where they do not go together, or where a
    condition has no truth."""
    truth = roles(measures.given()).truth if measures.given() else ()
    if not (truth and isinstance(truth[0], Truths)):
        return measures
    truth[0].check(design)
    return replace(measures, truth=truth[0].columns)


def with_objects(simulation: Simulation, design: Design) -> Simulation:
    """The simulation with the objects that parameters of the design stand for. Raises UsageError if it can't get any."""
    if design.objects and not (simulation.is_object and simulation.language == "python"):
        name, objects = next(iter(design.objects.items()))
        raise UsageError(
            f"parameter {name} holds objects ({', '.join(list(objects)[:3])}), which only a Python function of this session can get",
            f"Give a script their names, {name}={list(objects)[:3]}, and let it choose by them.",
        )
    out = copy.copy(simulation)
    out.by_name = design.objects
    return out


def with_image(backend: Options, simulation: Simulation) -> Options:
    """The backend's options with the image that the simulation is. Raises UsageError where they do not go together."""
    if not (name := simulation.image):
        return backend
    if not isinstance(backend, (DockerOptions, SagemakerOptions, BatchOptions)):
        raise UsageError(
            f"{simulation.target} is an image, which the {backend.table} backend does not run",
            Text(
                Option("backend", "docker"), ", ", Option("backend", "sagemaker"), "  or ", Option("backend", "batch")
            ),
        )
    if isinstance(backend, SagemakerOptions):
        if backend.service == "processing":
            raise UsageError(
                f"{simulation.target} is an image, whose jobs are training jobs, and service is processing",
                "Leave service out.",
            )
        backend = replace(backend, service="training")
    if isinstance(backend, BatchOptions):
        backend = replace(backend, program=True)
    for option in ("image", "before"):
        if getattr(backend, option) not in (None, name):
            raise UsageError(
                Text(Option(option), " is given beside ", f"{simulation.target}, which is a program of its own")
            )
    return replace(backend, image=name)


def with_setup(simulation: Simulation, before: str | Path | None) -> Simulation:
    """The simulation with the setup script of a backend, which is part of its code. Raises SimulationError if there is none."""
    if simulation.before == (name := None if before is None else str(before)):
        return simulation
    out = copy.copy(simulation)
    out.before = name
    if name is not None:
        setup_script.content_of(out.setup_script)
    return out


def as_sweep(simulation: Any, design: Any = None, **arguments: Any) -> Sweep:
    """The sweep of the arguments of `run`; if the first is a sweep, there are no others. Raises UsageError."""
    if not isinstance(simulation, Sweep):
        return Sweep(simulation, design, **arguments)
    if beside := _not_default({**arguments, **({} if design is None else {"design": design})}):
        simulation.replace(**beside)  # raises where an argument is wrong in itself
        name = next(iter(beside))
        raise UsageError(
            f"{name} is given beside a sweep, which has its own arguments",
            f"Write sweep.replace({name}=...): a copy of the sweep with this {name}.",
        )
    return simulation


def _not_default(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the arguments of `run` that a user has given."""
    without = {**_OF_SIMULATION, "backend": "local", **asdict(RunOptions())}
    return {
        name: value
        for name, value in arguments.items()
        if name == "design" or value not in (None, (), [], {}, without.get(name))
    }


def check_replications(replications: Any, conditions: int) -> Counts:
    """The number of replications of each condition. Raises UsageError."""
    checked = check(RunOptions, {"replications": replications}).replications
    if checked is None:
        raise UsageError("how many replications?", Option("replications", 1000))
    if isinstance(checked, tuple) and len(checked) != conditions:
        raise UsageError(f"there are {len(checked)} numbers of replications, and the run has {conditions} conditions")
    return simplest(checked) if isinstance(checked, tuple) else checked


def _whole(path: str | Path) -> str:
    return str(path) if is_address(str(path)) else os.path.abspath(os.path.expanduser(path))
