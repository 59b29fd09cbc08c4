"""Random numbers of Python simulations beyond `rng`: in tasks that they start, in whole scripts, in the global generators."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import simferry as sf
from simferry.jobs import job_file
from simferry.sweep.simulation import Simulation
from sweeps import digest, write


@pytest.fixture
def go(tmp_path):
    def run(simulation, design=None, replications=3, **options):
        done = sf.run(
            simulation,
            design,
            replications=replications,
            store=tmp_path / "runs",
            **{"seed": 1, "fresh": True, **options},
        )
        assert done.status().failed == 0, done.errors()["message"].tolist()
        return done

    return run


# All that a task may draw from, and each way to start tasks, twice. `n` workers, chunks of `n`.
TASKS = """
import multiprocessing, os, random, sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
import numpy as np
from joblib import Parallel, delayed

own = np.random.default_rng()

def draws(i=0):
    numpy, python, own_seed = np.random.normal(), random.gauss(0, 1), np.random.default_rng().normal()
    np.random.seed(); random.seed()
    others = [np.random.RandomState().normal(), np.random.Generator(np.random.PCG64()).normal(), own.normal()]
    return [numpy, python, own_seed, np.random.normal(), random.gauss(0, 1), *others]

def two(i, j):
    return draws()

def nested(i):
    again = sum(Parallel(n_jobs=2)(delayed(draws)(j) for j in range(2)), [])
    return draws() + again + sum(Parallel(n_jobs=2, backend="threading")(delayed(thread)(own, j) for j in range(2)), [])

def thread(rng, j):
    return [np.random.default_rng().normal(), rng.spawn(1)[0].normal()]

def put(queue, i):
    queue.put(draws())

def start():
    global of_worker
    of_worker = np.random.default_rng()

def draw_of_worker(i):
    return of_worker.normal()

def pool(how, n):
    with multiprocessing.get_context(how).Pool(n, start, (), 2 if how == "fork" else None) as pool:
        yield pool.map(draws, range(5), n)
        yield pool.starmap(two, zip(range(3), range(3)), n)
        yield list(pool.imap(draws, range(5), n))
        yield pool.apply(draws)
        yield pool.map(draw_of_worker, range(4), n)  # without a size, Python divides by the processes alive: 0 as one is replaced

def ways(how, n, rng):
    if how in ("loky", "multiprocessing"):
        yield Parallel(n_jobs=n, backend=how)(delayed(nested)(i) for i in range(5))
    elif how == "threading":
        yield Parallel(n_jobs=n, backend=how)(delayed(thread)(rng, i) for i in range(5))
        with ThreadPoolExecutor(n) as executor:
            yield list(executor.map(thread, [rng] * 5, range(5)))
        with ThreadPool(n) as pool_:
            yield pool_.starmap(thread, [(rng, i) for i in range(5)], n)
    elif how == "executor":
        with ProcessPoolExecutor(n) as executor:
            yield list(executor.map(draws, range(5), chunksize=n))
            yield [f.result() for f in [executor.submit(draws) for i in range(3)]]
    elif how == "process":
        queue = multiprocessing.get_context("fork").SimpleQueue()
        processes = [multiprocessing.get_context("fork").Process(target=put, args=(queue, i)) for i in range(3)]
        for process in processes:
            process.start()
        yield sorted(queue.get() for process in processes)
    elif how == "multiprocess":  # pathos' copy of multiprocessing
        import multiprocess
        with multiprocess.get_context("spawn").Pool(n) as pool_:
            yield pool_.map(draws, range(5), n)
    else:
        yield from pool(how, n)

def flat(values):
    return [x for value in values for x in flat(value)] if isinstance(values, list) else [values]

def everything(how, n, rng):
    found = draws()
    for again in (1, 2):
        found += flat(list(ways(how, n, rng))) + draws()
    return found
"""
FUNCTION = """
def simulate(how, n, rng):
    return {"rng": rng.normal(), **{f"x{i}": x for i, x in enumerate(everything(how, n, rng))}}
