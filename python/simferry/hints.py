"""Messages that hold commands and options as data: each face spells them as its users type them.

A face is a way to use simferry: the shell, Python or R. Messages and hints of errors, warnings and notes are strings, or texts
with such parts: `Text("The jobs go on: ", Command("watch", handle), "  follows them.")`. The command is then

    simferry watch 's3://bucket/a+b=c&d/power-1'                  in the shell, quoted
    simferry.open("s3://bucket/a+b=c&d/power-1").watch()          in Python
    sim_watch("s3://bucket/a+b=c&d/power-1")                      in R

A text is spelled when it becomes a string, for the face that is active in this process: `speaking` sets it; the default is Python.
So an error that crosses processes is spelled by the process that shows it.
"""

import contextlib
import enum
import json
import math
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Face(enum.Enum):
    SHELL = "shell"
    PYTHON = "python"
    R = "r"
    FILE = "file"  # a sweep file: options are spelled as in TOML, everything else as in the shell


_active = [Face.PYTHON]  # by process: all threads show their errors to the same user


def active() -> Face:
    return _active[-1]


@contextlib.contextmanager
def speaking(face: Face) -> Iterator[None]:
    """Within the block, this process spells texts for this face."""
    _active.append(face)
    try:
        yield
    finally:
        _active.pop()


def speak(face: Face) -> None:
    """Spell texts for this face, until the innermost `speaking` ends."""
    _active[-1] = face


class Part:
    """A part of a text that each face spells in its own way. With + it makes a Text; in an f-string it is spelled at once."""

    def spelled(self, face: Face) -> str:
        raise NotImplementedError

    def __str__(self) -> str:
        return self.spelled(active())

    def __add__(self, other: "Words") -> "Text":
        return Text(self, other)

    def __radd__(self, other: str) -> "Text":
        return Text(other, self)


class Missing:
    """R's NA, as a value to show."""


NA = Missing()
Words = str | Part  # the type of messages and hints


class Text(Part):
    """A sequence of strings and parts. An empty one is false."""

    def __init__(self, *pieces: Words) -> None:
        nested = (piece.pieces if isinstance(piece, Text) else (piece,) for piece in pieces)
        self.pieces: tuple[Words, ...] = tuple(piece for some in nested for piece in some if piece != "")

    def spelled(self, face: Face) -> str:
        return "".join(piece if isinstance(piece, str) else piece.spelled(face) for piece in self.pieces)

    def __bool__(self) -> bool:
        return bool(self.pieces)

    def __repr__(self) -> str:
        return f"Text({', '.join(map(repr, self.pieces))})"


def lines(*texts: Words) -> Text:
    """The texts that are not empty, one per line."""
    out = Text()
    for text in texts:
        out = Text(out, "\n" if out and text else "", text)
    return out


class Option(Part):
    """An option of a verb, with or without a value: --max-runtime 60, max_runtime=60, max_runtime = 60."""

    def __init__(self, name: str, value: Any = None) -> None:
        self.name, self.value = name, value

    def spelled(self, face: Face) -> str:
        if self.value is None:
            return f"--{self.name.replace('_', '-')}" if face is Face.SHELL else _name(self.name, face)
        return _option(self.name, self.value, face)


class Literal(Part):
    """A value, as it is written in each language."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def spelled(self, face: Face) -> str:
        return _literal(self.value, face)


class BackendOptions(Part):
    """Options of a backend for a new run. In R they are arguments of the backend's function: sim_docker(jobs = 2)."""

    def __init__(self, backend: str, **options: Any) -> None:
        self.backend, self.options = backend, options

    def spelled(self, face: Face) -> str:
        given = [_option(name, value, face) for name, value in self.options.items()]
        if face is Face.R:
            return f"backend = sim_{self.backend}({', '.join(given)})"
        return (" " if face is Face.SHELL else ", ").join(given)


class Parameter(Part):
    """A parameter to add to a design."""

    def __init__(self, name: str) -> None:
        self.name = name

    def spelled(self, face: Face) -> str:
        if face is Face.SHELL:
            return f"-p {shlex.quote(f'{self.name}=...')}"
        if face is Face.R:
            return f"{_key(self.name, face)} = c(...)"
        if face is Face.FILE:
            return f"{_key(self.name, face)} = [...]"
        return f"{self.name}=[...]" if self.name.isidentifier() else f"{_literal(self.name, face)}: [...]"


class Verb(NamedTuple):
    """How each face calls a verb. python and r: {} stands for the arguments; None where only the shell has the verb."""

    shell: str
    python: str | None
    r: str | None


