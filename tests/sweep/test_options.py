"""Options: each of each backend, wrong in each way, from each surface: one error that names option, value and place."""

import json
import math
import re

import numpy as np
import pytest
import simferry as sf
from click.testing import CliRunner
from r_fixtures import ROOT, in_r, library  # noqa: F401
from simferry.cli import main
from simferry.errors import UsageError
from simferry.sweep.option_values import Field
from simferry.sweep.options import BACKENDS, RunOptions, SagemakerOptions, SimulationOptions, check, offered

NEEDED = {
    "docker": {"image": "x"},
    "local": {},
    "sagemaker": {},
    "batch": {},
}  # by a backend before its options are looked at
VALUES = {  # by the kind of an option: values of a wrong type and a wrong sign
    "whole number": ["two", True, 2.5, -1, 0, 2**31, math.nan, [1, 2]],
    "whole numbers": ["two", True, 2.5, -1, 0, 2**31, math.nan, [1, 0]],
    "number": ["two", True, -1, 0, math.nan, [1, 2]],
    "logical": ["no", 1],
    "text": [3, True, ["a", "b"]],
    "texts": [3, True, [1, 2]],
    "path": [3, True, ["a", "b"]],
    "paths": [3, True, [1, 2]],
    "pairs": [3, "a"],
}


def wrong_values(field: Field) -> list:
    values = ["halt", 3] if field.option.choices else VALUES[field.kind]
    return [value for value in values if not (value == 0 and field.option.minimum == 0)]


OF_BACKENDS = [
    (name, option, value)
    for name, kind in BACKENDS.items()
    for option, field in offered(kind).items()
    for value in wrong_values(field)
]
OF_RUNS = [("local", option, value) for option, field in offered(RunOptions).items() for value in wrong_values(field)]
NO_TYPE = [("docker", "instance_type", "ml.m5.xlareg"), ("sagemaker", "instance_type", "ml.m5.xlarge,ml.m5.xlareg")]
CASES = [*OF_BACKENDS, *OF_RUNS, *NO_TYPE]
FITTING = {"whole number": 2, "number": 60, "logical": True, "pairs": "a=b", "text": "a", "texts": "a", "path": "a"}
OF_OTHERS = [  # options that only other backends have
    (name, option, FITTING[field.kind])
    for name, kind in BACKENDS.items()
    for option, field in {k: v for other in BACKENDS.values() for k, v in offered(other).items()}.items()
    if option not in offered(kind)
]
UNKNOWN = [*((name, f"{next(iter(offered(kind)))}x", 2) for name, kind in BACKENDS.items()), *OF_OTHERS]
FALSE = {"python": "False", "r": "FALSE", "file": "false", "shell": "false"}


def literal(value: object, surface: str) -> str:
    if isinstance(value, bool):
        return FALSE[surface] if not value else {"python": "True", "r": "TRUE"}.get(surface, "true")
    if isinstance(value, float) and math.isnan(value):
        return {"python": 'float("nan")', "r": "NaN"}.get(surface, "nan")
    if isinstance(value, list) and surface == "r":
        return f"c({json.dumps(value)[1:-1]})"
    return json.dumps(value)


def words(backend: str, option: str, value: object, surface: str) -> str:
    """What the option has to be."""
    field = {**offered(RunOptions), **offered(BACKENDS[backend])}[option]
    if option == "instance_type" and value not in VALUES[field.kind]:
        return "one that is known: there is no instance type 'ml.m5.xlareg'"
    if field.kind == "logical":
        return f"{literal(True, surface)} or {literal(False, surface)}"
    if field.option.choices:
        return f"{', '.join(field.option.choices[:-1])} or {field.option.choices[-1]}"
    numbers = {
        "whole number": "a whole number from ",
        "whole numbers": "a whole number from ",
        "number": f"a number of {field.option.unit} {'from 60 to' if field.option.minimum == 60 else 'above 0'}",
    }
    texts = {"texts": "a text, or several", "paths": "a text, or several", "pairs": "NAME=VALUE, with commas between"}
    return {**numbers, **texts}.get(field.kind, "a text")


def expected(backend: str, option: str, value: object, surface: str) -> str:
    own = "run" if option in offered(RunOptions) else backend
    spelled = {"shell": f"--{option.replace('_', '-')}", "file": f"[{own}] {option}"}.get(surface, option)
    if (backend, option, value) in UNKNOWN:
        return f"the {backend} backend has no option {spelled}"
    return f"{spelled} is {literal(value, surface)}; it has to be {words(backend, option, value, surface)}"