"""
SCRIPT = """
if __name__ == "__main__":
    rng, n = np.random.default_rng(), int(sys.argv[1])
    with open("r.txt", "w") as file:
        for how in sys.argv[2:]:
            print(*everything(how, n, rng), file=file)
"""


def test_no_draw_of_a_function_or_its_tasks_occurs_twice_for_any_number_of_workers(tmp_path, go):
    script = write(tmp_path, "simulate.py", TASKS + FUNCTION)
    hows = ["loky", "multiprocessing", "threading", "fork", "executor", "process", "multiprocess"]
    tables = []
    for workers, replications in ((2, 9), (1, 2), (3, 2)):  # 63 replications
        run = go(script, sf.grid(how=hows, n=[workers]), replications, workers=workers, common="n")
        tables.append(run.results().query("replication <= 2").drop(columns="n").reset_index(drop=True))
        if replications == 9:
            drawn = run.results().drop(columns=["condition", "replication", "how", "n"]).to_numpy(float).ravel()
            drawn = drawn[~np.isnan(drawn)]
            assert len(drawn) > 3000 and len(set(drawn)) == len(drawn)
            assert len(run.warnings()) == 0
            again = run.replay(1, 2)
            row = run.results().query("condition == 1 and replication == 2").iloc[0]
            assert again == {name: row[name] for name in again}
    for table in tables[1:]:
        assert tables[0].equals(table)


def test_no_draw_of_a_whole_script_or_its_tasks_occurs_twice_for_any_number_of_workers(tmp_path, go):
    script = write(tmp_path, "script.py", TASKS + SCRIPT)
    hows = "loky threading fork spawn forkserver executor"
    rows = []
    for workers in (2, 1, 3):
        run = go(script, args=f"{workers} {hows}", replications=1, workers=1, results_file="r.txt")
        rows.append(run.artifacts(1, 1)[-1].read_text())
    drawn = rows[0].split()
    assert len(drawn) > 500 and len(set(drawn)) == len(drawn)
    assert rows[0] == rows[1] == rows[2]


def test_draws_in_threads_from_generators_that_all_share_are_warned_of_once_a_replication(tmp_path, go):
    code = """
from joblib import Parallel, delayed
import numpy as np
def simulate(kind):
    draw = np.random.normal if kind == "shared" else lambda: np.random.default_rng().normal()
    return sum(Parallel(n_jobs=2, backend="threading")(delayed(draw)() for i in range(4)))
"""
    run = go(write(tmp_path, "simulate.py", code), sf.grid(kind=["shared", "own"]), 2)
    assert run.warnings()["kind"].tolist() == ["shared"] * 2 and run.warnings()["count"].tolist() == [1, 1]
    assert "shared by all threads" in run.warnings()["message"][0]


# ---- the global generators ----


def test_functions_without_rng_keep_their_numbers(go):
    def simulate(n):
        return {"numpy": np.random.normal(), "python": random.random()}

    rows = go(simulate, sf.grid(n=[1, 2]), 2, workers=1).results()
    assert rows["numpy"].tolist() == NUMBERS["numpy"] and rows["python"].tolist() == NUMBERS["python"]


NUMBERS = {  # of the first version of simferry
    "numpy": [-0.2540107633365303, -1.9652288739217347, 0.843481158401336, -1.6694987696524164],
    "python": [0.1087227692458802, 0.08672521145249701, 0.11798153161136127, 0.19305633700620506],
}


def test_the_global_generators_are_seeded_beside_rng(tmp_path, go):
    code = """
import random
from random import gauss, random as uniform
import numpy as np
from numpy.random import normal

at_load, shared = [np.random.normal(), random.random()], np.random.default_rng()

