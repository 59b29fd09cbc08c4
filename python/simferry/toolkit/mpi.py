"""Runs a program with MPI on all hosts of a job. It needs Open MPI and, for several hosts, an SSH server; of simferry only this folder.

    mpi.py hosts --secret FILE -- COMMAND     on each host: on the first one COMMAND runs when all are there; the others serve it
    mpi.py run --ranks N -- PROGRAM           in COMMAND: runs PROGRAM in N processes, shared out to the hosts, by mpirun
    mpi.py each -- PROGRAM                    in COMMAND: runs PROGRAM once on each host, without MPI; `hosts --no-ssh` will do

mpirun starts mpi_rank.py, which sets the variables of its host and its rank and becomes PROGRAM. Both are started by their paths. The
contract's resourceconfig.json names the hosts. The exit code is COMMAND's on the first host; on the others 0, or 1 where the first
one was lost. When a host is lost, all end, and its name is told.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from typing import Any, NoReturn

if __name__ == "__main__" and not __package__:  # started by its path: the package is there, without what it imports
    from importlib.util import module_from_spec, spec_from_file_location

    _folder = os.path.dirname(os.path.abspath(__file__))
    _spec = spec_from_file_location("simferry_mpi", f"{_folder}/__init__.py", submodule_search_locations=[_folder])
    assert _spec
    sys.modules[_spec.name] = module_from_spec(_spec)
    __package__ = _spec.name
from .environment import ContractError, number_of_cpus
from .mpi_each import Desk, Orders, ask
from .mpi_hosts import LOST, Follower, HostError, HostLost, Leader
from .mpi_rank import HELPERS, OF_PROGRAM, PLACE, PYTHON, RANK, RANKS, resources, take_files

FOLDER = "SIMFERRY_MPI"  # of COMMAND: the folder with what ssh needs; without it there is one host
# what mpirun says of a rank that has failed
_FAILED = re.compile(
    rb"(?s)(MPI_ABORT was invoked on rank \d+)|noticed that (process rank \d+ with PID \d+ on node \S+ exited on.*?[.])"
    rb"|exited with non-zero status.*(Process name: \[\[\d+,\d+\],\d+\].*Exit code: +\d+)|(Primary job  terminated normally)"
)
_LONGEST_BLOCK = 60  # lines
SECONDS_TO_WAIT = 900.0  # for the other hosts
# options of mpirun that would say otherwise how many processes there are, and where
TAKEN = ("-n", "-np", "-c", "-H", "-host", "-hostfile", "-machinefile", "-default-hostfile")
_OF_PROCESS = ("PWD", "OLDPWD", "SHLVL", "_", "HOSTNAME")  # variables of one process or host
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


def say(text: str) -> None:
    """Print a line to the job's log."""
    print(f"simferry: {text}", flush=True)


def problem_of(options: list[str]) -> str:
    """What is wrong with options of mpirun, in words; empty for nothing."""
    for option in options:
        name = re.sub("^--", "-", option).partition("=")[0]
        if name in TAKEN:
            return f"{option} is for simferry to say: it follows from the processes per host and the hosts"
    return ""


# ---- hosts ----


def on_hosts(
    command: list[str], secret: bytes, messages: list[str], seconds: float, lost_after: float, ssh: bool = True
) -> int:
    """Run a command on the first host of the job, while the others serve it. Returns the exit code of this host.

    messages: files that get the reason where it can't go on. seconds: to wait for the others. ssh: whether the first one can
    start processes on them.
    """
    with contextlib.suppress(OSError, AttributeError):  # processes that lose their parent become ours
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    folder = tempfile.mkdtemp(prefix="simferry-mpi-")  # of mode 700
    try:
        config = resources()
        hosts = [str(name) for name in config["hosts"]]
        current = str(config["current_host"])
        if current == hosts[0]:
            return _lead(command, Leader(hosts, secret, folder, say, lost_after, ssh), seconds)
        return _follow(Follower(current, hosts[0], secret, folder, say, lost_after), seconds)
    except (HostError, ContractError) as error:
        say(str(error))
        for path in messages:
            with contextlib.suppress(OSError):
                _write_whole(path, f"{'lost' if isinstance(error, HostLost) else 'mpi'}: {error}")
        return 1
    finally:
        _end_all()
        shutil.rmtree(folder, ignore_errors=True)


def _lead(command: list[str], leader: Leader, seconds: float) -> int:
    leader.gather(seconds)
    Desk(leader, f"{leader.folder}/desk")
    child = subprocess.Popen(command, env={**os.environ, FOLDER: leader.folder})
    for number in (signal.SIGINT, signal.SIGTERM):  # the first process of a container gets them alone
        signal.signal(number, lambda number, frame: os.kill(child.pid, number))
    while child.pid not in (ended := _reaped()):
        if leader.lost:
            raise HostLost(leader.lost)
        time.sleep(0.05)
    leader.end(ended[child.pid])
    return ended[child.pid]


