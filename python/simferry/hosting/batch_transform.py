"""Batch transform: a model answers all records of files, on machines that end with it."""

import contextlib
import math
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..aws import logs, session
from ..aws.contracts import hosting as contract
from ..aws.endpoints import look
from ..aws.prices import prices
from ..aws.session import AwsError, asking, client
from ..errors import Interrupted, ServiceError, SimferryError, StoreError, UsageError
from ..hints import Option, Shell, Text
from ..store.objects import Objects, check_address
from ..sweep.variables import variables
from ..system.dialogue import Tell, print_line
from ..system.files import below, is_address, writing
from ..words import counted, dollars, duration
from . import materials
from .deploy import check_type, whole
from .resources import SHOWN, make, poll_seconds, remove

DEFAULT_TYPE = "ml.m5.large"
_GOES_ON = ("InProgress", "Stopping")
SPLITS = {"lines": "Line", "files": "None"}


@dataclass(frozen=True)
class Transformed:
    """A transform job that has ended. files: the answers, as paths, or addresses where the output is in S3. seconds: of its machines."""

    name: str
    output: str
    files: list[str]
    seconds: float
    dollars: float | None

    def __str__(self) -> str:
        cost = "" if self.dollars is None else f", {dollars(self.dollars)}"
        return f"{counted(len(self.files), 'file')} in {self.output}, {duration(self.seconds)}{cost}"


def transform(
    image: str,
    model: str | Path | None,
    source: str | Path,
    output: str | Path,
    *,
    split: str = "lines",
    content_type: str = "text/csv",
    accept: str | None = None,
    single: bool = False,
    instance_type: str | None = None,
    instances: int = 1,
    name: str | None = None,
    env: Mapping[str, object] | None = None,
    role: str | None = None,
    stack: str | None = None,
    tell: Tell = print_line,
) -> Transformed:
    """Let a model answer all records of a file or a folder, and bring the answers.

    image, model: as in Endpoint.deploy. source: a file or a folder, or an address s3://...; file x.csv is answered by x.csv.out. output: a
    folder, which is made, or an address s3://... split: "lines" sends several lines in a request, "files" each file as it is. content_type:
    of the input. accept: the content type that is wanted. single: send each line alone. instance_type: [ml.m5.large]. instances: their
    number. name: of the job [that of the image, and a number]. env, role, stack: as in Endpoint.deploy. tell: called with each line of the
    report. It tells what an hour costs, and waits; an interruption ends the job. Nothing is left in the account but its log and what was
    to be there.

    Raises UsageError for wrong options, data or a model; QuotaError; AwsError, with the reason and the last lines of its log, if it fails.
    """
    name = name or f"{contract.name_for(image)[:50].rstrip('-')}-{secrets.token_hex(4)}"
    kind = instance_type or DEFAULT_TYPE
    instances = whole("instances", instances) or 0
    _check_options(name, kind, instances, split)
    environment, files = variables(env or {}), _files(source)
    _check_output(output)
    if model is not None:
        materials.check_model(model)
    home = materials.home(name, role, stack)
    materials.check_image(image, home.repository)
    each = prices(session.region()).dollars_per_hour.get(kind)
    cost = "its price is not known" if each is None else f"${each * instances:.3f} an hour while it runs"
    tell(f"transform job {name} in {session.region()}, account {session.account()}: {instances} x {kind}, {cost}")
    target = str(output).rstrip("/") if is_address(output) else f"{home.folder}/output"
    formats = {
        "content_type": content_type, "accept": accept or "", "split": SPLITS[split],
        "strategy": "SingleRecord" if single else "MultiRecord",
    }  # fmt: skip
    payload = _payload(files) if split == "files" else {}
    model_name = ""
    try:
        Objects(home.folder).put_many((f"input/{below_it}", path) for below_it, path in files)
        uri = materials.image_in_ecr(image, home.repository, tell)
        archive = materials.model_in_s3(model, home.folder)
        of_model = contract.model_request(name, uri, home.role, archive, environment, home.tags)
        make("model", of_model)
        model_name = of_model["ModelName"]
        address = f"{home.folder}/input/" if files else str(source)
        machines = (kind, instances)
        asked = contract.transform_request(name, model_name, address, target, machines, formats, home.tags)
        ended = _run({**asked, **payload}, tell)
    except BaseException as error:
        if _goes_on(name):
            raise _left_running(name, target, error) from None
        with contextlib.suppress(SimferryError):  # the error says more
            _clean(model_name, home.folder)
        raise
    _clean(model_name, f"{home.folder}/input")
    brought = _brought(target, output)
    materials.remove_below(home.folder)
    seconds = (ended["TransformEndTime"] - ended["TransformStartTime"]).total_seconds()
    return Transformed(name, str(output), brought, seconds, None if each is None else each * instances * seconds / 3600)


def _clean(model: str, folder: str) -> None:
    if model:
        remove("model", model)
    materials.remove_below(folder)


def _goes_on(name: str) -> bool:
    """Whether a job runs, as far as is known: one that can't be asked for may run."""
    try:
        return (_state(name) or {}).get("TransformJobStatus") in _GOES_ON
    except ServiceError:
        return True


