"""The check before a run of a simulation in the language of MATLAB and Octave."""

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from .family import ending
from .job import Job
from .octave import Ended, Interpreter, defining, facts_of, loading, traits_of
from .octave_program import PROGRAMS, program
from .octave_text import MATLAB_ONLY, Function, functions, helpers, names_in, read
from .octave_values import literal
from .scripts import Reported


class Examined(NamedTuple):
    """What `examine` has found: facts for the check's answer, the arguments of the function, and the names of all functions."""

    facts: dict[str, str]
    arguments: list[tuple[str, bool]]
    functions: list[str]


def examine(job: Job) -> Examined:
    """Load the function as a replication does, and see whether the interpreter has what it uses."""
    script = job.code / job.script
    text = script.read_text(encoding="utf-8", errors="replace")
    defined = functions(text)
    names = [one.name for one in defined]
    if not program():
        return Examined({"problem": "interpreter", "detail": ", ".join(PROGRAMS)}, [], names)
    is_here = job.function in names
    function = next((one for one in defined if one.name == job.function), Function(job.function, [], []))
    with tempfile.TemporaryDirectory(prefix="simferry-octave-") as folder:
        one = Interpreter(Path(folder))
        try:
            facts = facts_of(one)
            if job.kind != "function":
                return Examined(facts, [], names)
            own = traits_of(job)
            if job.function == "worker":
                return Examined(
                    facts | {"problem": "load", "detail": "worker is simferry's name: choose another"}, [], names
                )
            if own.closes_all:
                detail = "fclose('all') closes simferry's files too: close each file by its number, fclose(f)"
                return Examined(facts | {"problem": "load", "detail": detail}, [], names)
            facts["lasting"] = "yes" if own.lasting else ""
            used = set().union(*(names_in(read(path)) for path in (script, *helpers(script).values()))) & {*MATLAB_ONLY}
            try:
                if is_here:
                    one.ask(loading(job, function, os.getcwd(), one.is_matlab) + " nargin(target);")
                else:
                    one.ask(f"cd({literal(os.getcwd())}); {defining(text, script.name)}")
            except Reported as error:
                problem = problem_of(error.args[0], job.script)
                if is_here or problem["problem"] == "syntax":
                    return Examined({**facts, **problem}, [], names)
            if not is_here:
                return Examined({**facts, "problem": "function", "detail": job.function}, [], names)
            absent = one.ask(f"reply = absent_({{{', '.join(map(literal, sorted(used)))}}});").split()
            if absent and not one.is_matlab and not re.search(r"\bOCTAVE_VERSION\b|\bexist\b", text):
                return Examined({**facts, "problem": "lacks", "detail": "\n".join(absent)}, [], names)
            return Examined(facts, function.arguments, names)
        except Ended as end:
            detail = f"the interpreter ended ({ending(end.status)}): does it call quit() or exit()?"
            return Examined({"problem": "load", "detail": detail}, [], names)
        finally:
            sys.stdout.write(one.printed())
            one.end()


def problem_of(message: str, script: str) -> dict[str, str]:
    """A syntax error with its line, or another error of the loading."""
    if match := re.match(r"parse error(?: near line (\d+) of file (\S+))?:?\s*(.*)", message, re.DOTALL):
        place = f"{os.path.basename(match[2]) if match[2] else script}, line {match[1]}: " if match[1] else ""
        lines = [line.strip(" >^") for line in match[3].splitlines()]
        return {"problem": "syntax", "detail": place + ": ".join(filter(None, lines))}
    return {"problem": "load", "detail": message}
