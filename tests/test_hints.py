"""Hints: each face spells commands and options as its users type them. Every one that the package can make is checked against what
the shell, Python and R have, so that none that can't be typed is shown."""

import ast
import inspect
import math
import pickle
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import simferry
from common import rscript
from simferry import hints
from simferry.cli import main
from simferry.errors import Note, UsageError
from simferry.hints import (
    BackendOptions,
    Command,
    Extra,
    Face,
    Help,
    Literal,
    Option,
    Parameter,
    Shell,
    Text,
    Variable,
    speaking,
)
from simferry.verbs.runs import Run

PACKAGE = Path(simferry.__file__).parent
R_PACKAGE = Path(__file__).parent.parent / "r_package"
NASTY = 's3://b/it\'s a+b=c&d $x "y" \\z'
FACES = (Face.SHELL, Face.PYTHON, Face.R)


@pytest.mark.parametrize(
    ("part", "shell", "python", "r"),
    [
        (Command("resume", "p-1"), "simferry resume p-1", 'simferry.open("p-1").resume()', 'sim_resume("p-1")'),
        (
            Command("resume", "s3://b/a+b=c&d", retry_failed=True, budget=5.0),
            "simferry resume 's3://b/a+b=c&d' --retry-failed --budget 5",
            'simferry.open("s3://b/a+b=c&d").resume(retry_failed=True, budget=5)',
            'sim_resume("s3://b/a+b=c&d", retry_failed = TRUE, budget = 5)',
        ),
        (
            Command("summary", "it's", by=["a b", "c"]),
            """simferry summary 'it'"'"'s' --by 'a b,c'""",
            'simferry.open("it\'s").summary(by=["a b", "c"])',
            'sim_summary("it\'s", by = c("a b", "c"))',
        ),
        (
            Command("plan", ..., backend="sagemaker", refresh_prices=True),
            "simferry plan ... --backend sagemaker --refresh-prices",
            'simferry.plan(..., backend="sagemaker", refresh_prices=True)',
            'sim_plan(..., backend = "sagemaker", refresh_prices = TRUE)',
        ),
        (Command("emulator", port=5556), *["simferry emulator --port 5556"] * 3),
        (Command("status", "-x"), "simferry status -- -x", 'simferry.open("-x").status()', 'sim_status("-x")'),
        (Option("max_runtime"), "--max-runtime", "max_runtime", "max_runtime"),
        (Option("max_runtime", 60), "--max-runtime 60", "max_runtime=60", "max_runtime = 60"),
        (Option("function", "f"), "--function f", 'function="f"', 'function_name = "f"'),
        (Option("include", ["a b", "c"]), "--include 'a b' --include c", 'include=["a b", "c"]', 'include = c("a b", "c")'),
        (Option("inputs", {"x": "y z"}), "--input 'x=y z'", 'inputs={"x": "y z"}', 'inputs = c(x = "y z")'),
        (
            BackendOptions("sagemaker", subnets=["s-1", "s-2"], security_groups=["g"]),
            "--subnets s-1,s-2 --security-groups g",
            'subnets=["s-1", "s-2"], security_groups=["g"]',
            'backend = sim_sagemaker(subnets = c("s-1", "s-2"), security_groups = "g")',
        ),
        (Help("run"), "simferry run --help", "help(simferry.run)", "?sim_run"),
        (Variable("A", "b c"), "export A='b c'", 'os.environ["A"] = "b c"', 'Sys.setenv(A = "b c")'),
        (Extra("design"), *["pip install 'simferry[design]'"] * 2, "simferry_install()"),
        (Extra("emulator"), *["pip install 'simferry[emulator]'"] * 2, 'simferry_install(extras = "emulator")'),
        (Parameter("n"), "-p n=...", 'n=[...]', "n = c(...)"),
        (
            Literal({"a b": math.inf, "k": math.nan}), '{"a b" = inf, k = nan}', '{"a b": float("inf"), "k": float("nan")}',
            "c(`a b` = Inf, k = NaN)",
        ),
        (Shell("docker", "pull", "a b"), *["docker pull 'a b'"] * 3),
    ],
)  # fmt: skip
def test_each_face_spells_parts_in_its_way(part, shell, python, r):
    assert [part.spelled(face) for face in FACES] == [shell, python, r]


