"""Checks, before anything starts, that a simulation can run on a design. The interpreter that will run it examines it."""

import codecs
import inspect
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..backends.base import Foreground
from ..errors import Note, SimulationError, nearest
from ..hints import Command, InR, Option, Parameter, Shell, Text, Words
from ..jobs import job_file, setup_script
from ..jobs.launch import CHECK_PREFIX, COMMANDS
from ..sweep import own_code
from ..sweep.design import Design
from ..sweep.image_program import check_design
from ..sweep.inputs import show_inputs
from ..sweep.own_package import Package, holding
from ..sweep.project import project_folder
from ..sweep.sent import sent_along
from ..sweep.simulation import RFunction, Simulation
from ..sweep.template import constant_variables, rendered_arguments, rendered_variables, results_patterns
from ..system import untrusted
from ..system.untrusted import scrap_folder
from ..worker import blocks, octave_text
from ..worker.functions import arguments_of
from ..worker.job import facts_here

# packages whose tasks get no streams of their own: docs/decisions/task-streams.md, python-task-streams.md
UNGUARDED = {"BiocParallel", "snowfall", "dask", "mpire"}


def check(simulation: Simulation, design: Design, foreground: Foreground) -> None:
    """Check that the simulation can run on this design: it can be parsed, its packages are installed, its function's
    arguments agree with the design's columns. Sets its `environment` and `own_code`.

    Raises SimulationError.
    """
    if simulation.kind == "image":  # what is in it is seen when it runs
        check_design(simulation, design)
        return
    if simulation.kind != "function":
        rendered_arguments(simulation.spec(), design)
        results_patterns(simulation.spec(), design)
    rendered_variables(simulation.spec(), design)
    for one in simulation.around.along:
        if one.outside:
            names = ", ".join(one.outside[:5])
            follows = f"{Option('include', [one.outside[0]])}  follows it"
            warnings.warn(Note(f"links out of {one.folder} are left out: {names}. {follows}"), stacklevel=4)
    target = simulation.target
    if callable(target):
        _check_callable(simulation, design, foreground)
    elif simulation.kind == "command":
        program = "" if simulation.path is not None else shutil.which(simulation.script) or ""
        simulation.own_code = own_code.of_command(program, shlex.split(simulation.args or ""), simulation.text())
    elif isinstance(target, RFunction) and target.environment and not foreground.contract:
        _warn_of_tasks(simulation, target.packages)
        simulation.environment = dict(target.environment)
    else:
        _check_code(simulation, design, foreground)


def _check_callable(simulation: Simulation, design: Design, foreground: Foreground) -> None:
    """Check a Python function object, which this process has."""
    target = simulation.target
    assert callable(target)
    if inspect.iscoroutinefunction(target):
        raise SimulationError(f"{simulation.function} is a coroutine; give a plain function")
    try:
        arguments = arguments_of(target)
    except (TypeError, ValueError):  # a builtin without a signature
        arguments = [("...", True)]
    simulation.own_code = own_code.of_callable(target, simulation.sent, sent_along(target))
    # its fingerprint covers the packages that it uses
    simulation.environment = {**facts_here(), "packages": f"numpy {np.__version__}"}
    if foreground.contract:
        with scrap_folder(CHECK_PREFIX) as folder:
            answer, printed = _ask_worker(simulation, folder, foreground)
        _raise_problem(simulation, answer.facts["problem"], answer.facts["detail"], [], printed)
        simulation.environment = _environment(answer)
    _check_arguments(simulation, arguments, design)


