import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import simferry as sf
from common import bits, require
from simferry.errors import SimulationError
from simferry.worker import octave

POWER = """function [p, estimate] = power(n, effect)
if nargin < 2, effect = 0.5; end
x = randn(n, 1) + effect;
estimate = mean(x);
p = rande() + randi(100);
end
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    require("octave", shutil.which("octave-cli") is not None, "Octave is not installed")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(text: str, name: str = "sim.m", replications: int = 3, **options):
    Path(name).write_text(text)
    values = options.pop("values", [1])
    return sf.run(name, sf.grid(k=values), replications=replications, seed=1, fresh=True, **options)


def test_the_numbers_depend_on_seed_condition_and_replication_alone():
    Path("power.m").write_text(POWER)
    many = [
        sf.run("power.m", sf.grid(n=[5, 10]), replications=r, seed=1, workers=w, fresh=True).results()
        for r, w in ((150, 1), (150, 2), (40, 1))
    ]
    for column in ("p", "estimate"):
        assert bits(many[0][column]) == bits(many[1][column])
        assert bits(many[0].query("replication <= 40")[column]) == bits(many[2][column])
        assert many[0][column].nunique() == 300


def test_a_generator_that_is_used_late_is_seeded_from_the_first_draw():
    text = "function r = sim(k)\nr = rand();\nif r < 0.1, r = r + rande(); end\n"
    one, two = (run(text, replications=200, workers=w, values=[1, 2]).results()["value"] for w in (1, 2))
    assert bits(one) == bits(two) and (one > 1).any()


def test_the_generators_of_rand_seed_are_seeded_for_each_replication():
    text = "function r = sim(k)\nif rand() < 0.5, rand('seed', 3); end\nr = [randn(), rande()];\n"
    one, two = (run(text, replications=20, workers=w).results() for w in (1, 2))
    assert bits(one["value_1"]) == bits(two["value_1"]) and bits(one["value_2"]) == bits(two["value_2"])


def test_replications_leave_nothing_to_later_ones_nor_one_that_was_run_again_to_itself():
    text = """function r = sim(k)
persistent calls
if isempty(calls), calls = 0; end
calls = calls + 1;
f = fopen('log', 'a'); fprintf(f, 'x'); fclose(f);
r = struct('calls', calls, 'log', numel(fileread('log')), 'set', numel(getenv('SET')), 'home', numel(getenv('HOME')));
r.digits = output_precision(); r.umask = umask(0); umask(7);
setenv('SET', 'yes'); unsetenv('HOME'); output_precision(9);
r.x = feval(['ra', 'nd']); % a name that is not seen
"""
    with pytest.warns(sf.errors.Note, match="persistent or global variables"):
        found = run(text, workers=1, keep_files=True)
    rows = found.results()
    assert rows["calls"][0] == 1 and rows["log"].tolist() == [1] * 3 and rows["x"].nunique() == 3
    for name in ("set", "home", "digits", "umask"):
        assert rows[name].nunique() == 1


def test_names_of_worker_m_are_free_for_the_user_and_a_folder_may_have_a_quote(folder, monkeypatch):
    (folder / "it's é").mkdir()
    monkeypatch.chdir(folder / "it's é")
    text = "key = 1; out = 2; names = 3; value = 4;\nfunction varargout = send(k)\nvarargout{1} = 7;\nend\n"
    assert run(text, function="send").results()["value"].tolist() == [7] * 3


def test_any_function_of_a_file_that_begins_with_one_can_be_called():
    text = "function r = sim(k)\nr = k;\nend\nfunction r = other(k)\nr = 2 * sim(k) + 0 * rand();\nend\n"
    assert run(text, function="other").results()["value"].tolist() == [2] * 3
    assert run(text, name="named_otherwise.m").results()["value"].tolist() == [1] * 3
    with pytest.raises(SimulationError, match="defines no function nothere"):
        run(text, function="nothere")


def test_structs_and_tables_become_rows_and_keep_their_bits():
    text = """function r = sim(k)
