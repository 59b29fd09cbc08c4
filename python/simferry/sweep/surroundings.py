"""What is around a script and goes along with it, and where all that is in the snapshot."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .own_package import Package
from .project import Project, files_of, project_folder, project_of


class Surroundings:
    """The project, the package and the included paths above a script's folder.

    folder: the script's. project: whether its project goes along. package: that the script is a module of. above: included paths.
    taken: names beside the snapshot's one folder.

    Attributes: place, the script's folder in the snapshot; empty where nothing above it is needed, and the snapshot shows that folder.
    root: the folder from which here::here() counts.

    Raises SimulationError where there is no project.
    """

    def __init__(
        self, folder: Path, project: bool, package: Package | None, above: Iterable[Path], taken: Iterable[str]
    ) -> None:
        self.package, self.above = package, list(above)
        self.folders = [project_of(folder)] if project else []
        if package is not None and not any(package.folder.is_relative_to(one) for one in self.folders):
            self.folders.append(package.folder)
        packages = [package.folder.parent] if package else []
        self.top = Path(os.path.commonpath([folder, *(path.parent for path in self.above), *self.folders, *packages]))
        known = project_folder(folder) if self.above else None
        if known and self.top.is_relative_to(known):
            self.top = known
        self.root = self.folders[0] if project else self.top
        self.is_project = project
        self.place = self._name = ""
        if self.folders or self.above:
            self._name = _name(self.top, {own.partition("/")[0] for own in taken})
            self.place = self.name_of(folder)
        self._along: list[Project] | None = None

    def name_of(self, path: Path) -> str:
        """Of a path, in the snapshot. All is in one folder there: it must not meet the worker's files, or hide modules from the worker."""
        return Path(self._name, path.relative_to(self.top)).as_posix()

    @property
    def along(self) -> list[Project]:
        """What goes along of the project, and of the package."""
        if self._along is None:
            self._along = [files_of(folder) for folder in self.folders]
        return self._along

    def files(self) -> dict[str, Path]:
        """The files of `along`, by their names in the snapshot."""
        return {f"{self.name_of(one.folder)}/{name}": path for one in self.along for name, path in one.files.items()}

    def spec(self, is_python: bool) -> dict[str, Any]:
        """Facts for the worker, as in run.json. folder: where processes work. module: the script's name as one of a package.
        import_from: folders of modules. loaded_from: the folder of a project, whose code enters the hash once it is loaded."""
        found = [self.package.folder.parent] if self.package else []
        if self.is_project and is_python:
            found += [one for one in (self.root, self.root / "src") if one.is_dir() and one not in found]
        out = {
            "folder": self.place, "module": self.package.module if self.package else "",
            "import_from": [self.name_of(one) for one in found], "loaded_from": self._name if self.folders else "",
        }  # fmt: skip
        return {name: value for name, value in out.items() if value}


def _name(folder: Path, taken: set[str]) -> str:
    home = Path(os.path.expanduser("~"))
    plain = folder.name and folder.name.isprintable() and not home.is_relative_to(folder)
    return folder.name if plain and folder.name not in taken else "project"
