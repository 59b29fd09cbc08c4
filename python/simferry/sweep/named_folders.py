"""Folders that a whole script expects to find where it is started, as results in setwd("results")."""

import os
import re
from pathlib import Path

_QUOTED = re.compile(r"""["']([^"'\n]+)["']""")
_ENTERS = re.compile(
    r"""\b(?:setwd|chdir)\s*\(\s*(?:dir\s*=\s*|path\s*=\s*)?["']([^"'\n]+)["']|^\s*cd\s+([\w./-]+)""", re.MULTILINE
)
_LISTED = re.compile(r"""["'][^"'\n]{1,200}["'](?:\s*,\s*["'][^"'\n]{1,200}["'])*""")
_MAKES = re.compile(r"^[^#\n]*\b(?:mkdir|makedirs|dir\.create|dir_create)\b[^\n]*", re.MULTILINE)
_WORDS = re.compile(r"[\w./-]+")


def named_folders(text: bytes, beside: Path, language: str, ignored: set[str]) -> list[str]:
    """Relative names of the folders, parents first.

    Those are the folders that the script enters, and folders beside it that its strings name or begin with. Folders that it makes
    itself are left out: making one again could fail. They are empty: the files in them do not come along.

    text: the script. beside: its folder. language: r, python or command. ignored: names of folders that never count.
    """
    if b"\0" in text[:1000]:
        return []
    code = text[:1_000_000].decode(errors="replace")
    made: set[str] = set()
    for line in _MAKES.findall(code):
        names = _QUOTED.findall(line) if language != "command" else _WORDS.findall(line)
        if not names:  # of a variable: it could be any
            return []
        made |= {_relative(name) for name in names}
    entered = [one or other for one, other in _ENTERS.findall(code)]
    strings = _QUOTED.findall(code) + (_WORDS.findall(code) if language == "command" else [])
    found: set[str] = set()
    for name in dict.fromkeys(map(_relative, [*entered, *strings])):
        parts = name.split("/") if name else []
        if ".." in parts or ignored & set(parts):
            continue
        for i in range(1, len(parts) + 1):
            folder = "/".join(parts[:i])
            if folder in made:
                break
            if name in map(_relative, entered) or _is_folder(beside / folder):
                found.add(folder)
    return sorted(found)


def named_above(text: bytes, folder: Path, root: Path, ignored: set[str]) -> list[Path]:
    """Folders of a project that strings in a script lead to, as "../results/a.csv" or here("results", "a.csv"), parents first.

    folder: the script's. root: the project's. They come along empty: git often ignores what is in them.
    """
    found: set[Path] = set()
    for listed in _LISTED.finditer(text[:1_000_000].decode(errors="replace")):
        parts = _QUOTED.findall(listed[0])
        for count in range(1, len(parts) + 1):
            for base in (folder, root):
                path = Path(os.path.normpath(base / "/".join(parts[:count])))
                inside = [one for one in (path, *path.parents) if one.is_relative_to(root) and one != root]
                names = {part for one in inside[:1] for part in one.relative_to(root).parts}
                if not ignored & names:
                    found |= {
                        one for one in inside if _is_folder(one) and one != folder and not folder.is_relative_to(one)
                    }
    return sorted(found)


def _relative(name: str) -> str:
    """The name without ./ and slashes at the end; empty if it is absolute or no plain name."""
    if name.startswith(("/", "~")) or ":" in name or "\\" in name or len(name) > 500:
        return ""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
