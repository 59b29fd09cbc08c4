"""Finds the packages that a script needs, and writes a readable Dockerfile for it."""

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

from ..errors import SimulationError, UsageError, nearest
from ..hints import Command
from ..worker import octave_text
from .recipes import Recipe

# packages that come with R; Debian has the recommended ones in a package of their own
_BASE_R = {
    "base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods", "parallel", "splines", "stats", "stats4",
    "tcltk", "tools", "utils",
}  # fmt: skip
# modules whose package has another name; used where the package is not installed here
_PACKAGES = {
    "sklearn": "scikit-learn", "skimage": "scikit-image", "PIL": "pillow", "yaml": "pyyaml", "cv2": "opencv-python-headless",
    "bs4": "beautifulsoup4", "dateutil": "python-dateutil", "Bio": "biopython",
}  # fmt: skip
_ENTRY_POINTS = {"r": "Rscript", "python": "python3", "octave": "octave-cli"}
WORKER_NEEDS = ["numpy", "joblib", "cloudpickle"]

# ---- R ----

_NAME = r"[A-Za-z][A-Za-z0-9.]*"
# comments and strings, raw ones among them
_R_TEXT = re.compile(
    r"""\#[^\n]* | [rR]"(?P<dash>-*)[(].*?[)](?P=dash)" | [rR]'(?P<dash2>-*)[(].*?[)](?P=dash2)'
    | "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*'""",
    re.VERBOSE | re.DOTALL,
)
_STRING = "\ue000"  # stands before a string's number, and after it


def r_packages(text: str) -> list[str]:
    """Packages that R code names: library(), require(), requireNamespace(), loadNamespace(), ::, and foreach's .packages.

    What comments and strings say does not count.
    """
    strings: list[str] = []

    def put_aside(match: re.Match[str]) -> str:
        if match[0].startswith("#"):
            return ""
        strings.append(match[0])
        return f"{_STRING}{len(strings) - 1}{_STRING}"

    code = _R_TEXT.sub(put_aside, text)
    string = rf"{_STRING}(\d+){_STRING}"
    found = []
    functions = r"\b(?:library|require|requireNamespace|loadNamespace)"
    calls = rf"{functions}\s*\(\s*(?:package\s*=\s*)?(?:({_NAME})|{string})\s*(?=(,[^\n)]*|\)))"
    for name, number, rest in re.findall(calls, code):
        if number:
            found.append(strings[int(number)][1:-1])
        elif not re.match(r",.*character\.only\s*=\s*T", rest):
            found.append(name)
    for given in re.findall(rf"\.packages\s*=\s*(?:c\s*\(([^)]*)\)|({string}))", code):
        found += [strings[int(n)][1:-1] for n in re.findall(string, given[0] or given[1])]
    found += re.findall(rf"(?<![\w.])({_NAME}):::?[A-Za-z.`]", code)
    return sorted({f for f in found if re.fullmatch(_NAME, f)} - _BASE_R, key=str.lower)


def _r_sources(path: Path, seen: set[Path]) -> str:
    """The text of a script, and of the files that it sources."""
    seen.add(path.resolve())
    text = path.read_text(encoding="utf-8", errors="replace")
    out = [text]
    for name in re.findall(r"(?m)^[^#\n]*\b(?:source|sys\.source)\s*\(\s*[\"']([^\"'\n]+)[\"']", text):
        other = path.parent / name
        if other.is_file() and other.resolve() not in seen:
            out.append(_r_sources(other, seen))
    return "\n".join(out)


# ---- Python ----


def python_packages(text: str, beside: Path) -> list[str]:
    """Packages that Python code imports, by the names that pip knows.

    Modules beside the script are the user's own: what they import is found too. Raises SyntaxError.
    """
    needed = _imports(text, "the script", beside, set()) - set(sys.stdlib_module_names) - {"simferry"}
    known = packages_distributions()
    return sorted({known[m][0] if m in known else _PACKAGES.get(m, m) for m in needed}, key=str.lower)


def pip_name(module: str) -> str:
    """The name by which pip knows a module that is not installed here."""
    return _PACKAGES.get(module, module)


def _imports(text: str, name: str, beside: Path, seen: set[Path]) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(text, name)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules.add(node.module.partition(".")[0])
    out = set()
    for module in modules:
        files = [p for p in (beside / f"{module}.py", *sorted((beside / module).rglob("*.py"))) if p.is_file()]
        if not files:
            out.add(module)
        for file in files:
            if file not in seen:
                seen.add(file)
                out |= _imports(file.read_text(encoding="utf-8", errors="replace"), file.name, beside, seen)
    return out


# ---- the Dockerfile ----