def _left_running(name: str, target: str, error: BaseException) -> BaseException:
    """The error where a job can't be followed any more. What it needs stays."""
    stops = Shell("aws", "sagemaker", "stop-transform-job", "--transform-job-name", name)
    hint = Text("It may go on, and cost; its answers will be in ", target, ".  ", stops, "  stops it.")
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(f"transform job {name} is not followed any more", hint)
    why = error.message if isinstance(error, SimferryError) else str(error)
    return AwsError(f"transform job {name} can't be followed any more: {why}", hint)


def _check_options(name: str, kind: str, instances: int, split: str) -> None:
    contract.check_name(name)
    check_type(kind, "TransformInstanceType")
    if instances < 1:
        raise UsageError(f"instances is {instances}; a transform job has at least 1", Option("instances", 1))
    if split not in SPLITS:
        raise UsageError(f"split is {split!r}; it is lines or files", Option("split", "lines"))
    if _state(name):
        raise UsageError(f"there is a transform job {name}, and a name is used once", Option("name", f"{name[:60]}-2"))


def _files(source: str | Path) -> list[tuple[str, Path]]:
    """The files of this machine that are the input, with their names in S3; none if it is an address. Raises UsageError."""
    if is_address(source):
        check_address(str(source))
        return []
    path = Path(source).expanduser()
    if path.is_file():
        return [(path.name, path)]
    found = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else []
    if not found:
        raise UsageError(f"{path} has no files" if path.is_dir() else f"there is no file or folder {path}")
    return [(one.relative_to(path).as_posix(), one) for one in found]


def _payload(files: Sequence[tuple[str, Path]]) -> dict[str, int]:
    """The size of requests where each has a whole file, if that is more than the service's own. Raises UsageError."""
    sizes = {name: math.ceil(path.stat().st_size / 2**20) for name, path in files}
    name, most = max(sizes.items(), key=lambda one: one[1], default=("", 0))
    if most > contract.MOST_PAYLOAD_MB:
        raise UsageError(
            f"{name} has {most} MB, and a request takes {contract.MOST_PAYLOAD_MB}",
            Option("split", "lines") + "  sends it in parts.",
        )
    return {"MaxPayloadInMB": most, "MaxConcurrentTransforms": 1} if most > contract.PAYLOAD_MB else {}


def _check_output(output: str | Path) -> None:
    if is_address(output):
        check_address(str(output))
        return
    path = Path(output).expanduser()
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file; the answers go into a folder", Option("output", f"{path}.answers"))
    if path.is_dir() and any(path.iterdir()):
        raise UsageError(f"the folder {path} is not empty", Option("output", f"{path}-2"))


def _run(asked: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
    """Create the job, and wait for its end. Raises AwsError if it fails, Interrupted after Ctrl-C, which stops it."""
    name = asked["TransformJobName"]
    make("transform_job", asked)
    try:
        ended = _ended(name, tell)
    except KeyboardInterrupt:
        with asking(f"transform job {name}"):
            client("sagemaker").stop_transform_job(TransformJobName=name)
        tell("  stopping")
        _ended(name, tell)
        raise Interrupted(f"transform job {name} was stopped", "Nothing of it is left; it can be repeated.") from None
    if ended["TransformJobStatus"] != "Completed":
        reason = ended.get("FailureReason") or f"it is {ended['TransformJobStatus']}"
        printed = [line for text in _log(name) for line in text.splitlines()][-SHOWN:]
        log = "".join(f"\n  {line}" for line in printed)
        raise AwsError(
            f"transform job {name} has failed: {reason}" + (f"\nits log ends with:{log}" if log else ""),
            "",
            str(ended["TransformJobStatus"]),
        )
    return ended


def _state(name: str) -> dict[str, Any] | None:
    return look("describe_transform_job", f"transform job {name}", TransformJobName=name)


def _ended(name: str, tell: Tell) -> Mapping[str, Any]:
    began, last = time.monotonic(), ""
    while True:
        now = _state(name) or {}
        status = str(now.get("TransformJobStatus", "gone"))
        if status != last:
            tell(f"  {status}" + (f" after {duration(time.monotonic() - began)}" if last else ""))
            last = status
        if status not in _GOES_ON:
            return {"TransformJobStatus": status, **now}
        time.sleep(poll_seconds())


def _log(name: str) -> Iterator[str]:
    try:
        yield from logs.read(name, group=contract.TRANSFORM_LOGS).values()
    except AwsError:  # it may not be read
        return


def _brought(target: str, output: str | Path) -> list[str]:
    """The answers, downloaded if they are to be on this machine. Their names are not trusted. Raises StoreError."""
    objects = Objects(target)
    names = [name for name, _ in objects.listing() if name.endswith(".out")]
    if not names:
        raise StoreError(f"the transform job has left no answers in {target}")
    if is_address(output):
        return [f"{target}/{name}" for name in names]
    folder = Path(output).expanduser()
    try:
        paths = [below(folder, name) for name in names]
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            objects.download(zip(names, paths, strict=True))
    except StoreError as error:
        raise StoreError(error.message, Text("The answers stay in ", target, ".")) from None
    return [str(path) for path in paths]
