from simferry.worker.octave_text import (
    Function,
    advice,
    chosen,
    functions,
    helpers,
    is_function_file,
    lacked,
    packages_in,
    traits,
)

POWER = """%{
function wrong(x)
%}
function [p, estimate] = power(n, ... the size
    effect) % function other(y)
p = x'; q = 'it''s function z(y)';
end
function y = half(x)
if nargin < 1, x = 2; end
function varargout = any_of(varargin)
function nothing
"""


def test_functions_with_their_arguments_and_outputs():
    assert functions(POWER) == [
        Function("power", [("n", False), ("effect", False)], ["p", "estimate"]),
        Function("half", [("x", True)], ["y"]),
        Function("any_of", [("...", True)], ["varargout"]),
        Function("nothing", [], []),
    ]
    assert is_function_file(POWER) and not is_function_file("1;\nfunction f()\nend\n")


def test_the_files_own_function_is_called_unless_another_is_wanted():
    assert chosen(POWER, "simulate") == "power"
    assert chosen(POWER, "half") == "half"
    assert chosen("1;\nfunction other()\nend\nfunction simulate()\nend\n", "simulate") == "simulate"


def test_functions_in_files_of_their_own_come_along(tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "main.m").write_text("function r = main()\nr = one(1); % two(2)\n")
    (tmp_path / "one.m").write_text("function r = one(x)\nr = three(x);\n")
    (tmp_path / "two.m").write_text("function r = two(x)\n")
    (tmp_path / "private" / "three.m").write_text("function r = three(x)\n")
    assert set(helpers(tmp_path / "main.m")) == {"one.m", "private/three.m"}


def test_packages_and_advice():
    assert packages_in("pkg load statistics\n% pkg load optim\npkg('load', 'io')") == ["statistics", "io"]
    assert packages_in("if x, pkg load optim struct; end\npkg (\"load\", 'io', 'control') % pkg load") == [
        "optim",
        "struct",
        "io",
        "control",
    ]
    printed = (
        "a\nerror: 'string' undefined near line 1\n\nThe 'string' function is not\nerror: called from\n  sc at line 1\n"
    )
    assert (
        lacked(printed) == "'string' undefined near line 1. Octave has no string: use a cell array of character vectors"
    )
    assert lacked("error: 'mine' undefined\n") == ""
    for name, use in {
        "readtable": "dlmread()",
        "writetable": "dlmwrite()",
        "string": "cell array",
        "datetime": "datestr()",
    }.items():
        assert use in advice(f"'{name}' undefined near line 1")
    assert "return a struct" in advice("'table' undefined\n\nplease read")
    assert advice("'mine' undefined") == "'mine' undefined"


def test_what_a_program_draws_from_and_leaves_is_seen_in_its_text():
    one = traits(["function r = f()\nglobal g\nr = randi(3) + g; % randn()\n", "setenv('A', 'rande')\n"])
    assert one == ([True, False, False, False, False], False, True, True, False)
    old = traits(['rand ("seed", 3)\nfclose all\n'])
    assert old == ([True] * 5, True, False, False, True)
