"""What to run: a function, a whole script or a command; its snapshot and hash."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SimulationError, nearest
from ..hints import Option, Shell, Text
from ..jobs import setup_script
from ..jobs.launch import WORKER_FILES, toolkit_files, write_code
from ..worker import octave_text
from ..worker.own import CODE, Own
from ..worker.values import shown
from . import image_program, on_hosts, own_code
from .inputs import as_inputs, below, files_in
from .named_folders import named_above, named_folders
from .own_package import ENTRY, Package, package_of
from .project import LARGE, Project
from .sent import pickled
from .surroundings import Surroundings
from .template import results_name
from .variables import variables

IGNORED = {"__pycache__", ".git", ".Rproj.user", "simferry-runs", ".venv"}  # in included folders


@dataclass(frozen=True)
class RFunction:
    """An R function that the R package has saved.

    file: its .rds, list(function, globals, packages, constants), as worker.R reads it. constants: their names. packages: that it uses.
    fingerprint: text of everything that decides its results. A serialised closure would not do: it changes after five calls.
    environment, own_code: from the R session, if that has checked the function.
    """

    name: str
    file: Path
    fingerprint: str
    constants: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    own_code: tuple[Own, ...] = ()

    def __str__(self) -> str:
        return f"function {self.name}"


@dataclass
class Simulation:
    """A simulation.

    target: path of a script, a package with __main__.py, a Python callable, an R function (see `RFunction`), a program, or image:NAME.
    function: the function of the script to call once per replication.
    args: a template such as "{n} {effect} {seed}"; it makes the target a whole script or a command. See template.py.
    include: files and folders to copy along with the script, by paths relative to it; ../R is there as ../R, and beside the script.
    project, large_project: copy the files of the project that the script is in, see project.py, even more than 100 MB.
    constants: objects given to a function object of Python in every replication, sent once; a script defines its own.
    env: environment variables of each replication, by name: texts with the placeholders of `args`, or numbers.
    results_file: what a script writes in its output folder to be read as rows: CSV and other delimited text, JSON, .rds, .RData, or
        bare numbers. Placeholders as in args, and * and ?, make it a pattern: "results/out_{n}_{replication}.csv", "results/*.csv".
    inputs: files that it reads in the folder $SIMFERRY_INPUT/NAME, by name: a local file or folder, an address in S3, or a dict
        of place, mode ("File", or "Pipe") and sharded (each host gets its share). See inputs.py.
    metric: not of a function; see worker/metrics.py. replications_as, seed_as: of an image, see image_program.py.
    Raises SimulationError if the target does not exist or does not fit the other arguments.
    """

    target: str | Path | Callable[..., Any] | RFunction
    function: str = "simulate"
    args: str | None = None
    include: tuple[str | Path, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    results_file: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, Any] = field(default_factory=dict)
    project: bool = False
    large_project: bool = False
    metric: Mapping[str, str] = field(default_factory=dict)
    replications_as: str = ""
    seed_as: str = ""

    language: str = field(init=False)
    kind: str = field(init=False)
    script: str = field(init=False, default="")
    image: str = field(init=False, default="")
    # the objects that parameters stand for, see by_name.py
    by_name: Mapping[str, Mapping[str, Any]] = field(init=False, default_factory=dict)
    # options of backends: a script that containers run first (jobs/setup_script.py), processes and hosts (on_hosts.py)
    before: str | None = field(init=False, default=None)
    on_hosts: Mapping[str, Any] = field(init=False, default_factory=dict)
    environment: dict[str, str] = field(init=False, default_factory=dict, compare=False)
    own_code: list[Own] = field(init=False, default_factory=list)  # outside of the snapshot; known after `check`

    def __post_init__(self) -> None:
        self.inputs, self.env = as_inputs(self.inputs), variables(self.env)
        self.path: Path | None = None
        if isinstance(self.include, (str, Path)):
            self.include = (self.include,)
        if image_program.is_called(self):
            self._take_image()
            return
        if self.is_object:
            self.language, self.kind, self.folder = "python", "function", Path.cwd()
            self.function = getattr(self.target, "__name__", type(self.target).__name__)
            if not isinstance(self.constants, Mapping):
                raise SimulationError(f"constants is {self.constants!r}; it has to be a dict of objects by their names")
            if isinstance(self.target, RFunction):
                self.language, self.function = "r", self.target.name
                self.constants = dict.fromkeys(self.target.constants)
                self.own_code = list(self.target.own_code)
            if self.args is not None:
                raise SimulationError("a function takes no args: its arguments are the design's columns")
            self._check_results_file()
            self._place()
            return
        path = _path_of(self.target)
        suffix = path.suffix.lower()
        self.language = {".r": "r", ".py": "python", ".m": "octave"}.get(suffix, "command")
        self.kind = "command" if self.language == "command" else "function" if self.args is None else "script"
        if (name := path.name) != name.encode(errors="replace").decode():  # bytes that are no text
            raise SimulationError(f"the file name {name!a} is not UTF-8", "Rename the file, then run it again.")
        if self.language == "command" and not path.is_file():
            found = shutil.which(str(self.target))
            if not found:
                raise SimulationError(f"there is no script or program {self.target}", _near(path))
            self.script = str(self.target)
            self.folder = Path.cwd()
        else:
            if not path.is_file():
                raise SimulationError(f"{self.target} is not there", _near(path))
            self.path = path.resolve()
            # Python imports no file that ends in .PY
            self.script = path.stem + ".py" if self.language == "python" else path.name
            self.folder = self.path.parent
            if self.language == "octave" and self.kind == "function":
                self.function = octave_text.chosen(octave_text.read(self.path), self.function)
            if suffix == ".toml":
                how = f"In Python: simferry.run(simferry.read_sweep({str(self.target)!r}))"
                raise SimulationError(f"{self.target} is a sweep file, not a script", how)
            if self.kind == "command" and not os.access(path, os.X_OK):
                raise SimulationError(
                    f"{self.target} is neither an R script (.R), a Python script (.py), a MATLAB one (.m) nor executable",
                    Shell("chmod", "+x", str(self.target)) + "  makes it a program.",
                )
        if self.constants:
            raise SimulationError(
                f"constants go with a function itself, not with a script, and {self.target} is one",
                "Let the script define them, or read them from a file.",
            )
        self._check_results_file()
        self._place()

    def _take_image(self) -> None:
        self.image = str(self.target).removeprefix(image_program.PREFIX)
        self.language = self.kind = "image"
        self.function, self.folder = "", Path.cwd()
        self.results_file = image_program.results_place(self.results_file)
        image_program.check_call(self)
        self._check_results_file()
        self._place()

    def _place(self, package: Package | None = None) -> None:
        """Decide what comes along. package: that the script is a module of; None: of which the script shows that it is."""
        self.package = package
        if package is None and self.language == "python" and self.path is not None:
            self.package = package_of(self.path)
        above = [path for entry in self.include if self.is_above(path := self.included(entry), entry)]
        self.around = Surroundings(
            self.folder, self.project, self.package, above, {*WORKER_FILES[self.language], self.objects}
        )

    def is_above(self, path: Path, entry: str | Path) -> bool:
        """Whether an included path was given as one above the script's folder, as in ../R.

        entry: as it was given. path: where it was found. Raises nothing.
        """
        return ".." in Path(entry).parts and not Path(entry).is_absolute() and not path.is_relative_to(self.folder)

    def take_package(self, package: Package) -> None:
        """Send the package that the script is a module of along.

        package: where it is, and the module's name. Raises SimulationError where its files can't come along.
        """
        self._place(package)

    @property
    def too_large(self) -> Project | None:
        """A project or package of a size that the user has to agree to, and has not."""
        return None if self.large_project else next((one for one in self.around.along if one.size > LARGE), None)

    def renew_inputs(self) -> None:
        """Look at the inputs again: their files may have changed since. Raises UsageError where one is not there any more."""
        self._place()
        self.inputs = as_inputs({name: one.given for name, one in self.inputs.items()})

    @property
    def sent(self) -> dict[str, Any]:
        """What goes along with a function of Python: the constants, and the objects of parameters by their names."""
        return {**self.constants, **self.by_name}

    @property
    def is_object(self) -> bool:
        """Whether it is a function object, not a script or a program."""
        return isinstance(self.target, RFunction) or callable(self.target)

    def _check_results_file(self) -> None:
        image_program.check_metrics(self)
        if self.kind == "function" and self.results_file:
            raise SimulationError("results_file is for whole scripts and commands: a function returns its results")
        if self.results_file:
            self.results_file = results_name(self.results_file)

    @property
    def name(self) -> str:
        """A short name, from which run ids are made."""
        image = self.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
        name = self.function if self.is_object else image or Path(self.script).stem
        if name in ("simulate", "<lambda>", "__main__") and not self.is_object:
            name = self.folder.name or name
        return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:30] or "run"

    @property
    def objects(self) -> str:
        """The file of the snapshot with the function object and the constants; empty if there are none."""
        if isinstance(self.target, RFunction):
            return "objects.rds"
        return "objects.pkl" if callable(self.target) else ""

    def files(self) -> dict[str, Path | bytes]:
        """The code's snapshot: the files of the run's code folder by name, each as its content or the path to copy it from."""
        out = self.own_files()
        if isinstance(self.target, RFunction):
            return {self.objects: self.target.file, **out}
        return {self.objects: pickled(self.target, self.sent), **out} if callable(self.target) else out

    def own_files(self) -> dict[str, Path | bytes]:
        """The snapshot without the file that is made of a function object: it may be large, and is made anew each time."""
        out: dict[str, Path | bytes] = {**self._beside_script()}
        if large := self.too_large:
            raise SimulationError(
                f"project: {large.shown()}; the largest is {large.largest}. Each run keeps a copy of them",
                Text("List what is not needed in .gitignore, or agree: ", Option("large_project", True)),
            )
        if place := self.around.place:
            out = {f"{place}/{name}": one for name, one in out.items()}
            for path in self.around.above:
                for file, _ in files_in(path, path.parent, IGNORED):
                    out.setdefault(self.around.name_of(file), file)
            for name, file in self.around.files().items():
                out.setdefault(name, file)
            out.setdefault(f"{self.around.name_of(self.around.root)}/.here", b"\n")  # where here::here() looks for it
        self._check_names({self.objects, *out})
        return out

    def _beside_script(self) -> dict[str, Path]:
        """The script and what is included, by names relative to the script's folder."""
        out = {} if self.is_object or self.path is None else {self.script: self.path}
        if self.language == "octave" and self.path is not None:
            out |= octave_text.helpers(self.path)
        for entry in self.include:
            path = self.included(entry)
            base = self.folder if path.is_relative_to(self.folder) else path.parent
            for file, name in files_in(path, base, IGNORED):
                if name == self.objects or not file.samefile(out.get(name, file)):
                    raise SimulationError(f"include: {file} would overwrite another {name}", "Rename one of the two.")
                out[name] = file
        return out

    def _check_names(self, out: Iterable[str]) -> None:
        empty = self.empty_folders()
        for name in empty:
            if name in out:
                raise SimulationError(f"include: folder {name} would overwrite a file {name}", "Rename one of the two.")
        taken = {name.partition("/")[0] for name in [*out, *empty]}
        for own in WORKER_FILES[self.language]:
            name, folder, _ = own.partition("/")
            if name in taken:
                raise SimulationError(
                    f"{name} is the name of a {'folder' if folder else 'file'} that simferry puts beside the script",
                    "Rename yours.",
                )

    def empty_folders(self) -> list[str]:
        """Included folders that are empty, and their parents, as the snapshot names them."""
        names = self._empty_beside_script()
        return sorted({f"{self.around.place}/{name}" for name in names} if self.around.place else names)

    def _empty_beside_script(self) -> list[str]:
        out = set()
        for entry in self.include:
            path = self.included(entry)
            base = self.folder if path.is_relative_to(self.folder) else path.parent
            for folder in [path, *below(path)] if path.is_dir() else []:
                parts = set(folder.relative_to(path).parts)
                if folder.is_dir() and not IGNORED & parts and all(f.name in IGNORED for f in folder.iterdir()):
                    relative = folder.relative_to(base)
                    out |= {one.as_posix() for one in (relative, *relative.parents)}
        return sorted(out - {"."})

    def included(self, entry: str | Path) -> Path:
        """The path of an included file or folder.

        entry: as `include` names it. Raises SimulationError if it does not exist.
        """
        return self._found("include", entry)

    def _found(self, option: str, entry: str | Path) -> Path:
        for base in (self.folder, Path.cwd()):
            path = base / Path(entry).expanduser()
            if path.exists():  # a link keeps its name
                return path if path.is_relative_to(base) and ".." not in path.parts else path.resolve()
        path = base / entry
        raise SimulationError(f"{option}: {entry} is not there", _near(path))

    @property
    def setup_script(self) -> Path:
        """The path of `before`, which is relative to the script or to the current directory. Raises SimulationError."""
        return self._found("before", self.before or "")

    def code_hash(self) -> str:
        """SHA-256 of everything that decides the results: code, included files, constants, template."""
        digest = hashlib.sha256()

        def add(*parts: str | bytes) -> None:
            for part in parts:
                data = part.encode() if isinstance(part, str) else part
                digest.update(len(data).to_bytes(8, "big") + data)

        add(
            self.language,
            self.kind,
            # the name that the caller gave to an R function does not matter
            self.function if self.kind == "function" and not isinstance(self.target, RFunction) else "",
            self.args or "",
            self.results_file,
        )
        if isinstance(self.target, RFunction):
            add(self.target.fingerprint)
        elif callable(self.target):
            from .fingerprint import fingerprint

            add(fingerprint((self.target, self.sent)))
        self.own_files()  # raises where it can't be
        for name, path in sorted(self._beside_script().items()):
            add(name, path.read_bytes())
        if empty := self._empty_beside_script():
            add("folders", *empty)
        for name, path in self._code_of_command().items():
            add(name, path.read_bytes())
        if self.kind == "command":
            add(self.script)
        if self.kind == "image" or self.metric:  # which image is known by its digest
            add(self.kind, json.dumps(image_program.spec_of(self), sort_keys=True))
        for name, one in sorted(self.inputs.items()):
            add(name, f"{one.sharded} {one.version}".encode())
        for name, text in sorted(self.env.items()):
            add("env", name, text)
        if self.before is not None:
            add("before", setup_script.content_of(self.setup_script))
        if decides := on_hosts.decides(self.on_hosts):
            add("hosts", json.dumps(decides, sort_keys=True))
        for name, hash_ in own_code.of_hash(self.own_code):
            add("own", name, hash_)
        return digest.hexdigest()

    def _code_of_command(self) -> dict[str, Path]:
        """The code of a command's project, by names relative to the command. Which of it is loaded nobody can say."""
        if self.kind != "command":
            return {}
        paths = [path for one in self.around.along for path in one.files.values() if path.suffix.lower() in CODE]
        return {os.path.relpath(path, self.folder): path for path in sorted(paths)}

    def code(self) -> list[dict[str, str]]:
        """Name and path of what the hash covers: the script or function, included files, and own code elsewhere."""
        beside = {**self._beside_script(), **self._code_of_command()}
        files = {name: str(path) for name, path in beside.items()}
        if self.path is None:
            files = {self.function if self.is_object else self.script or f"{self.target}": "", **files}
        if self.before is not None:
            files["before"] = str(self.setup_script)
        own = [one for one in self.own_code if one.path or one.name not in files]
        return [{"name": name, "path": path} for name, path in files.items()] + [
            {"name": one.name, "path": one.path or os.path.normpath(self.folder / one.name)} for one in own
        ]

    def spec(self) -> dict[str, Any]:
        """The simulation as in run.json: enough to resume from the snapshot, without the original."""
        inside = f"{self.around.place}/" if self.around.place and self.path is not None else ""
        return {
            "language": self.language, "kind": self.kind, "function": self.function, "script": f"{inside}{self.script}",
            "args": self.args, "results_file": self.results_file, "objects": self.objects,
            "path": str(self.path or ""),
            "private_mount": self.needs_private_mount(),
            **({"env": dict(self.env)} if self.env else {}),
            **({"before": self.setup_script.name} if self.before is not None else {}),
            **self.on_hosts,
            **self.around.spec(self.language == "python"),
            **image_program.spec_of(self),
        }  # fmt: skip

    def text(self) -> bytes:
        """The bytes of the script or program."""
        return self.path.read_bytes() if self.path is not None else b""

    def write_code(self, folder: Path) -> None:
        """Write the snapshot and the worker into a folder. Raises OSError if that fails."""
        files, folders = {**self.files(), **(toolkit_files() if self.on_hosts else {})}, self.empty_folders()
        if self.path is not None:  # not part of the code's hash: they follow from the script
            place, named = self.around.place, list[str]()
            if self.kind != "function":
                named = named_folders(self.text(), self.folder, self.language, IGNORED)
                named = [f"{place}/{name}" for name in named] if place else named
            if place:
                above = named_above(self.text(), self.folder, self.around.root, IGNORED)
                named += [self.around.name_of(path) for path in above]
            folders += [name for name in named if name not in files and name not in folders]
        if self.before is not None:
            files = {**files, **setup_script.files_of(setup_script.content_of(self.setup_script))}
        write_code(self.language, files, folders, folder)

    def needs_private_mount(self) -> bool:
        """Whether the script names the absolute output folder of containers."""
        return self.kind != "function" and self.path is not None and b"/opt/ml/processing" in self.path.read_bytes()


def _path_of(target: Any) -> Path:
    if not isinstance(target, (str, os.PathLike)):
        raise SimulationError(
            f"the simulation is a {type(target).__name__}, {shown(target)[:60]}: not a function, a script or a program",
            "Give the function itself: f, not f(...).",
        )
    path = Path(str(target)).expanduser()
    if path.is_dir():
        if (path / ENTRY).is_file():
            return path / ENTRY
        raise SimulationError(
            f"{str(target)!r} is a folder, not a script", f"Name the script in it: {path / 'simulate.R'}, say."
        )
    return path


def _near(path: Path) -> str:
    """A hint at a path where nothing is."""
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return nearest(path.name, beside) or f"Looked in {path.parent.resolve()}."