def _follow(follower: Follower, seconds: float) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):  # the first host gets them too, and ends with this one
        signal.signal(number, signal.SIG_IGN)
    server, line = follower.join(seconds)
    orders = Orders(line)
    while not follower.ended.is_set():
        with contextlib.suppress(queue.Empty):
            orders.take(follower.orders.get(timeout=0.05))
        for pid, status in _reaped().items():
            if server is not None and pid == server.pid:
                raise HostError(f"the ssh server of host {follower.name} has ended")
            with contextlib.suppress(OSError):  # the connection: then the first host is lost
                orders.ended(pid, status)
    if follower.problem:
        raise HostLost(follower.problem)
    return 0


def _reaped() -> dict[int, int]:
    """Ends what is left of dead processes. Returns their exit codes by their numbers."""
    out = {}
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            out[found[0]] = os.WEXITSTATUS(found[1]) if os.WIFEXITED(found[1]) else 128 + os.WTERMSIG(found[1])
    return out


def _end_all() -> None:
    """Kill all processes below this one; those that they leave behind become ours meanwhile."""
    for _ in range(20):
        left = _below(os.getpid())
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        _reaped()
        if not left:
            return
        time.sleep(0.02)


def _below(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                for child in map(int, file.read().split()):
                    found += [child, *_below(child)]
    return found


def _write_whole(path: str, text: str) -> None:
    with open(f"{path}~", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}~", path)


# ---- mpirun ----


def run(program: list[str], ranks: int, options: list[str], work: str, code: str) -> int:
    """Run a program in so many processes, on the hosts of the job. Returns mpirun's exit code.

    options: of mpirun. work, code: where each replication has a working folder of its own, that folder, in or below which this process
    is, and the one with the files that are copied there on other hosts. Without, the hosts have the current folder.
    """
    here, folder = resources(), os.environ.get(FOLDER, "")
    hosts = ["localhost"]
    if folder:
        with open(f"{folder}/hosts", encoding="utf-8") as file:
            hosts = json.load(file)
    environment = for_ranks(here, work, code)
    command = mpirun(hosts, ranks, folder, str(here.get("network_interface_name") or ""))
    for name in sorted(environment):
        if passed_on(name) and name not in options:
            command += ["-x", name]
    if not shutil.which("mpirun"):
        raise HostError("there is no mpirun in this image; containers/mpi has it (Open MPI)")
    child = subprocess.Popen([*command, *options, *RANK, "rank", *program], env=environment, stderr=subprocess.PIPE)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: child.send_signal(number))
    pass_on(child.stderr, sys.stderr.buffer)
    status = child.wait()
    for host in hosts[1:] if work else []:
        _bring_files(host, folder, work)
    if status:
        say(f"mpirun ended with exit code {status}")
    return status if status >= 0 else 128 - status


def pass_on(stream: Any, out: Any) -> None:
    """Copy what mpirun and ranks say, each of mpirun's own messages, which stand between rules, as one line."""
    block: list[bytes] = []
    for line in stream:
        is_rule = re.fullmatch(rb"-{60,}\s*", line) is not None
        if not (block or is_rule):
            out.write(line)
        elif is_rule and len(block) == 1:
            block = [line]
        else:
            block.append(line)
            if (is_rule and len(block) > 1) or len(block) > _LONGEST_BLOCK:
                out.write(_as_line(block))
                block = []
        out.flush()
    out.write(b"".join(block))


def _as_line(block: list[bytes]) -> bytes:
    text = b"".join(block)
    if found := _FAILED.search(text):
        said = found[found.lastindex or 0]
    elif re.search(b"Open MPI|MPI_|mpirun|ORTE|PMI", text):
        said = b"".join(block[1:-1])
    else:  # a rank's
        return text
    return b"simferry: %s\n" % b" ".join(said.split())[:1000]


def each(program: list[str], work: str, code: str) -> int:
    """Run a program once on each host of the job. Returns its exit code. work, code: as of `run`."""
    folder = os.environ.get(FOLDER, "")
    environment = for_ranks(resources(), work, code)
    environment = {name: text for name, text in environment.items() if passed_on(name)}
    return ask(f"{folder}/desk" if folder else "", program, environment, work)