def recipe_for(script: str | Path, name: str | None = None, packages: Iterable[str] = ()) -> Recipe:
    """The recipe of an image in which a script can run.

    renv.lock or requirements.txt beside the script win over what is found in it; a setup.sh there is run when the image is
    built, and certificate authorities, *.crt, are installed before. packages: more of them.
    """
    path = Path(script)
    if not path.is_file():
        near = nearest(path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise SimulationError(f"{script} is not there", near)
    language = {".r": "r", ".py": "python", ".m": "octave"}.get(path.suffix.lower())
    if language is None:
        raise SimulationError(
            f"{script} is no script of R, Python or Octave (.m)", "Write a Dockerfile, and build its folder."
        )
    files = {"install.sh": (recipes() / language / "install.sh").read_bytes()}
    files |= {crt.name: crt.read_bytes() for crt in sorted(path.parent.glob("*.crt"))}
    make_lines = {"r": _r_lines, "python": _python_lines, "octave": _octave_lines}
    lines = make_lines[language](path, files, list(packages))
    setup = path.parent / "setup.sh"
    if setup.is_file():
        files["setup.sh"] = setup.read_bytes()
        trusted = "/etc/ssl/certs/ca-certificates.crt"
        own = f"PIP_CERT={trusted} SSL_CERT_FILE={trusted} " if any(f.endswith(".crt") for f in files) else ""
        lines += [
            "COPY setup.sh /tmp/recipe/",
            f"RUN apt-get update -qq && cd /tmp/recipe && {own}bash setup.sh && rm -rf /var/lib/apt/lists/*",
        ]
    lines += [
        "# The contract's folders belong to everybody, so that the image need not run as root.",
        "RUN mkdir -p /opt/ml && chmod 777 /opt/ml && (id simulation >/dev/null 2>&1 || useradd --create-home simulation)",
        *(["RUN chown simulation \"$(Rscript -e 'cat(.libPaths()[1])')\""] if language == "r" else []),
        "USER simulation",
        "WORKDIR /home/simulation",
        f'ENTRYPOINT ["{_ENTRY_POINTS[language]}"]',
    ]
    text = "\n".join(lines) + "\n"
    files["Dockerfile"] = (
        f"# An image in which {path.name} can run. Change it as you like, and build its folder.\n"
        f"# {_WRITTEN} {_short_hash(text)}\n{text}"
    ).encode()
    stem = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "simulation"
    return Recipe(name or f"simferry-{stem}", files)


_WRITTEN = "written by simferry, and unchanged while this is the hash of what follows:"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def write_recipe(made_of: Recipe, folder: Path) -> None:
    """Write a recipe's files into a folder. Raises UsageError if its Dockerfile was changed by hand."""
    dockerfile = folder / "Dockerfile"
    if dockerfile.is_file():
        _, _, rest = dockerfile.read_text(encoding="utf-8").partition(f"# {_WRITTEN} ")
        noted, _, text = rest.partition("\n")
        if noted != _short_hash(text):
            raise UsageError(
                f"{dockerfile} was changed by hand, and is not overwritten",
                Command("image build", folder) + "  builds it as it is. Move it away to have a new one written.",
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made_of.files.items():
        (folder / name).write_bytes(content)


def _head(base: str, *copied: str) -> list[str]:
    return [
        f"ARG BASE={base}",
        "FROM ${BASE}",
        "ENV LANG=C.UTF-8",
        "# *.crt: certificate authorities, if there are any beside this file",
        f"COPY install.sh {' '.join([*copied, '*.crt'])} /tmp/recipe/",
    ]


def _r_lines(path: Path, files: dict[str, bytes], more: list[str]) -> list[str]:
    for package in more:
        if not re.fullmatch(_NAME, package):
            raise SimulationError(f"{package!r} is no R package's name")
    lock = path.parent / "renv.lock"
    if not lock.is_file():
        found = dict.fromkeys([*r_packages(_r_sources(path, set())), *more])
        return [*_head("debian:bookworm-slim"), " ".join(["RUN sh /tmp/recipe/install.sh", *found])]
    files["renv.lock"] = lock.read_bytes()
    try:
        version = str(json.loads(files["renv.lock"])["R"]["Version"])
    except (ValueError, KeyError, TypeError):
        raise SimulationError(f"{lock} does not say which R it is for", "renv::snapshot()  writes it anew.") from None
    return [
        *_head(f"rocker/r-ver:{version}", "renv.lock"),
        " ".join(["RUN sh /tmp/recipe/install.sh renv", *more]),
        "# renv.lock says which packages, in which versions",
        "RUN Rscript -e \"renv::restore(lockfile = '/tmp/recipe/renv.lock', library = .libPaths()[1], prompt = FALSE)\"",
    ]


def _python_lines(path: Path, files: dict[str, bytes], more: list[str]) -> list[str]:
    given = path.parent / "requirements.txt"
    if given.is_file():
        needed = given.read_text(encoding="utf-8").splitlines()
    else:
        try:
            needed = python_packages(path.read_text(encoding="utf-8", errors="replace"), path.parent)
        except SyntaxError as error:
            position = f"{error.filename}, line {error.lineno}"
            raise SimulationError(f"{path}: what it imports can't be found out: {error.msg} ({position})") from None
    named = {re.split(r"[^A-Za-z0-9_.-]", line.strip(), maxsplit=1)[0].lower().replace("_", "-") for line in needed}
    needed += [p for p in dict.fromkeys([*WORKER_NEEDS, *more]) if p.lower().replace("_", "-") not in named]
    files["requirements.txt"] = "".join(f"{line}\n" for line in needed).encode()
    return [
        *_head("debian:bookworm-slim", "requirements.txt"),
        "RUN sh /tmp/recipe/install.sh",
        "ENV PATH=/opt/simulation/bin:$PATH",
    ]


def _octave_lines(path: Path, files: dict[str, bytes], more: list[str]) -> list[str]:
    """Octave's packages are those that the script, and the functions that it uses, load by pkg."""
    texts = [octave_text.read(one) for one in (path, *octave_text.helpers(path).values())]
    found = dict.fromkeys([*(name for text in texts for name in octave_text.packages_in(text)), *more])
    if wrong := [name for name in found if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name)]:
        raise SimulationError(f"{wrong[0]!r} is no Octave package's name")
    return [*_head("debian:bookworm-slim"), " ".join(["RUN sh /tmp/recipe/install.sh", *found])]


def recipes() -> Path:
    """The folder of ready-made recipes: containers/ of the checkout, or of the installed package."""
    inside = Path(__file__).parents[1] / "recipes"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "containers"