@pytest.fixture
def script(tmp_path, monkeypatch):
    path = tmp_path / "s.py"
    path.write_text("def simulate(rng): return rng.normal()\n")
    monkeypatch.setenv("SIMFERRY_STORE", str(tmp_path / "runs"))
    yield path
    assert not (tmp_path / "runs").exists()  # nothing has started


def test_python(script):
    for backend, option, value in [*CASES, *UNKNOWN]:
        given = {"replications": 2, "backend": backend, **NEEDED[backend], option: value}
        for verb in (
            (sf.run, sf.plan) if option != "fresh" and option not in RunOptions.__dataclass_fields__ else (sf.run,)
        ):
            with pytest.raises(UsageError) as error:
                verb(script, **given)
            assert str(error.value).startswith(expected(backend, option, value, "python"))
    with pytest.raises(UsageError, match="has no option title"):
        sf.run(script, replications=2, title="mine")
    for name in ("", " ", "a/b", "a\\b", "two\nlines", "latest", "x" * 101):
        with pytest.raises(UsageError, match=r"name is .*; it has to be a name of at most 100 characters, in one line"):
            sf.run(script, replications=2, name=name)
    with pytest.raises(UsageError, match=r"note is .*; it has to be a text of at most 10,000 bytes"):
        sf.run(script, replications=2, note="ü" * 5001)


def test_several_faults_are_one_error(script):
    with pytest.raises(UsageError) as error:
        sf.run(script, replications=0, retries=1.5, backend="docker", jobs="3", budget=2)
    assert str(error.value).splitlines() == [
        "4 options are wrong:",
        "  replications is 0; it has to be a whole number from 1 to 2147483647, or one for each condition",
        "  retries is 1.5; it has to be a whole number from 0 to 2147483647",
        '  jobs is "3"; it has to be a whole number from 1 to 2147483647',
        "  the docker backend has no option budget. The sagemaker backend and the batch backend have it.",
    ]


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"on": "fargate", "vcpus": 3}, "Fargate has no size of 3 vCPUs with 4 GB", 'vcpus=4, memory="8G"  is the nearest one.'),
        ({"on": "fargate", "memory": "512M"}, "Fargate has no size of 2 vCPUs with 0.5 GB", 'vcpus=2, memory="4G"  is the nearest one.'),
        ({"vcpus": 0.5}, "vcpus is 0.5, and machines of EC2 have whole ones", 'vcpus=1, or on="fargate"'),
        ({"cores": 8, "vcpus": 4}, "cores is 8, and a job of AWS Batch has 4 vCPUs", "vcpus=8"),
        ({"store": "here"}, "the store ", 'store="s3://my-bucket/simferry"'),
        ({"memory": "4096"}, 'memory is "4096"; it has to be a size such as 4G or 512M', ""),
        ({"hosts": 2}, "the batch backend has no option hosts", "A job of AWS Batch has one machine"),
    ],
)  # fmt: skip
def test_what_aws_batch_can_not_do_is_said_before_it_is_asked(script, options, message, hint):
    for verb in (sf.run, sf.plan) if "store" not in options else (sf.run,):
        with pytest.raises(UsageError) as error:
            verb(script, replications=2, backend="batch", **options)
        assert str(error.value).startswith(message) and hint in f"{error.value} {error.value.hint}"


def test_a_sweep_file(script, tmp_path):
    path = tmp_path / "sweep.toml"
    for backend, option, value in [*CASES, *UNKNOWN]:
        own = "run" if option in offered(RunOptions) else backend
        line = f"{option} = {literal(value, 'file')}\n"
        path.write_text(f'[simulation]\nscript = "s.py"\n[{own}]\n{line}')
        with pytest.raises(UsageError) as error:
            sf.read_sweep(path)
        assert str(error.value).startswith(f"{path}, line 4: {expected(backend, option, value, 'file')}")


def test_the_shell(script, tmp_path):
    written = [case for case in CASES if not isinstance(case[2], bool)]  # flags take no value, and text is text
    numeric = [
        case for case in written if "number" in {**offered(RunOptions), **offered(BACKENDS[case[0]])}[case[1]].kind
    ]
    numeric = [case for case in numeric if not isinstance(case[2], list)]
    for backend, option, value in [*numeric, *NO_TYPE, ("local", "on_error", "halt"), *OF_OTHERS]:
        flag = [] if value is True else [str(value)]
        given = ["--backend", backend, f"--{option.replace('_', '-')}", *flag]
        done = CliRunner().invoke(main, ["run", str(script), "-n", "2", *given])
        assert done.exit_code == 2
        assert done.stderr.startswith(f"simferry: {expected(backend, option, value, 'shell')}"), done.stderr
    made = sf.run(script, replications=1, store=tmp_path / "others", workers=1)
    for value in ("2.5", "two"):
        done = CliRunner().invoke(main, ["extend", str(made.folder), "-n", value])
        assert done.exit_code == 2 and "--replications is" in done.stderr and "a whole number from 1 to" in done.stderr
    done = CliRunner().invoke(main, ["run", str(script), "-n", "2", "--wrokers", "2"])
    assert done.exit_code == 2 and "--wrokers" in done.stderr and "--workers" in done.stderr


