"""Random numbers of Python simulations beyond `rng`: in tasks that they start, in whole scripts, in the global generators."""

from types import SimpleNamespace

import numpy as np
import simferry as sf
from simferry.worker import streams, tasks
from sweeps import write

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


def test_no_draw_of_a_function_or_its_tasks_occurs_twice_for_any_number_of_workers(tmp_path, good):
    script = write(tmp_path, "simulate.py", TASKS + FUNCTION)
    hows = ["loky", "multiprocessing", "threading", "fork", "executor", "process", "multiprocess"]
    tables = []
    for workers, replications in ((2, 9), (1, 2), (3, 2)):  # 63 replications
        run = good(script, sf.grid(how=hows, n=[workers]), replications, workers=workers, common="n")
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


def test_no_draw_of_a_whole_script_or_its_tasks_occurs_twice_for_any_number_of_workers(tmp_path, good):
    script = write(tmp_path, "script.py", TASKS + SCRIPT)
    hows = "loky threading fork spawn forkserver executor"
    rows = []
    for workers in (2, 1, 3):
        run = good(script, args=f"{workers} {hows}", replications=1, workers=1, results_file="r.txt")
        rows.append(run.artifacts(1, 1)[-1].read_text())
    drawn = rows[0].split()
    assert len(drawn) > 500 and len(set(drawn)) == len(drawn)
    assert rows[0] == rows[1] == rows[2]


def test_draws_in_threads_from_generators_that_all_share_are_warned_of_once_a_replication(tmp_path, good):
    code = """
from joblib import Parallel, delayed
import numpy as np
def simulate(kind):
    draw = np.random.normal if kind == "shared" else lambda: np.random.default_rng().normal()
    return sum(Parallel(n_jobs=2, backend="threading")(delayed(draw)() for i in range(4)))
"""
    run = good(write(tmp_path, "simulate.py", code), sf.grid(kind=["shared", "own"]), 2)
    assert run.warnings()["kind"].tolist() == ["shared"] * 2 and run.warnings()["count"].tolist() == [1, 1]
    assert "shared by all threads" in run.warnings()["message"][0]


def test_tasks_of_mpi4py_are_numbered_by_order(monkeypatch):
    """Its own pools run in containers: tests/backends/test_mpi.py."""
    submitted = []
    module = SimpleNamespace(MPIPoolExecutor=type("Pool", (), {"submit": lambda self, fn, *args: submitted.append(fn)}))
    tasks.guard_mpi_executors(module)
    for _ in range(2):
        monkeypatch.setattr(streams, "wide", streams.Stream(b"key"))
        pool = module.MPIPoolExecutor()
        for i in range(3):
            pool.submit(abs, i)
    keys = [task.key for task in submitted]
    assert keys[:3] == keys[3:]
    assert len({*keys}) == 3