def test_sweep_files_have_keys():
    assert Option("tags", {"a b": "c", "d": "e"}).spelled(Face.FILE) == 'tags = {"a b" = "c", d = "e"}'
    assert Option("max_runtime", 60).spelled(Face.FILE) == "max_runtime = 60"
    assert Option("keep_files", True).spelled(Face.FILE) == "keep_files = true"
    assert Option("subnets", ["a"]).spelled(Face.FILE) == 'subnets = ["a"]'


def test_an_error_is_spelled_where_it_is_read():
    error = UsageError("wrong: " + Option("jobs", 2), Text(Command("resume", "p-1"), "  goes on"))
    crossed = pickle.loads(pickle.dumps(error))
    for one in (error, crossed):
        assert str(one) == 'wrong: jobs=2\nsimferry.open("p-1").resume()  goes on'
        with speaking(Face.SHELL):
            assert (one.message, one.hint) == ("wrong: --jobs 2", "simferry resume p-1  goes on")
            with speaking(Face.R):
                assert one.hint == 'sim_resume("p-1")  goes on'
            assert str(Note(one.hint_parts)) == "simferry resume p-1  goes on"


def test_lines_leaves_out_what_is_empty():
    assert str(hints.lines("", "a", Text(), Option("jobs"))) == "a\njobs" and not hints.lines("", Text())


# ---- every hint of the package ----


def commands_of(group, name=""):
    """The commands of a group and of those within it, by name."""
    for one, command in group.commands.items():
        within = isinstance(command, click.Group)
        yield from commands_of(command, f"{name}{one} ") if within else [(f"{name}{one}", command)]


COMMANDS = dict(commands_of(main))


def value_of(name, node):
    """A hint's value as the code writes it; where that is known only at run time, one of the kind that the option takes."""
    try:
        return ... if ast.unparse(node) == "..." else ast.literal_eval(node)
    except ValueError:
        option = next(p for c in COMMANDS.values() for p in c.params if name in (p.name, *p.opts))
        if name in hints._REPEATED or name == "by":
            return [NASTY.replace(",", "")]
        return {"integer": 3, "float": 2.5}.get(option.type.name, NASTY)


def parts_of_the_package():
    """Where each part is made, and the part."""
    for path in sorted(PACKAGE.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "hints"]
        imported = {one.asname or one.name: one.name for node in froms for one in node.names}
        for node in nodes:
            if not isinstance(node, ast.Call):
                continue
            where = f"{path.relative_to(PACKAGE)}:{node.lineno}"
            kind, of = getattr(node.func, "attr", getattr(node.func, "id", "")), getattr(node.func, "value", None)
            literal = [arg.value if isinstance(arg, ast.Constant) else NASTY for arg in node.args]
            of_a_run = kind == "command" and not (
                isinstance(of, ast.Name) and of.id in ("main", "image", "infra", "rstudio", "endpoint")
            )  # click's
            if not literal or literal[0] == NASTY or not (of_a_run or kind in imported):
                continue
            kind = imported.get(kind, kind)
            if of_a_run or kind == "Command":
                options = {k.arg: value_of(k.arg, k.value) for k in node.keywords}
                yield where, Command(literal[0], *([NASTY] if of_a_run else literal[1:]), **options)
            elif kind == "BackendOptions":
                yield where, BackendOptions(literal[0], **{k.arg: value_of(k.arg, k.value) for k in node.keywords})
            elif kind == "Option":
                yield where, Option(literal[0], value_of(literal[0], node.args[1]) if len(node.args) > 1 else None)
            elif kind == "Help" or (kind == "Shell" and literal[0] == "simferry"):
                yield where, getattr(hints, kind)(*literal)


PARTS = list(parts_of_the_package())


def parsed(words):
    """The parameters that click reads from the words of a command line, without those that were not given."""
    command, context = main, main.make_context("simferry", list(words))
    while isinstance(command, click.Group):
        name, command, rest = command.resolve_command(
            context, [*getattr(context, "_protected_args", ()), *context.args]
        )
        context = command.make_context(name, rest, parent=context)
    given = click.core.ParameterSource.COMMANDLINE
    return {name: v for name, v in context.params.items() if context.get_parameter_source(name) is given}