OF_OTHERS_IN_R = {"replications_from", "until", "least", "most"}  # sim_column() and sim_until()


def test_r(script, in_r):  # noqa: F811
    def call(backend: str, option: str, value: object) -> str:
        given = f"{option} = {literal(value, 'r')}"
        if option in offered(RunOptions):
            return f"list({given})"
        needed = [f'{name} = "{one}"' for name, one in NEEDED[backend].items() if name != option]
        make = f'simferry:::new_backend("{backend}", ' if (backend, option, value) in UNKNOWN else f"sim_{backend}("
        return f"list(backend = {make}{', '.join([*needed, given])}))"

    cases = [case for case in (*CASES, *UNKNOWN) if case[1] not in OF_OTHERS_IN_R]
    calls = ",\n".join(call(*case) for case in cases)
    code = f"""
        calls <- list({calls})
        for (call in calls) {{
          call$replications <- if (is.null(call$replications)) 2 else call$replications
          e <- tryCatch(do.call(sim_run, c(list("{script}"), call)), simferry_error_usage = identity)
          cat(if (inherits(e, "error")) conditionMessage(e) else "no error", "\\n@@@\\n", sep = "")
        }}
    """
    for case, message in zip(cases, in_r(code).removesuffix("@@@\n").split("@@@\n"), strict=True):
        assert message.startswith(expected(*case, "r")), (case, message)


def test_r_has_each_option_as_an_argument_and_tells_of_it():
    source = (ROOT / "r_package" / "R" / "backends.R").read_text()
    told = set(re.findall(r"[\w]+", " ".join(re.findall(r"^#' @param ([\w,]+)", source, re.M))))
    for name, kind in BACKENDS.items():
        formals = re.search(rf"^sim_{name} <- function\((.*?)\)\s*\n?\s*(?:\{{|new_backend)", source, re.M | re.S)
        assert formals is not None
        assert set(re.findall(r"(\w+)(?: =|,|$)", formals[1])) >= set(offered(kind)), name
        assert told >= set(offered(kind))
    verbs = (ROOT / "r_package" / "R" / "run.R").read_text()
    formals = re.search(r"^sim_run <- function\((.*?)\) \{", verbs, re.M | re.S)
    assert formals is not None
    of_runs = offered(RunOptions).keys() - (OF_OTHERS_IN_R - {"until"})
    for option in [*of_runs, *(set(offered(SimulationOptions)) - {"function"})]:
        assert re.search(rf"\b{option}\b", formals[1]) and f"@param {option} " in verbs, option


@pytest.mark.parametrize("seed", [0, 2**31 - 1, 5.0, np.int64(7), np.float64(7)])
def test_whole_numbers_of_any_type_are_integers(seed):
    read = check(RunOptions, {"seed": seed}).seed
    assert read == int(seed) and type(read) is int


@pytest.mark.parametrize("seed", [-1, 2**31, 0.5, math.nan, math.inf, True, "1", [1]])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(UsageError, match="it has to be a whole number from 0 to 2147483647"):
        check(RunOptions, {"seed": seed})


@pytest.mark.parametrize("seconds", [math.inf, 10**400])
def test_a_time_is_finite(seconds):
    with pytest.raises(UsageError, match="it has to be a number of seconds above 0"):
        check(RunOptions, {"replication_timeout": seconds})


def test_a_logical_of_numpy_is_one():
    assert check(RunOptions, {"keep_files": np.bool_(True)}).keep_files is True


def test_texts_and_pairs():
    options = check(
        SagemakerOptions, {"instance_type": ["ml.m5.large", "ml.c5.xlarge"], "tags": {"x": "y"}, "subnets": "s-1,s-2"}
    )
    assert options.given() == {
        "instance_type": ["ml.m5.large", "ml.c5.xlarge"],
        "subnets": "s-1,s-2",
        "tags": {"x": "y"},
    }