def _check_code(simulation: Simulation, design: Design, foreground: Foreground) -> None:
    """Check a script or an R function, which the worker loads."""
    text = simulation.text()
    if b"\0" in text:
        raise SimulationError(f"{simulation.target} is not a text file: it holds null bytes", "Scripts are UTF-8 text.")
    if simulation.language == "r" and text.startswith(codecs.BOM_UTF8):
        raise SimulationError(
            f"{simulation.target} begins with a byte order mark, which R can't read", "Save it as UTF-8 without one."
        )
    with scrap_folder(CHECK_PREFIX) as folder:
        answer, printed = _ask_worker(simulation, folder, foreground)
    facts = answer.facts
    if package := _package_needed(simulation, answer, foreground):
        simulation.take_package(package)
        return _check_code(simulation, design, foreground)
    if facts["problem"] == "packages":
        _raise_missing(simulation, facts["detail"].split("\n"), foreground)
    if possible := facts.get("possible", ""):
        _note_missing(simulation, possible.split("\n"), foreground)
    defined = answer.table("functions").columns["name"].strings()
    _raise_problem(simulation, facts["problem"], facts["detail"], [n for n in defined if n], printed)
    if (lacking := facts.get("lacking")) and not foreground.substitute:
        raise SimulationError(
            f"{simulation.target} is to run in several processes, for which image {foreground.image} lacks {lacking}",
            Text(Command("image build", "containers/mpi"), "  builds one that has them: simferry-mpi."),
        )
    simulation.environment = _environment(answer)
    simulation.own_code = own_code.from_block(answer)
    _note_shadowing(simulation)
    if held := facts.get("open"):
        warnings.warn(
            f"{simulation.script} opens {held} when it is loaded, so all replications share the open file. "
            "Open it in the function, so that no replication sees what another wrote",
            stacklevel=4,
        )
    if facts.get("lasting"):
        warnings.warn(
            Note(
                f"{simulation.script} has persistent or global variables. They keep their values from one replication to the next in "
                "the same process: what is random in them makes results depend on the number of workers. Set them in each "
                "replication, or let them hold only what is the same in all"
            ),
            stacklevel=4,
        )
    packages = simulation.target.packages if isinstance(simulation.target, RFunction) else ()
    _warn_of_tasks(simulation, [*packages, *facts.get("mentioned", "").split(", ")])
    if facts["problem"] or simulation.kind != "function":  # it could not be loaded without inputs that are not here
        return
    table = answer.table("arguments").columns
    defaults = table["has_default"].values.tolist()
    arguments = [(n or "", bool(d)) for n, d in zip(table["name"].strings(), defaults, strict=True)]
    _check_arguments(simulation, arguments, design)


def _environment(answer: blocks.Block) -> dict[str, str]:
    return {name: answer.facts[name] for name in ("interpreter", "packages", "blas", "cpu")}


def _warn_of_tasks(simulation: Simulation, packages: Iterable[str]) -> None:
    if named := sorted(UNGUARDED & {*packages}):
        warnings.warn(
            f"{simulation.target} uses {', '.join(named)}: tasks that it starts have no streams of their own. "
            "Their random numbers may repeat, or depend on the number of workers. "
            "Draw in the main process, or give each task a seed that was drawn there",
            stacklevel=4,
        )


def _ask_worker(simulation: Simulation, root: Path, foreground: Foreground) -> tuple[blocks.Block, str]:
    """The worker's answer, and what the worker printed."""
    code = root / "input" / "code"
    simulation.write_code(code)
    job = job_file.facts_of(simulation.spec()) | {"results_file": ""}
    (root / "input" / "plan").mkdir()
    (root / "input" / "plan" / "job").write_bytes(job_file.encode(job, constants=constant_variables(simulation.spec())))
    show_inputs(simulation.inputs, root, copied=foreground.contract)
    done = foreground.check(simulation.spec(), root)
    answer = untrusted.read(root, "check", 1 << 26)
    message = (untrusted.read(root, "message", 1 << 16) or b"").decode(errors="replace")
    if setup_script.has_failed(message):
        raise setup_script.failure(simulation.setup_script.name, message)
    if answer is None:
        output = done.stderr.replace("Execution halted", "").strip() or done.stdout.strip()
        _refuse_shadowing(simulation)
        printed = f" It printed: {output.splitlines()[-1].strip()}" if output and done.returncode else ""
        how = f"exit code {done.returncode}" if done.returncode >= 0 else f"signal {-done.returncode}"
        raise SimulationError(
            f"{simulation.target} ended {COMMANDS[simulation.language][0]} while it was loaded ({how})",
            f"Does it call quit() or exit?{printed}",
        )
    return blocks.decode(answer), done.stderr