def as_click_has(name, value):
    if name == "env":
        return value
    if name == "until":
        return ",".join(f"{key}={one}" for key, one in value.items())
    if name in hints._REPEATED:
        return tuple(f"{key}={one}" for key, one in value.items()) if isinstance(value, dict) else tuple(value)
    if name in ("alpha", "quantiles"):  # numbers with commas between
        return ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return ",".join(value) if isinstance(value, list) else value


TYPED = [(where, part) for where, part in PARTS if not where.startswith("_rbridge")]  # which only R sees
IN_A_SHELL = [
    (where, part) for where, part in TYPED if not where.startswith("results/kept_whole")
]  # no command has values


@pytest.mark.parametrize(("where", "part"), IN_A_SHELL, ids=[where for where, _ in IN_A_SHELL])
def test_a_shell_reads_what_was_meant(where, part):
    words = shlex.split(part.spelled(Face.SHELL))
    if isinstance(part, Command):
        assert words[0] == "simferry"
        plain = ["..." if word is ... else word for word in part.arguments]
        one = lambda value: value[0] if isinstance(value, tuple) and len(value) == 1 else value  # noqa: E731
        found = {name: one(value) for name, value in parsed(words[1:]).items()}
        options = {name: one(as_click_has(name, value)) for name, value in part.options.items()}
        assert set(plain) <= set(found.values())
        assert {name: found[name] for name in options} == options and len(found) == len(plain) + len(options)
    elif words[-1] == "--help":
        with pytest.raises(click.exceptions.Exit):
            parsed(words[1:])
    elif isinstance(part, Shell):
        parsed(words[1:])
    else:
        some = {part.name: part.value} if isinstance(part, Option) else part.options
        takers = [c for c in COMMANDS.values() if {*words} & {o for p in c.params for o in p.opts}]
        assert takers, f"{where}: no command has {words[0]}"
        if None not in some.values():
            context = takers[0].make_context("x", words, resilient_parsing=True)
            assert {name: context.params[name] for name in some} == {n: as_click_has(n, v) for n, v in some.items()}


OPTIONS_OF_BACKENDS = {p.name for p in COMMANDS["run"].params}


def target(node):
    """What an expression of a hint names: a function, or what a call gives. Each call is held against the signature."""
    if isinstance(node, ast.Name):
        return {"simferry": simferry, "help": help}[node.id]
    if isinstance(node, ast.Attribute):
        return getattr(target(node.value), node.attr)
    function = target(node.func)
    if function is help:
        return target(node.args[0])
    given = [one for one in node.args if ast.unparse(one) != "..."]
    named = {one.arg: None for one in node.keywords}
    of_a_run = [None] if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call) else []
    signature = inspect.signature(function)
    bound = signature.bind_partial(*of_a_run, *given, **named)
    loose = [p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD]
    assert all(set(bound.arguments.get(name, ())) <= OPTIONS_OF_BACKENDS for name in loose)
    return Run if function is simferry.open else function


def test_parts_of_the_package_that_hints_name_need_no_import():
    code = "import simferry; simferry.images.build, simferry.images.registry.push"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_python_has_what_hints_name():
    functions = (simferry.run, simferry.plan, Run.resume, Run.extend, Run.summary, Run.values, simferry.images.Recipe)
    functions += (simferry.images.registry.push, simferry.infra.deploy)
    functions += (simferry.infra.rstudio.deploy, simferry.infra.rstudio.open, simferry.serve)
    functions += (simferry.Endpoint.deploy, simferry.Endpoint.predict, simferry.transform, simferry.measures)
    known = {name for f in functions for name in inspect.signature(f).parameters} | OPTIONS_OF_BACKENDS
    for where, part in TYPED:
        text = part.spelled(Face.PYTHON)
        if isinstance(part, Command | Help) and not text.startswith("simferry "):
            target(ast.parse(text, mode="eval").body)
        elif isinstance(part, Option | BackendOptions):
            if text.isidentifier():
                text += "=None"
            call = ast.parse(f"f({text})", mode="eval").body
            assert {one.arg for one in call.keywords} <= known, where