_OF_A_RUN = (
    "status",
    "watch",
    "logs",
    "cancel",
    "resume",
    "extend",
    "results",
    "summary",
    "measures",
    "errors",
    "replay",
    "artifacts",
    "delete",
)
VERBS = {
    **{verb: Verb(verb, f"simferry.open({{run}}).{verb}({{}})", f"sim_{verb}({{}})") for verb in _OF_A_RUN},
    "open": Verb("status", "simferry.open({})", "sim_open({})"),
    "run": Verb("run", "simferry.run({})", "sim_run({})"),
    "plan": Verb("plan", "simferry.plan({})", "sim_plan({})"),
    "note": Verb("note", "simferry.open({}).note", "sim_note({})"),
    "diff": Verb("diff", "simferry.diff({})", "sim_diff({})"),
    "list": Verb("list", "simferry.runs({})", "sim_list({})"),
    "doctor": Verb("doctor", None, "simferry_doctor({})"),
    "image build": Verb("image build", "simferry.images.build(simferry.images.recipe({}))", "image_build({})"),
    "image build for": Verb(
        "image build --for", "simferry.images.build(simferry.images.recipe_for({}))", "image_build(script = {})"
    ),
    "image push": Verb("image push", "simferry.images.registry.push({})", "image_push({})"),
    "infra deploy": Verb("infra deploy", "simferry.infra.deploy({})", "infra_deploy({})"),
    "infra show": Verb("infra show", "simferry.infra.show({})", "infra_show({})"),
    "infra list": Verb("infra list", "simferry.infra.list_all({})", "infra_list({})"),
    "image prune": Verb("image prune", "simferry.infra.prune_images({})", "image_prune({})"),
    "infra delete": Verb("infra delete", "simferry.infra.delete({})", "infra_delete({})"),
    "infra template": Verb("infra template", "simferry.infra.template({})", "infra_template({})"),
    **{
        f"infra rstudio {verb}": Verb(
            f"infra rstudio {verb}", f"simferry.infra.rstudio.{verb}({{}})", f"infra_rstudio_{verb}({{}})"
        )
        for verb in ("deploy", "open", "password", "start", "stop", "show", "delete")
    },
    "endpoint deploy": Verb("endpoint deploy", "simferry.Endpoint.deploy({})", "sim_endpoint_deploy({})"),
    **{
        f"endpoint {verb}": Verb(
            f"endpoint {verb}", f"simferry.Endpoint({{run}}).{verb}({{}})", f"sim_endpoint_{verb}({{}})"
        )
        for verb in ("invoke", "logs", "delete")
    },
    "endpoint list": Verb("endpoint list", "simferry.endpoints({})", "sim_endpoints({})"),
    "transform": Verb("transform", "simferry.transform({})", "sim_transform({})"),
    "emulator": Verb("emulator", None, None),
}


class Command(Part):
    """A call of a verb that can be pasted. arguments: positional, a run's handle first; `...` stands for the user's earlier arguments.

    Command("resume", handle, budget=5)
    Command("plan", ..., backend="sagemaker", refresh_prices=True)
    """

    def __init__(self, verb: str, *arguments: Any, **options: Any) -> None:
        self.verb, self.arguments, self.options = verb, arguments, options

    def spelled(self, face: Face) -> str:
        verb = VERBS[self.verb]
        form = {Face.PYTHON: verb.python, Face.R: verb.r}.get(face)
        if form is None:
            return self._in_a_shell(verb.shell)
        plain = [_literal(one, face) for one in self.arguments]
        named = [_option(name, value, face) for name, value in self.options.items()]
        if "{run}" in form:
            return form.format(", ".join([*plain[1:], *named]), run=plain[0])
        return form.format(", ".join([*plain, *named]))

    def _in_a_shell(self, verb: str) -> str:
        plain = ["..." if one is ... else _word(one) for one in self.arguments]
        named = [_option(name, value, Face.SHELL) for name, value in self.options.items()]
        if any(word.startswith("-") for word in plain):
            plain, named = named, ["--", *plain]
        return " ".join(["simferry", verb, *plain, *named])

    def __repr__(self) -> str:
        return f"<{self}>"


class Help(Part):
    """Where a verb's arguments are documented."""

    def __init__(self, verb: str) -> None:
        self.verb = verb

    def spelled(self, face: Face) -> str:
        verb = VERBS[self.verb]
        if face is Face.R and verb.r:
            return f"?{verb.r.partition('(')[0]}"
        if face is Face.PYTHON and verb.python and "{run}" not in verb.python:
            return f"help({verb.python.partition('(')[0]})"
        return f"simferry {verb.shell} --help"


class Shell(Part):
    """A command of another program; every face shows it as a shell command."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def spelled(self, face: Face) -> str:
        return " ".join(map(_word, self.words))


class Variable(Part):
    """An environment variable to set."""

    def __init__(self, name: str, value: str) -> None:
        self.name, self.value = name, value

    def spelled(self, face: Face) -> str:
        value = _literal(self.value, face)
        if face is Face.PYTHON:
            return f"os.environ[{_literal(self.name, face)}] = {value}"
        return f"Sys.setenv({self.name} = {value})" if face is Face.R else f"export {self.name}={_word(self.value)}"


class InR(Part):
    """R code to run; in a shell and in Python it is a command of the shell."""

    def __init__(self, code: str) -> None:
        self.code = code

    def spelled(self, face: Face) -> str:
        return self.code if face is Face.R else str(Shell("Rscript", "-e", self.code))


class MakesImage(Part):
    """The command that makes an image of a name, with what a script of the user's needs."""

    def __init__(self, name: str) -> None:
        self.name = name.partition("@")[0]
        if ":" in self.name.rpartition("/")[2]:
            self.name = self.name.rpartition(":")[0]

    def spelled(self, face: Face) -> str:
        if self.name in (
            "simferry-mpi",
            "simferry-sklearn",
            "simferry-matlab",
        ):  # of recipes that hold more than a script needs
            return f"{Command('image build', self.name.replace('simferry-', 'containers/')).spelled(face)}  makes it."
        return (
            f"{Command('image build for', 'SCRIPT', name=self.name).spelled(face)}  makes one with what SCRIPT needs."
        )