def for_ranks(here: dict[str, Any], work: str, code: str) -> dict[str, str]:
    """The environment that ranks make theirs of. here: what is known of this host."""
    environment = dict(os.environ)
    given = {name: environment.pop(name) for name in OF_PROGRAM if name in environment}
    place = {"leader": here["current_host"], "folder": os.getcwd()}
    if work:
        place.update(work=work, code=code, id=f"{os.getpid()} {time.time_ns()}")
    # Python processes that ranks spawn take their streams from their tasks
    helpers = {HELPERS: given[PYTHON]} if PYTHON in given else {}
    return {**environment, **helpers, RANKS: json.dumps(given), PLACE: json.dumps(place)}


def mpirun(hosts: list[str], ranks: int, folder: str, interface: str) -> list[str]:
    """The command, without the environment and the program. interface: that hosts reach each other through."""
    each = -(-ranks // len(hosts))
    out = ["mpirun", "-n", str(ranks), "--host", ",".join(f"{name}:{each}" for name in hosts), "-wdir", "/"]
    settings = {
        "btl_vader_single_copy_mechanism": "none",  # containers may not read each other's memory
        "hwloc_base_binding_policy": "none",  # a container's cores are a share of time
        "plm_rsh_no_tree_spawn": "1",
        "rmaps_base_oversubscribe": "1",  # by processes that ranks spawn
        "mpi_yield_when_idle": "1" if each > number_of_cpus() else "0",
    }
    if folder:
        settings["plm_rsh_agent"] = f"ssh -F {folder}/ssh_config"
        if interface:
            settings.update(btl_tcp_if_include=interface, oob_tcp_if_include=interface)
    for name, value in settings.items():
        out += ["--mca", name, value]
    return [*out, "--allow-run-as-root"] if os.geteuid() == 0 else out


def passed_on(name: str) -> bool:
    """Whether a variable of the environment goes to all ranks."""
    own = name in _OF_PROCESS or name.startswith(("OMPI_", "PMIX_", "PRTE_", "OPAL_", "ORTE_", "SSH_"))
    return not own and name != FOLDER and re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) is not None


def _bring_files(host: str, folder: str, work: str) -> None:
    """Bring what ranks on another host have left in their working folder into that of this host."""
    command = " ".join(map(shlex.quote, [*RANK, "files", work]))
    with subprocess.Popen(
        ["ssh", "-F", f"{folder}/ssh_config", host, command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as child:
        try:
            twice = take_files(child.stdout, work)
        except (OSError, tarfile.TarError) as error:
            twice = []
            say(f"files that ranks on host {host} have left could not be brought here: {error}")
    if twice:
        say(
            f"of host {host} these files are left out, as the first host has files of these names: {', '.join(twice[:10])}"
        )


def _secret(path: str) -> bytes:
    with open(path, "rb") as file:
        content = file.read().strip()
    if len(content) < 16:
        raise ValueError(f"{path} holds no secret of at least 16 bytes")
    return content


def main(arguments: list[str]) -> NoReturn:
    """Do what the command line says, and end the process."""
    before, program = arguments, []
    if "--" in arguments:
        at = arguments.index("--")
        before, program = arguments[:at], arguments[at + 1 :]
    parser = argparse.ArgumentParser(prog="mpi.py", description=str(__doc__))
    parser.add_argument("verb", choices=("hosts", "run", "each"))
    parser.add_argument(
        "--secret", help="hosts: a file with at least 16 random bytes, the same on all hosts of this job alone"
    )
    parser.add_argument(
        "--message", action="append", default=[], help="hosts: a file that gets the reason of a failure"
    )
    parser.add_argument("--wait", type=float, default=SECONDS_TO_WAIT, help="hosts: seconds to wait for the others")
    parser.add_argument("--lost-after", type=float, default=LOST, help="hosts: seconds without a sign of life")
    parser.add_argument(
        "--no-ssh", action="store_true", help="hosts: for `each` alone, in images without an SSH server"
    )
    parser.add_argument("--ranks", type=int, default=1, help="run: number of processes")
    parser.add_argument("--option", action="append", default=[], help="run: an argument of mpirun, as --option=-x")
    parser.add_argument(
        "--work", default="", help="run: a working folder around the current one, which is made on each host"
    )
    parser.add_argument("--code", default="", help="run: the folder with the files that are copied there")
    given = parser.parse_args(before)
    try:
        if given.verb == "hosts":
            secret = _secret(given.secret or parser.error("hosts needs the file of the secret"))
            sys.exit(on_hosts(program, secret, given.message, given.wait, given.lost_after, not given.no_ssh))
        if given.verb == "each":
            sys.exit(each(program, given.work, given.code))
        sys.exit(run(program, given.ranks, given.option, given.work, given.code))
    except (ContractError, HostError, OSError, ValueError) as error:
        say(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