def simulate(kind, rng):
    if kind == "pairs":
        return {"a": random.gauss(0, 1), "b": np.random.normal(), "c": uniform(), "d": 0, "e": 0}
    if kind == "seeded":
        np.random.seed(1); random.seed(1)
        return {"a": np.random.normal(), "b": random.random(), "c": np.random.default_rng(1).normal(), "d": 0, "e": 0}
    if kind == "state":
        state = random.getstate(), np.random.get_state()
        first = random.random(), np.random.normal()
        random.setstate(state[0]); np.random.set_state(state[1])
        return {"a": first[0], "b": first[1], "c": (random.random(), np.random.normal()) == first, "d": 0, "e": 0}
    return {"a": normal() + gauss(0, 1), "b": uniform() + random.randint(0, 10**9), "c": sum(at_load), "d": shared.normal(),
            "e": rng.spawn(1)[0].normal()}
"""
    script = write(tmp_path, "simulate.py", code)
    design = sf.grid(kind=["pairs", "seeded", "state", "all"])
    one, two = go(script, design, 4, workers=1), go(script, design, 4, workers=2)
    assert digest(one) == digest(two)
    rows = {kind: part for kind, part in one.results().groupby("kind")}
    for kind, columns in {"pairs": "abc", "state": "ab", "all": "abde"}.items():
        assert [rows[kind][name].nunique() for name in columns] == [4] * len(columns)
    generator = random.Random(1)
    expected = [np.random.RandomState(1).normal(), generator.random(), np.random.default_rng(1).normal()]
    assert rows["seeded"][["a", "b", "c"]].to_numpy().tolist() == [expected] * 4
    assert rows["state"]["c"].tolist() == [1] * 4 and rows["all"]["c"].nunique() == 1
    assert go(script, design, 4, seed=2).results()["c"].iloc[-1] != rows["all"]["c"].iloc[-1]


# ---- whole scripts ----


def test_scripts_find_everything_as_without_simferry(tmp_path, go):
    code = """
import sys
plain = [m for m in ("random", "numpy", "threading", "hashlib") if m in sys.modules]
import json, os, random, secrets, tempfile, uuid
seen = {"path": [p for p in sys.path if "startup" in p], "argv": sys.argv[1:], "modules": plain, "site": sys.modules["sitecustomize"].here}
seen["system"] = [random.Random().random(), random.SystemRandom().random(), secrets.randbits(64), str(uuid.uuid4()), tempfile.mkdtemp()]
random.seed(1)
seen["seeded"] = random.random()
json.dump(seen, open("r.json", "w"))
"""
    write(tmp_path, "site/sitecustomize.py", "here = 'displaced'")
    before = os.environ.get("PYTHONPATH")
    try:
        os.environ["PYTHONPATH"] = str(tmp_path / "site")
        runs = [go(write(tmp_path, "s.py", code), args="a {replication}", replications=1) for _ in range(2)]
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    first, second = (json.loads(run.artifacts(1, 1)[0].read_text()) for run in runs)
    assert [first[name] for name in ("path", "argv", "modules", "site")] == [[], ["a", "1"], [], "displaced"]
    assert not any(a == b for a, b in zip(first["system"], second["system"], strict=True))
    assert first["seeded"] == second["seeded"] == random.Random(1).random()


# ---- strings' hashes ----


def test_sets_of_strings_have_one_order(tmp_path, go, monkeypatch):
    words = [f"word{i}" for i in range(20)]
    expression = f"','.join({{*{words}}})"
    function = write(tmp_path, "simulate.py", f"def simulate():\n    return {expression}")
    script = write(tmp_path, "s.py", f"print({expression}, file=open('r.txt', 'w'))")
    orders = set()
    for given in ("3", "random"):
        monkeypatch.setenv("PYTHONHASHSEED", given)
        run = go(function, None, 4, workers=2)
        orders |= {*run.results()["value"], run.replay(1, 1)}
        orders |= {path.read_text().strip() for path in go(script, args="", replications=1).artifacts(1, 1)}
    assert len(orders) == 1


def test_sets_in_a_function_object_have_one_order_whatever_the_sender_had(tmp_path):
    code = """