def _raise_problem(simulation: Simulation, problem: str, detail: str, functions: list[str], printed: str) -> None:
    if problem == "syntax":
        # R: script.R:3:10: unexpected ')', then the lines up to there, the last under a caret
        message, *lines = _tidy(detail).removeprefix(f"{simulation.spec()['script']}:").splitlines()
        position, _, message = message.strip().rpartition(": ") if simulation.language == "r" else ("", "", message)
        where = f"line {position.split(':')[0]}: " if position else ""
        shown = [line for line in lines if line.strip(" ^")]
        raise SimulationError(f"{simulation.target} can't be parsed: {where}{message}", shown[-1] if shown else "")
    if problem == "load" and re.search(
        r"circular|partially init|has no attribute|cannot import|is not a package", detail
    ):
        _refuse_shadowing(simulation)
    if problem == "load" and all(one.is_local for one in simulation.inputs.values()):
        found = re.search(r"'([^'\n]+)': No such file|No such file or directory: '([^'\n]+)'", f"{detail}\n{printed}")
        hint: Words = ""
        if found:
            absent = found[1] or found[2]
            hint = _where_it_is(simulation, absent)
        raise SimulationError(f"{simulation.target} fails when it is loaded: {_tidy(detail)}", hint)
    if problem == "interpreter":
        raise SimulationError(
            f"{simulation.target} needs Octave or MATLAB, and there is neither where it is to run ({detail})",
            Text(
                Command("image build", "containers/octave"),
                "  builds an image that has Octave and what simferry needs.",
            ),
        )
    if problem == "lacks":
        raise SimulationError(
            f"{simulation.target} uses functions that Octave does not have: {', '.join(detail.splitlines())}",
            octave_text.lacking(detail.splitlines()),
        )
    if problem == "function":
        near = nearest(detail, functions)
        which = Text(f"It defines {', '.join(functions)}: choose one with ", Option("function"), ".")
        whole = Text("give it arguments: ", Option("args", "{n}"), " (or ", Option("args", ""), ").")
        raise SimulationError(
            f"{simulation.target} defines no function {detail}",
            near or (which if functions else "To run the whole script once per replication " + whole),
        )


def _raise_missing(simulation: Simulation, names: list[str], foreground: Foreground) -> None:
    """Raises SimulationError for packages that the simulation can't run without.

    Only warns where the image is not on this machine: it may have them.
    """
    beside = [n for n in names if (simulation.folder / f"{n}.py").exists() or (simulation.folder / n).is_dir()]
    if beside and simulation.language == "python":
        module = beside[0] if (simulation.folder / beside[0]).is_dir() else f"{beside[0]}.py"
        raise SimulationError(f"{simulation.target} imports {beside[0]}, which is not installed", _bring(module))
    if simulation.language == "python" and (around := project_folder(simulation.folder)) and not simulation.project:
        for name in names:
            if any((one / f"{name}.py").exists() or (one / name).is_dir() for one in (around, around / "src")):
                raise SimulationError(
                    f"{simulation.target} imports {name} of its project {around}, which did not come along",
                    Option("project", True) + "  brings the project's files along.",
                )
    listed = ", ".join(names)
    if foreground.substitute:
        setup = f"or {simulation.before} " if simulation.before is not None else ""
        warnings.warn(
            f"{simulation.target} needs {listed}, not installed on this machine. Image {foreground.image}, which is not "
            f"here, {setup}has to have {'it' if len(names) == 1 else 'them'}; without, every replication fails. "
            f"{_installing(simulation, names, foreground)}",
            stacklevel=5,
        )
        return
    where = f" in image {foreground.image}" if foreground.image else ""
    raise SimulationError(
        f"{simulation.target} needs packages that are not installed{where}: {listed}",
        _installing(simulation, names, foreground),
    )


def _note_missing(simulation: Simulation, names: list[str], foreground: Foreground) -> None:
    if foreground.substitute:
        return
    where = f" in image {foreground.image}" if foreground.image else ""
    warnings.warn(
        Note(
            f"{simulation.target} names packages that are not installed{where}: {', '.join(names)}. It does so below an "
            "`if` or in a function that may not be called; a replication that comes to it fails. "
            f"{_installing(simulation, names, foreground)}"
        ),
        stacklevel=5,
    )


def _installing(simulation: Simulation, names: list[str], foreground: Foreground) -> Text:
    """How to install packages where the simulation will run."""
    if simulation.language == "r":
        quoted = ", ".join(f'"{name}"' for name in names)
        code = f"install.packages({quoted})" if len(names) == 1 else f"install.packages(c({quoted}))"
        command: Words = InR(code)
    else:
        from ..images.infer import pip_name

        python = "pip" if foreground.image else f"{shlex.quote(sys.executable)} -m pip"
        command = f"{python} install {' '.join(pip_name(name) for name in names)}"
    if not foreground.image:
        return Text("Install them: ", command)
    run = Shell("Rscript", "-e", code) if simulation.language == "r" else command
    return Text(
        Command("image build for", str(simulation.target)),
        "  builds an image that has what the script needs; name it in ",
        Option("image"),
        ". Or add to the image's own Dockerfile: RUN ",
        run,
        ". Or install what is missing when a container starts: ",
        Option("before", "setup.sh"),
    )