class Extra(Part):
    """The command that installs optional Python packages."""

    def __init__(self, name: str) -> None:
        self.name = name

    def spelled(self, face: Face) -> str:
        if face is not Face.R:
            return f"pip install 'simferry[{self.name}]'"
        return "simferry_install()" if self.name in IN_R else f"simferry_install(extras = {_literal(self.name, face)})"


IN_R = ("design", "docker")  # which simferry_install() always installs


class Upgrade(Part):
    """The command that updates simferry."""

    def spelled(self, face: Face) -> str:
        if face is Face.R:
            return "install the R package simferry again, then  simferry_install()"
        return "pip install --upgrade simferry"


# ---- names and values ----

_REPEATED = {
    "include": "include",
    "inputs": "input",
    "env": "env",
    "parameters": "parameter",
}  # the shell repeats these for each value


def _name(name: str, face: Face) -> str:
    return "function_name" if face is Face.R and name == "function" else name


def _option(name: str, value: Any, face: Face) -> str:
    """A name and its value."""
    if name == "replications_from" and face in (Face.PYTHON, Face.R):  # a value of `replications` there
        equals, column = ("=", "simferry.column") if face is Face.PYTHON else (" = ", "sim_column")
        return f"replications{equals}{column}({_literal(value, face)})"
    if name == "until" and face is Face.R and isinstance(value, Mapping):
        return f"until = sim_until({', '.join(f'{_key(n, face)} = {v}' for n, v in value.items())})"
    if face is not Face.SHELL:
        return f"{_name(name, face)}{'=' if face is Face.PYTHON else ' = '}{_literal(value, face)}"
    if name in _REPEATED:
        some = [f"{n}={v}" for n, v in value.items()] if isinstance(value, Mapping) else value
        return " ".join(f"--{_REPEATED[name]} {_word(one)}" for one in ([some] if isinstance(some, str) else some))
    shown = f"--{name.replace('_', '-')}"
    if value is True:
        return shown
    value = [f"{n}={v}" for n, v in value.items()] if isinstance(value, Mapping) else value
    word = _word(",".join(map(_text, value)) if isinstance(value, (list, tuple)) else value)
    return f"{shown}={word}" if word.startswith("-") else f"{shown} {word}"


def _key(name: object, face: Face) -> str:
    """A name in R, or a key in TOML, quoted where it needs that."""
    text = str(name)
    if re.fullmatch("[A-Za-z][A-Za-z0-9._]*" if face is Face.R else "[A-Za-z0-9_-]+", text):
        return text
    return "`{}`".format(text.replace("\\", r"\\").replace("`", r"\`")) if face is Face.R else _literal(text, face)


def _text(value: Any) -> str:
    value = _plain(value)
    return repr(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)


def _word(value: Any) -> str:
    """A word of a command line."""
    return shlex.quote(_text(value))


def _plain(value: Any) -> Any:
    """numpy's numbers as Python's; paths as strings."""
    value = value.item() if hasattr(value, "item") else value
    return (
        value
        if value is None or value is ... or isinstance(value, (bool, int, float, list, tuple, Mapping))
        else str(value)
    )


def _literal(value: Any, face: Face) -> str:
    """A value as it is written in Python, R or TOML."""
    if value is NA:
        return "NA"
    value = _plain(value)
    if value is ...:
        return "..."
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # all three have JSON's escapes
    if isinstance(value, bool) or value is None:
        words = {Face.PYTHON: ("None", "False", "True"), Face.R: ("NULL", "FALSE", "TRUE")}.get(
            face, ("", "false", "true")
        )
        return words[0 if value is None else 1 + value]
    if isinstance(value, float) and not math.isfinite(value) and face is not Face.FILE:
        in_r = "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
        return in_r if face is Face.R else f'float("{value}")' if face is Face.PYTHON else str(value)
    if isinstance(value, (int, float)):
        return _text(value)
    if isinstance(value, Mapping):
        pairs = [(name, _literal(one, face)) for name, one in value.items()]
        if face is Face.PYTHON:
            return f"{{{', '.join(f'{_literal(name, face)}: {one}' for name, one in pairs)}}}"
        inside = ", ".join(f"{_key(name, face)} = {one}" for name, one in pairs)
        return f"c({inside})" if face is Face.R else f"{{{inside}}}"
    inside = ", ".join(_literal(one, face) for one in value)
    if face is Face.R:
        return inside if len(value) == 1 else f"c({inside})"
    return f"[{inside}]"
