"""What can be seen in the text of a MATLAB or Octave program: its functions with their arguments, and the names that it uses."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# functions of MATLAB that Octave 7 lacks, and what does the same in both
_STRUCT = "return a struct: numbers become a row, columns of equal length become rows"
_READ = "read numbers with dlmread() or csvread(), and text with fopen() and textscan()"
_WRITE = "return the values, or write numbers with dlmwrite() or csvwrite() and text with fprintf()"
_CELLS = "use a cell array of character vectors"
_TIME = "use clock(), now() and datestr()"
MATLAB_ONLY = {
    "table": _STRUCT, "array2table": _STRUCT, "cell2table": _STRUCT, "struct2table": _STRUCT, "timetable": _STRUCT,
    "table2array": _STRUCT, "height": "use size(x, 1)", "width": "use size(x, 2)",
    "readtable": _READ, "readmatrix": _READ, "readcell": _READ, "readtimetable": _READ, "readvars": _READ,
    "writetable": _WRITE, "writematrix": _WRITE, "writecell": _WRITE, "writetimetable": _WRITE,
    "string": _CELLS, "strings": _CELLS, "categorical": _CELLS, "join": "use strjoin()",
    "datetime": _TIME, "duration": _TIME, "seconds": _TIME,
    "RandStream": "draw from rand(), randn() and randi(), which simferry seeds",
    "groupsummary": "use accumarray()", "parpool": "leave it out: simferry runs replications in parallel",
    "fitlm": "solve with X \\ y", "fitglm": "maximise the likelihood with fminsearch()",
}  # fmt: skip

# what draws from each of Octave's generators; others are noticed when they have drawn
_DRAWING = (
    {"rand", "randi", "randperm", "sprand", "unifrnd", "randsample"}, {"randn", "sprandn", "normrnd"}, {"rande", "exprnd"},
    {"randg", "gamrnd"}, {"randp", "poissrnd"},
)  # fmt: skip
_OLD = re.compile(r"rand[a-z]?\s*\(?\s*['\"]?seed\b")  # rand('seed', x)
_CLOSING = re.compile(r"\bfclose[\s(]+['\"]?all\b")
_SETTING = {"setenv", "putenv", "unsetenv"}
_FUNCTION = re.compile(
    r"^[ \t]*function\b[ \t]*(?:(?:\[([^\]]*)\]|(\w+))[ \t]*=[ \t]*)?([A-Za-z][\w.]*)[ \t]*(?:\(([^)]*)\))?",
    re.MULTILINE,
)
_BLOCK_COMMENT = re.compile(r"^[ \t]*[%#]\{[ \t]*$.*?^[ \t]*[%#]\}[ \t]*$", re.MULTILINE | re.DOTALL)
# a quote after a name, a bracket, a dot or a quote transposes
_TEXT_OR_COMMENT = re.compile(r"""(?<![\w)\]}.'])'(?:[^'\n]|'')*'|"(?:[^"\\\n]|\\.|"")*"|[%#][^\n]*|\.\.\.[^\n]*\n""")
_OPTIONAL = re.compile(r"\b(?:nargin|exist|inputParser|arguments)\b")
_NAME = re.compile(r"(?<![\w.])[A-Za-z]\w*")
# pkg load a b, or pkg('load', 'a', 'b')
_PACKAGES = re.compile(
    r"""\bpkg(?:[ \t]+load((?:[ \t]+['"]?[\w-]+['"]?)+)|[ \t]*\([ \t]*['"]load['"]((?:[ \t]*,[ \t]*['"][\w-]+['"])+))"""
)


class Function(NamedTuple):
    """arguments: names, and whether each may be left out. `...` stands for varargin. outputs: varargout only if alone."""

    name: str
    arguments: list[tuple[str, bool]]
    outputs: list[str]


def read(script: Path) -> str:
    return script.read_text(encoding="utf-8", errors="replace")


def code_of(text: str) -> str:
    """The text without comments, with empty strings, and with lines that go on joined."""

    def put(match: re.Match[str]) -> str:
        return " " if match[0].startswith("...") else "" if match[0][0] in "%#" else "''"

    return _TEXT_OR_COMMENT.sub(put, _BLOCK_COMMENT.sub("", text.replace("\r\n", "\n")))