switch k
case 1, r = struct('x', [1; 2], 'name', {{'a'; 'b'}});
case 2, r = [1, 2; 3, 4];
case 3, r = struct('na', NA, 'nan', NaN, 'zero', -0, 'inf', Inf, 'odd', hex2num('7FF8000000000ABC'));
end
"""
    rows = run(text, replications=1, values=[1, 2, 3]).results()
    assert rows.query("k == 1")[["x", "name"]].values.tolist() == [[1, "a"], [2, "b"]]
    assert rows.query("k == 2")[["value_1", "value_2"]].values.tolist() == [[1, 2], [3, 4]]
    last = rows.query("k == 3").iloc[0]
    found = bits([last[name] for name in ("na", "nan", "zero", "inf", "odd")])
    assert found == [0x7FF00000000007A2, 0x7FF8000000000000, 1 << 63, 0x7FF0000000000000, 0x7FF8000000000ABC]


def test_errors_have_their_stack_and_warnings_are_counted():
    text = """function r = sim(k)
r = k;
warning('careful'); warning('careful');
if k == 2, inner(k); end
end
function inner(k)
error('my:id', 'no %d', k);
end
"""
    finished = run(text, values=[1, 2])
    errors = finished.errors()
    assert errors["message"].tolist() == ["no 2"] * 3
    assert errors["call"].tolist() == ["sim>inner, line 7"] * 3 and "sim at line 4" in errors["traceback"][0]
    assert finished.summary().query("k == 1")["warnings"].tolist() == [6]


def test_what_ends_the_interpreter_loses_nothing_and_is_named():
    text = "function r = sim(k)\nif k == 2, exit(3); elseif k == 3, kill(getpid(), 11); end\nr = rand();\n"
    finished = run(text, values=[1, 2, 3], workers=1, replications=2)
    assert len(finished.results()) == 2
    assert [("exit code 3" in m, "signal 11" in m) for m in finished.errors()["message"]] == [
        (True, False), (True, False), (False, True), (False, True),
    ]  # fmt: skip


def test_the_interpreter_ends_with_its_process_that_is_killed():
    code = """import os, struct
from pathlib import Path
from simferry.worker.octave import Interpreter
one = Interpreter(Path())
Path("pid").write_text(str(one.process.pid))
one.write(struct.pack("<2d", -15, 0) + b"while true, end")
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    running = Path(f"/proc/{Path('pid').read_text()}/exe")
    deadline = time.monotonic() + 20
    while running.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running.exists()


def test_a_replication_that_takes_too_long_is_ended():
    text = "function r = sim(k)\nif k == 2, while true, end, end\nr = k;\n"
    finished = run(text, values=[1, 2], replications=1, replication_timeout=2)
    assert finished.results()["value"].tolist() == [1]
    assert "timed out" in finished.errors()["message"][0]


@pytest.mark.parametrize(
    "text, said",
    [
        ("function r = sim(k)\nr = (k + 1;\n", "can't be parsed.*line 2"),
        ("1;\nfunction r = other(k)\nr = k;\nend\nfunction r = more(k)\nr = k;\nend\n", None),
        ("function r = sim(k)\nr = k; fclose('all');\n", "close each file"),
        ("x = 1;\n", "defines no function simulate"),
        ("x = undefined_here;\n", "defines no function simulate"),
        ("function r = sim(k)\nr = table(k);\n", "does not have: table"),
        ("function r = sim(n)\nr = n;\n", "no argument 'k'"),
    ],
)
def test_what_cannot_run_is_refused_with_one_error(text, said):
    if said is None:
        assert run(text).results()["value"].tolist() == [1] * 3
        return
    with pytest.raises(sf.errors.SimulationError, match=f"(?s){said}"):
        run(text)


def test_replay_and_whole_scripts():
    finished = run("function [a, b] = sim(k)\na = rand();\nb = k;\nend\n")
    assert finished.replay(1, 2)["a"] == finished.results()["a"][1]
    script = Path("whole.m")
    script.write_text("f = fopen('out.txt', 'w'); fprintf(f, '%.17g', rand()); fclose(f);\n")
    tables = [
        sf.run(
            script, sf.grid(k=[1]), args="{k}", results_file="out.txt", replications=2, seed=1, workers=w, fresh=True
        )
        for w in (1, 2)
    ]
    one, two = (table.results()["value"].tolist() for table in tables)
    assert one == two and one[0] != one[1]


def test_arguments_left_out_are_empty_and_others_go_by_name():
    function = octave.Function("f", [("a", False), ("b", True), ("c", True), ("...", True)], [])
    assert octave.arguments_of(function, {"a": 1, "c": 3}) == ["1", "[]", "3"]
    assert octave.arguments_of(function, {"a": 1, "d": 4}) == ["1", "[]", "[]", "'d'", "4"]
