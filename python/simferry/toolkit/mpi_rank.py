"""One process of a program that runs with MPI: the variables of its host, the random numbers of its rank, its working folder.

    mpi_rank.py rank PROGRAM ARGUMENT ...    becomes PROGRAM
    mpi_rank.py files FOLDER                 writes what ranks on this host have left in their working folder, as a tar archive

mpirun hands the same environment to all ranks. Here each gets the SM_ variables of the host it is on, and seeds and streams that follow
from those of the program and from the rank alone: where a rank runs makes no difference. Rank 0 has those of the program itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

if __name__ == "__main__" and not __package__:  # started by its path: the package is there, without what it imports
    from importlib.util import module_from_spec, spec_from_file_location

    _folder = os.path.dirname(os.path.abspath(__file__))
    _spec = spec_from_file_location("simferry_mpi", f"{_folder}/__init__.py", submodule_search_locations=[_folder])
    assert _spec
    sys.modules[_spec.name] = module_from_spec(_spec)
    __package__ = _spec.name
from .environment import ContractError, Environment

RANKS = "SIMFERRY_RANKS"  # JSON: the variables below, as the program has them
# R's stream, Python's stream, what processes below a command are numbered by, seeds for others (of all ranks: SEEDS)
STREAM, PYTHON, PARENT = "SIMFERRY_STREAM", "SIMFERRY_PYTHON_STREAM", "SIMFERRY_PARENT"
SEED, HEX, SEEDS = "SIMFERRY_SEED", "SIMFERRY_SEED_HEX", "SIMFERRY_SEEDS"
OF_PROGRAM = (STREAM, PYTHON, PARENT, SEED, HEX, SEEDS)
HELPERS = "SIMFERRY_PYTHON_HELPERS"  # Python's stream for the imports of processes that a rank spawns
NUMBER = "SIMFERRY_RANK"  # which it is, where mpirun has not started it
PLACE = "SIMFERRY_PLACE"  # JSON: leader, folder (the current one), work (the one around it), code (what is copied to work), id
# what starts a rank; without Python's settings in the environment, which are the program's
RANK = [sys.executable, "-I", os.path.abspath(__file__)]
LARGE = 1 << 24  # bytes; larger files are linked
_MODULI = (4294967087, 4294944443)  # MRG32k3a's
_OF_HOST = (
    "HOSTS",
    "CURRENT_HOST",
    "CURRENT_INSTANCE_TYPE",
    "NETWORK_INTERFACE_NAME",
    "NUM_CPUS",
    "NUM_GPUS",
    "RESOURCE_CONFIG",
)


def resources() -> dict[str, Any]:
    """The content of resourceconfig.json, of the contract of processing or of training jobs. Raises ContractError."""
    root = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
    paths = [f"{root}/{folder}/resourceconfig.json" for folder in ("config", "input/config")]
    path = next(filter(os.path.exists, paths), "")
    if not path:
        return {"current_host": "localhost", "hosts": ["localhost"]}
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        return {**found, "hosts": [str(name) for name in found["hosts"]], "current_host": str(found["current_host"])}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ContractError(f"{path} can't be read, or names no hosts: {error!r}") from None


def become_rank(program: list[str], resources: dict[str, Any]) -> NoReturn:
    """Become the program, as the rank that mpirun has given this process. resources: the content of resourceconfig.json here."""
    with contextlib.suppress(OSError, AttributeError):  # it ends with mpirun, whatever it is doing
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    rank = int(os.environ.pop(NUMBER, None) or os.environ.get("OMPI_COMM_WORLD_RANK") or 0)
    given = json.loads(os.environ.pop(RANKS, "{}"))
    place = json.loads(os.environ.pop(PLACE, "{}"))
    environment = {**os.environ, **of_rank(given, rank), **host_variables(resources)}
    if folder := environment.get("SIMFERRY_PROCESSES"):
        os.makedirs(folder, exist_ok=True)
    if place:
        if "work" in place and resources.get("current_host") != place["leader"]:
            prepare(place)
        os.chdir(place["folder"])
        environment["PWD"] = place["folder"]
    try:
        os.execvpe(program[0], program, environment)
    except OSError as error:
        sys.exit(f"{program[0]} can't be started on host {resources.get('current_host')}: {error.strerror}")


def of_rank(given: dict[str, str], rank: int) -> dict[str, str]:
    """The streams and seeds of a rank, of those of the program: variables by name."""
    seeds = given.get(SEEDS, "").split(",")
    out = {name: text for name, text in given.items() if name != SEEDS}
    if rank == 0:
        return out
    if STREAM in given:
        out[STREAM] = ",".join(map(str, lecuyer(hashed(given[STREAM], rank))))
    if PYTHON in given:
        out[PYTHON] = hashed(given[PYTHON], rank)[:32].hex()
    for name in (PARENT, HEX):
        if name in given:
            out[name] = hashed(f"{name} {given[name]}", rank)[:16].hex()
    if SEED in given:
        drawn = int.from_bytes(hashed(f"{given[SEED]} {given.get(HEX)}", rank)[:4], "little") >> 1
        out[SEED] = seeds[rank] if rank < len(seeds) else str(drawn)
    return out


def hashed(text: str, rank: int) -> bytes:
    """64 bytes that follow from what the program has, and from a rank."""
    return hashlib.blake2b(f"{rank} {text}".encode(), person=b"simferry-mpi").digest()


def lecuyer(data: bytes) -> list[int]:
    """A .Random.seed of R's L'Ecuyer-CMRG: a point among 2^191."""
    words = [int.from_bytes(data[8 * i : 8 * i + 8], "little") % _MODULI[i // 3] for i in range(6)]
    return [10407, *(word - 2**32 if word >= 2**31 else word for word in words)]


def host_variables(resources: dict[str, Any]) -> dict[str, str]:
    """The SM_ variables that tell of this host."""
    environment = Environment()
    environment.resources = resources
    environment.hosts = [str(host) for host in resources["hosts"]]
    environment.current_host = str(resources["current_host"])
    known = environment.variables()
    names = [f"SM_{name}" for name in _OF_HOST] + ["SM_TRAINING_ENV"] * ("SM_TRAINING_ENV" in os.environ)
    return {name: known[name] for name in names}


# ---- files on other hosts than the first ----


def prepare(place: dict[str, str]) -> None:
    """Make the program's working folder on this host, as it is on the first one: by the first rank that comes to it."""
    work = place["work"]
    os.makedirs(os.path.dirname(work), exist_ok=True)
    with open(f"{work}.lock", "a+", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if lock.read() == place["id"]:
            return
        if os.path.isdir(work):
            for entry in os.scandir(work):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
        if place.get("code"):
            _copy(place["code"], work)
        os.makedirs(place["folder"], exist_ok=True)
        with open(f"{work}.made", "w", encoding="utf-8") as file:
            json.dump({name: _stamp(path) for name, path in _files(work)}, file)
        lock.seek(0)
        lock.truncate()
        lock.write(place["id"])


def _copy(code: str, work: str) -> None:
    """Copy what was included, without simferry's own files, which no program of a user knows."""
    hidden = {
        "worker.R",
        "worker.py",
        "simferry_worker",
        "simferry_toolkit",
        "profile.R",
        "cluster.R",
        "private_mount.sh",
    }
    for folder, below, names in os.walk(code):
        if folder == code:
            below[:] = [name for name in below if name not in hidden]
            names = [name for name in names if name not in hidden]
        target = os.path.join(work, os.path.relpath(folder, code))
        os.makedirs(target, exist_ok=True)
        for name in names:
            source = os.path.join(folder, name)
            if os.path.getsize(source) > LARGE:
                os.symlink(source, os.path.join(target, name))
            else:
                shutil.copy2(source, os.path.join(target, name))
    with contextlib.suppress(OSError), open(f"{code}/simferry_worker/folders", encoding="utf-8") as file:
        for name in file.read().splitlines():
            os.makedirs(os.path.join(work, name), exist_ok=True)


def _files(work: str) -> Iterator[tuple[str, str]]:
    for folder, _, names in os.walk(work):
        for name in names:
            path = os.path.join(folder, name)
            yield os.path.relpath(path, work), path


def _stamp(path: str) -> list[int]:
    found = os.lstat(path)
    return [found.st_ino, found.st_size, found.st_mtime_ns]


def host_files(work: str, out: Any) -> None:
    """Write what ranks on this host have left in the working folder, as a tar archive."""
    try:
        with open(f"{work}.made", encoding="utf-8") as file:
            made = json.load(file)
    except OSError:
        return  # no rank came here
    import tarfile  # ranks need none

    with tarfile.open(fileobj=out, mode="w|") as archive:
        for name, path in _files(work):
            if os.path.isfile(path) and not os.path.islink(path) and made.get(name) != _stamp(path):
                archive.add(path, name)


def take_files(stream: Any, work: str) -> list[str]:
    """Put the files of such an archive into the working folder of the first host. Returns names of those that are there already."""
    import tarfile

    twice = []
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for one in archive:
            parts = one.name.split("/")
            content = archive.extractfile(one) if one.isreg() else None
            if content is None or one.name.startswith("/") or ".." in parts:
                continue
            path = os.path.join(work, *parts)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            try:
                with open(path, "xb") as file:
                    shutil.copyfileobj(content, file)
            except FileExistsError:
                twice.append(one.name)
    return twice


if __name__ == "__main__":
    if sys.argv[1] == "files":
        host_files(sys.argv[2], sys.stdout.buffer)
    else:
        try:
            become_rank(sys.argv[2:], resources())
        except (ContractError, OSError) as error:
            sys.exit(f"simferry: {error}")
