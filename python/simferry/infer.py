"""What a script needs to run, found in its text, and a readable Dockerfile made of it."""

import ast
import json
import re
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

from .errors import SimulationError, nearest
from .images import Recipe

# R packages that come with R
_WITH_R = {
    "base", "boot", "class", "cluster", "codetools", "compiler", "datasets", "foreign", "graphics", "grDevices", "grid",
    "KernSmooth", "lattice", "MASS", "Matrix", "methods", "mgcv", "nlme", "nnet", "parallel", "rpart", "spatial", "splines",
    "stats", "stats4", "survival", "tcltk", "tools", "utils",
}  # fmt: skip
_RECOMMENDED = _WITH_R - {
    "base", "compiler", "datasets", "graphics", "grDevices", "grid", "methods", "parallel", "splines", "stats", "stats4",
    "tcltk", "tools", "utils",
}  # fmt: skip
# modules whose package has another name, where the package is not installed here and can't be asked
_PACKAGES = {
    "sklearn": "scikit-learn", "skimage": "scikit-image", "PIL": "pillow", "yaml": "pyyaml", "cv2": "opencv-python-headless",
    "bs4": "beautifulsoup4", "dateutil": "python-dateutil", "Bio": "biopython",
}  # fmt: skip


def r_packages(text: str) -> list[str]:
    """Packages that R code names: library(), require(), requireNamespace(), loadNamespace() and ::."""
    code = re.sub(r"(?m)^([^\"'#]*)#.*$", r"\1", text)
    name = r"([A-Za-z][A-Za-z0-9.]*)"
    found = re.findall(rf"\b(?:library|require|requireNamespace|loadNamespace)\s*\(\s*[\"']?{name}[\"']?\s*[,)]", code)
    found += re.findall(rf"\b{name}:::?[A-Za-z.`]", code)
    return sorted(set(found) - (_WITH_R - _RECOMMENDED), key=str.lower)


def python_packages(text: str, beside: Path) -> list[str]:
    """Packages that Python code imports, by the names that pip knows; modules beside the script are the user's own."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules.add(node.module.partition(".")[0])
    own = {m for m in modules if (beside / f"{m}.py").exists() or (beside / m).is_dir()}
    known = packages_distributions()
    needed = modules - own - set(sys.stdlib_module_names) - {"simferry"}
    return sorted({known[m][0] if m in known else _PACKAGES.get(m, m) for m in needed}, key=str.lower)


def recipe_for(script: str | Path, name: str | None = None, packages: Iterable[str] = ()) -> Recipe:
    """The recipe of an image in which a script can run.

    renv.lock or requirements.txt beside the script win over what is found in it; a setup.sh there is run when the image is
    built. packages: more of them.
    """
    path = Path(script)
    if not path.is_file():
        near = nearest(path.name, [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise SimulationError(f"{script} is not there", near)
    language = {".r": "r", ".py": "python"}.get(path.suffix.lower())
    if language is None:
        raise SimulationError(
            f"{script} is neither an R nor a Python script", "Write a Dockerfile, and build its folder."
        )
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = [
        f"# An image in which {path.name} can run. simferry wrote it; change it as you like, and build its folder."
    ]
    files: dict[str, bytes] = {}
    if language == "r":
        lines += _r_lines(path, text, files, list(packages))
    else:
        lines += _python_lines(path, text, files, list(packages))
    setup = path.parent / "setup.sh"
    if setup.is_file():
        files["setup.sh"] = setup.read_bytes()
        lines += ["COPY setup.sh /tmp/setup.sh", "RUN cd /tmp && bash setup.sh"]
    lines += [
        "RUN mkdir -p /opt/ml && chmod 777 /opt/ml && useradd --create-home simulation",
        "USER simulation",
        "WORKDIR /home/simulation",
        f'ENTRYPOINT ["{"Rscript" if language == "r" else "python3"}"]',
    ]
    files["Dockerfile"] = ("\n".join(lines) + "\n").encode()
    stem = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "simulation"
    return Recipe(name or f"simferry-{stem}", files)


def _r_lines(path: Path, text: str, files: dict[str, bytes], more: list[str]) -> list[str]:
    files["install.sh"] = (recipes() / "r" / "install.sh").read_bytes()
    lines = ["ARG BASE=debian:bookworm-slim", "FROM ${BASE}", "COPY install.sh /tmp/install.sh"]
    lock = path.parent / "renv.lock"
    if lock.is_file():
        files["renv.lock"] = lock.read_bytes()
        version = json.loads(lock.read_text()).get("R", {}).get("Version", "4.4.2")
        lines[0] = f"ARG BASE=rocker/r-ver:{version}"
        lines += [
            "# renv.lock says which packages, in which versions",
            "COPY renv.lock /tmp/renv.lock",
            f"RUN sh /tmp/install.sh renv {' '.join(more)}".rstrip(),
            "RUN Rscript -e \"renv::restore(lockfile = '/tmp/renv.lock', library = .libPaths()[1], prompt = FALSE)\"",
        ]
    else:
        found = [*dict.fromkeys([*r_packages(text), *more])]
        lines.append(f"RUN sh /tmp/install.sh {' '.join(found)}".rstrip())
    return lines


def _python_lines(path: Path, text: str, files: dict[str, bytes], more: list[str]) -> list[str]:
    given = path.parent / "requirements.txt"
    if given.is_file():
        needed = given.read_text()
    else:
        needed = "".join(f"{package}\n" for package in python_packages(text, path.parent))
    worker = ["numpy", "joblib", "cloudpickle"]
    named = {re.split(r"[^A-Za-z0-9_.-]", line.strip(), maxsplit=1)[0].lower() for line in needed.splitlines()}
    files["requirements.txt"] = (needed + "".join(f"{p}\n" for p in [*worker, *more] if p not in named)).encode()
    return [
        "ARG BASE=debian:bookworm-slim",
        "FROM ${BASE}",
        "RUN apt-get update -qq \\",
        " && apt-get install -y -qq --no-install-recommends python3 python3-venv ca-certificates \\",
        " && rm -rf /var/lib/apt/lists/*",
        "COPY requirements.txt /tmp/requirements.txt",
        "RUN python3 -m venv /opt/simulation \\",
        " && /opt/simulation/bin/pip install --no-cache-dir --quiet -r /tmp/requirements.txt",
        "ENV PATH=/opt/simulation/bin:$PATH",
    ]


def recipes() -> Path:
    """The folder of ready-made recipes: containers/ of the checkout, or of the installed package."""
    inside = Path(__file__).parent / "containers"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "containers"