def functions(text: str) -> list[Function]:
    """The functions that a file defines, the first of which is the file's own."""
    code = code_of(text)
    found = list(_FUNCTION.finditer(code))
    out = []
    for i, match in enumerate(found):
        body = code[match.end() : found[i + 1].start() if i + 1 < len(found) else len(code)]
        optional = bool(_OPTIONAL.search(body))
        names = [name for name in re.split(r"[\s,]+", match[4] or "") if name]
        arguments = [("...", True) if name == "varargin" else (name, optional) for name in names]
        outputs = [name for name in re.split(r"[\s,]+", match[1] or match[2] or "") if name]
        outputs = [name for name in outputs if name != "varargout"] or outputs  # of it alone, the first
        out.append(Function(match[3], arguments, outputs))
    return out


def is_function_file(text: str) -> bool:
    """Whether a file begins with a function, so that its name is called; else it is a script."""
    return bool(re.match(r"\s*function\b", code_of(text)))


def chosen(text: str, wanted: str) -> str:
    """The function to call: the one that is wanted, or else the file's own if no other than the usual name was given."""
    defined = [one.name for one in functions(text)]
    return defined[0] if wanted == "simulate" and defined and wanted not in defined else wanted


def names_in(text: str) -> set[str]:
    return {name for name in _NAME.findall(code_of(text)) if len(name) < 64}


class Traits(NamedTuple):
    """What the text of a program shows of what it does. drawing: from which of Octave's generators, rand, randn, rande, randg and randp.
    old: whether it seeds those of before 1997. sets_variables: in the environment.
    lasting: whether it has persistent or global variables. closes_all: whether it closes all files."""

    drawing: list[bool]
    old: bool
    sets_variables: bool
    lasting: bool
    closes_all: bool


def traits(texts: Iterable[str]) -> Traits:
    """Of all texts together: of a script and its helpers."""
    texts = list(texts)
    names = set().union(*(names_in(text) for text in texts))
    old = any(map(_OLD.search, texts))
    closes = any(_CLOSING.search(text) for text in map(without_comments, texts))
    drawing = [old or bool(names & one) for one in _DRAWING]
    return Traits(drawing, old, bool(names & _SETTING), bool(names & {"persistent", "global"}), closes)


def without_comments(text: str) -> str:
    """The text without lines that are comments."""
    return _BLOCK_COMMENT.sub("", re.sub(r"(?m)^[ \t]*[%#].*$", "", text))


def packages_in(text: str) -> list[str]:
    """The Octave packages that `pkg load` names."""
    given = " ".join(" ".join(one) for one in _PACKAGES.findall(without_comments(text)))
    return list(dict.fromkeys(name for name in re.findall(r"[\w-]+", given) if name[0] != "-"))


def helpers(script: Path) -> dict[str, Path]:
    """Functions in files of their own that a script uses, beside it and in `private`, as Octave finds them: name -> path."""
    found: dict[str, Path] = {}
    todo = [script]
    while todo:
        names = names_in(read(todo.pop()))
        for name in sorted(names):
            for relative in (f"{name}.m", f"private/{name}.m"):
                path = script.parent / relative
                if relative not in found and path.is_file() and path != script:
                    found[relative] = path
                    todo.append(path)
    return found


def advice(message: str) -> str:
    """An error's message; where Octave lacks a function of MATLAB, what to use."""
    if (match := re.match(r"'(\w+)' undefined", message)) and match[1] in MATLAB_ONLY:
        return f"{message.splitlines()[0]}. Octave has no {match[1]}: {MATLAB_ONLY[match[1]]}"
    return message


def lacked(printed: str) -> str:
    """Of what a script printed, the last error of a function of MATLAB that Octave lacks, with what to use; empty if there is none."""
    errors = [line.removeprefix("error: ") for line in printed.splitlines() if line.startswith("error: ")]
    return next((told for line in reversed(errors) if (told := advice(line)) != line), "")


def lacking(names: Iterable[str]) -> str:
    """Functions of MATLAB that Octave lacks, with what to use, for an error."""
    return "; ".join(f"{name}: {MATLAB_ONLY[name]}" for name in sorted(names))