# what texts spell in the words of one face; a hint says it by a part of hints.py
OF_ONE_FACE = re.compile(
    r"(^|[ (])--(?!create-home)[a-z]{3,}[a-z-]*( |\.|,|$)"
    r"|simferry (run|plan|status|watch|logs|cancel|resume|extend|list|doctor|image|infra)\b"
    r"|pip install ['\"]?simferry|AWS_DEFAULT_REGION=|SIMFERRY_[A-Z]+=\S"
)


def test_no_other_text_is_in_the_words_of_one_face():
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if {"cli", "worker", "sagemaker"} & {*path.relative_to(PACKAGE).parts} or path.name == "hints.py":
            continue
        tree = ast.parse(path.read_text())
        bodies = [
            node.body[0] for node in ast.walk(tree) if getattr(node, "body", None) and isinstance(node.body, list)
        ]
        plain = {id(body.value) for body in bodies if isinstance(body, ast.Expr)}  # docstrings
        texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        for node in texts:
            word = re.fullmatch("--[a-z-]+", node.value)  # of a command that is run
            if id(node) not in plain and not word and OF_ONE_FACE.search(node.value):
                found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.value}")
    assert found == []


READ_R = """
exported <- sub("export\\\\((.*)\\\\)", "\\\\1", grep("^export", readLines("NAMESPACE"), value = TRUE))
have <- new.env()
for (file in list.files("R", full.names = TRUE)) for (one in as.list(parse(file, keep.source = FALSE)))
  if (is.call(one) && identical(one[[1]], as.name("<-")) && is.call(one[[3]]) && identical(one[[3]][[1]], as.name("function")))
    assign(as.character(one[[2]]), eval(one[[3]]), have)
backends <- unlist(lapply(c("sim_local", "sim_docker", "sim_sagemaker", "sim_batch"), function(name) names(formals(have[[name]]))))
known <- c(unlist(lapply(exported, function(name) names(formals(have[[name]])))))
check <- function(text) {
  one <- parse(text = text, keep.source = FALSE)
  stopifnot(length(one) == 1L)
  one <- one[[1]]
  if (is.name(one)) return(stopifnot(as.character(one) %in% known))
  if (identical(one[[1]], as.name("="))) {
    stopifnot(as.character(one[[2]]) %in% known)
    one <- one[[3]]
    if (!is.call(one) || identical(one[[1]], as.name("c"))) return()
  }
  if (identical(one[[1]], as.name("?"))) return(stopifnot(as.character(one[[2]]) %in% exported))
  name <- as.character(one[[1]])
  stopifnot(name %in% exported)
  if (name == "sim_until") return()  # whose arguments are names of measures
  one <- as.call(Filter(function(x) !identical(x, as.name("...")), as.list(one)))
  found <- match.call(have[[name]], one, expand.dots = FALSE)
  stopifnot(all(names(found[["..."]]) %in% backends))
}
for (text in texts) tryCatch(check(text), error = function(e) cat(text, ":", conditionMessage(e), "\\n"))
"""


def test_r_has_what_hints_name(tmp_path):
    texts = [part.spelled(Face.R) for _, part in PARTS]
    texts = sorted({text for text in texts if not text.startswith("simferry ")})
    assert texts
    listed = tmp_path / "texts"
    listed.write_text("\n".join(texts) + "\n", encoding="utf-8")
    read = f'setwd("{R_PACKAGE}"); texts <- readLines("{listed}", encoding = "UTF-8")\n'
    assert rscript(read + READ_R, tmp_path) == ""


def test_functions_that_the_bridge_names_are_exported():
    exported = re.findall(r"^export\((.*)\)", (R_PACKAGE / "NAMESPACE").read_text(), re.M)
    texts = "\n".join(path.read_text() for path in (PACKAGE / "_rbridge").glob("*.py"))
    named = set(re.findall(r"\b(sim_[a-z_]+)\(", texts))
    assert named and named <= set(exported)