import sys, cloudpickle
words = {f"word{i}" for i in range(3000)}
inner = lambda: [list(words), list({"a", "b", "c", "d", "e"}), [list(s) for s in {frozenset("abcdef"), frozenset("ghijkl")}]]
sys.stdout.buffer.write(cloudpickle.dumps((inner, {"given": set("abcdefghij"), "ints": {8, 0, 16, 32}})))
"""
    sender = write(tmp_path, "send.py", code)
    receive = (
        "import sys; from simferry.worker.functions import unpickled\n"
        "function, constants = unpickled(sys.stdin.buffer.read())\n"
        "print(function(), *map(list, constants.values()))"
    )
    orders = set()
    for seed in "123":
        sent = subprocess.run(
            [sys.executable, sender], env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, check=True
        ).stdout
        orders.add(
            subprocess.run(
                [sys.executable, "-c", receive],
                env={**os.environ, "PYTHONHASHSEED": "0"},
                input=sent,
                stdout=-1,
                check=True,
            ).stdout
        )
    assert len(orders) == 1 and len(next(iter(orders))) > 30_000


def test_the_worker_sets_the_hash_seed_itself_where_its_environment_has_another(tmp_path):
    script = write(tmp_path, "simulate.py", "print(hash('a'))\ndef simulate():\n    pass")
    Simulation(script).write_code(tmp_path / "root/input/code")
    (tmp_path / "root/input/plan").mkdir()
    job = {"kind": "function", "language": "python", "function": "simulate", "script": "simulate.py"}
    (tmp_path / "root/input/plan/job").write_bytes(job_file.encode(job))
    said = set()
    for given in ("1", "random"):
        done = subprocess.run(
            [sys.executable, "worker.py", "check", tmp_path / "root"], cwd=tmp_path / "root/input/code",
            env={**os.environ, "PYTHONHASHSEED": given}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        said.add(done.stdout)
    assert len(said) == 1


@pytest.mark.parametrize("taken", ["n", "n, rng"])
def test_what_a_module_draws_when_a_replication_imports_it_moves_no_replication(tmp_path, go, taken):
    """In each process another replication is the first to import it."""
    module = (
        "import random\nimport numpy as np\nx = [np.random.normal(), random.random()]\nrng = np.random.default_rng()\n"
    )
    write(tmp_path, "drawing.py", module)
    code = "import random\nimport numpy as np\ndef simulate({}):\n    {}\n    return [np.random.normal(), random.random(), *more]\n"
    late = "import drawing; more = [*drawing.x, drawing.rng.normal()]"
    tables = []
    for load in (late, "more = [0, 0, 0]"):
        script = write(tmp_path, "simulate.py", code.format(taken, load))
        run = go(script, {"n": [1]}, 4, workers=1, include=["drawing.py"])
        tables.append(run.results())
        assert run.replay(1, 3) == tables[-1].iloc[2, -5:].tolist()  # there it is the first
    mine = ["value_1", "value_2"]
    assert tables[0][mine].equals(tables[1][mine])
    assert tables[0]["value_3"].nunique() == 1 and tables[0]["value_5"].nunique() == 4


@pytest.mark.parametrize("wrap", ["Task", "Numbered"])
def test_a_task_brings_its_stream_to_a_process_that_began_without_one(tmp_path, wrap):
    code = f"""
import base64, pickle, subprocess, sys
from simferry.worker import hooks, streams, tasks
hooks.start(b"key")
import numpy as np
sent = base64.b64encode(pickle.dumps(tasks.{wrap}(np.random.default_rng, b"task")))
there = "import base64, pickle, sys; print(pickle.loads(base64.b64decode(sys.argv[1]))({0 if wrap == "Numbered" else ""}).normal())"
print(subprocess.run([sys.executable, "-c", there, sent], capture_output=True, text=True, check=True).stdout)
"""
    drawn = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert float(drawn[0].stdout) == float(drawn[1].stdout)