def _check_arguments(simulation: Simulation, arguments: list[tuple[str, bool]], design: Design) -> None:
    taken = [name for name, _ in arguments if name != "..."]
    given = [*design.names, *simulation.constants, *(["rng"] if simulation.language == "python" else [])]
    if twice := sorted(set(design.names) & set(simulation.constants)):
        raise SimulationError(f"{twice[0]} is both a parameter of the design and a constant")
    if simulation.language == "python" and "rng" in design.names:
        raise SimulationError("a parameter can't be named 'rng': that argument is the random-number generator")
    where = f"function {simulation.function}" + ("" if simulation.is_object else f" in {simulation.target}")
    if ("...", True) not in arguments:
        for name in [*design.names, *simulation.constants]:
            if name not in taken:
                raise SimulationError(
                    f"{where} has no argument {name!r}, which "
                    + ("the design has" if name in design.names else "is among the constants"),
                    nearest(name, taken) or f"It takes: {', '.join(taken) or 'nothing'}.",
                )
    for name, has_default in arguments:
        if not has_default and name not in given:
            raise SimulationError(
                f"argument {name!r} of {where} has no value",
                nearest(name, design.names)
                or Text("Add it to the design, e.g. ", Parameter(name), ", or give it a default."),
            )


def _shadowed(simulation: Simulation) -> str:
    """In words, which module Python would not find because the script has its name; empty if there is none."""
    name = Path(simulation.script).stem
    if simulation.language != "python" or simulation.is_object:
        return ""
    if name in sys.stdlib_module_names:
        return f"Python's own module {name}"
    # imported by the script: it would get itself
    imports = re.search(
        rf"^\s*(import|from)\s+{re.escape(name)}\b", simulation.text().decode(errors="replace"), re.MULTILINE
    )
    return f"the installed module {name}" if imports and own_code.imported_from(name) else ""


def _refuse_shadowing(simulation: Simulation) -> None:
    """Raises SimulationError if the script has the name of a module that something needs: it could not be loaded."""
    if shadowed := _shadowed(simulation):
        raise SimulationError(
            f"{simulation.target} has the name of {shadowed}, and is imported in its place",
            "Give the script another name.",
        )


def _note_shadowing(simulation: Simulation) -> None:
    if (shadowed := _shadowed(simulation)) and Path(simulation.script).stem in sys.modules:
        warnings.warn(
            Note(
                f"{simulation.target} has the name of {shadowed}: what imports that gets the script. Give the script another name"
            ),
            stacklevel=5,
        )


def _package_needed(simulation: Simulation, answer: blocks.Block, foreground: Foreground) -> Package | None:
    """The package that the script is in, if the image lacks it, or may lack it."""
    if simulation.language != "python" or simulation.path is None or simulation.package is not None:
        return None
    names = set(answer.facts["detail"].split("\n")) if answer.facts["problem"] == "packages" else set()
    if foreground.substitute:  # what is installed here may not be there
        names |= {one.name.partition(".")[0] for one in own_code.from_block(answer)}
    return holding(simulation.path, names)


def _where_it_is(simulation: Simulation, absent: str) -> Words:
    """A hint at a file that was not found."""
    inside = absent.partition("/input/code/")[2] or absent
    if (simulation.folder / inside).exists():
        return _bring(inside)
    around = project_folder(simulation.folder)
    if around and (around / inside).exists() and not simulation.project:
        return Text(f"{inside} is in the project {around}, whose files come along with ", Option("project", True))
    return f"There is no {inside} in {simulation.folder}."


def _tidy(text: str) -> str:
    """The text without the temporary path of the snapshot, which R's parse errors contain."""
    return re.sub(r"\S*/input/code/", "", text).strip()


def _bring(file: str) -> Text:
    if ".." in Path(file).parts:
        return Text(
            f"{file} is above the script's folder: include it with ", Option("include", [file]), ", or its project with ",
            Option("project", True),
        )  # fmt: skip
    return f"{file} is in the script's folder: include it with " + Option("include", [file])
