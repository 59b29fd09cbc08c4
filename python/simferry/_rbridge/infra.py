"""Infrastructure. What takes minutes and asks questions is a dialogue of many short calls: R prints each line as it comes."""

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from ..errors import Interrupted, UsageError
from ..hints import Command
from ..r.serialization import Vector, data_frame
from ..worker.blocks import NA_DOUBLE
from .arguments import Arguments, plain, text_list, verb

Tell = Callable[[str], None]
Confirm = Callable[[str], bool]


class Dialogue:
    """A function in a thread of its own, which goes on only while R waits for its next step: a line to print, a question, or its end."""

    def __init__(self, function: Callable[[Tell, Confirm], Any], goes_on: str = "") -> None:
        self._steps: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._answers: queue.Queue[Any] = queue.Queue()
        self._function, self.goes_on = function, goes_on
        threading.Thread(target=self._run, name="infra", daemon=True).start()

    def _run(self) -> None:
        if self._answers.get() is None:
            return
        try:
            value = self._function(
                lambda line: self._ask("line", line), lambda question: self._ask("question", question)
            )
            self._steps.put(("end", value))
        except BaseException as error:
            self._steps.put(("error", error))

    def _ask(self, kind: str, text: str) -> Any:
        self._steps.put((kind, str(text)))
        answer = self._answers.get()
        if answer is None:
            raise SystemExit
        return answer

    def step(self, answer: bool) -> tuple[str, Any]:
        """The next step after an answer to the last one; that to a line has no meaning. Raises what the function raises."""
        self._answers.put(answer)
        while True:
            try:
                kind, value = self._steps.get(timeout=0.2)  # without a limit Ctrl-C would have to wait
            except queue.Empty:
                continue
            if kind == "error":
                raise value
            return kind, value

    def leave(self) -> None:
        """Let the thread end at its next step."""
        self._answers.put(None)


_dialogue: list[Dialogue] = []  # the one that R is in


def begin(function: Callable[[Tell, Confirm], Any], goes_on: str = "") -> Arguments:
    """goes_on: the group of verbs that follow CloudFormation, which goes on where R is interrupted."""
    while _dialogue:
        _dialogue.pop().leave()
    _dialogue.append(Dialogue(function, goes_on))
    return _next(True)


def _next(answer: bool) -> Arguments:
    try:
        kind, value = _dialogue[-1].step(answer)
    except KeyboardInterrupt:
        left = _dialogue.pop()
        left.leave()
        if not left.goes_on:
            raise Interrupted("interrupted", "What was done until then stays done; it can be repeated.") from None
        raise Interrupted(
            "what CloudFormation has begun goes on",
            Command(f"{left.goes_on} deploy")
            + "  or  "
            + Command(f"{left.goes_on} delete")
            + "  follows it, and goes on.",
        ) from None
    except BaseException:
        _dialogue.pop()
        raise
    if kind == "end":
        _dialogue.pop()
    return {"kind": kind, "value": value}


@verb
def infra_next(given: Arguments) -> Arguments:
    if not _dialogue:
        raise UsageError("nothing is being deployed or deleted", Command("infra deploy"))
    return _next(bool(plain(given)["answer"]))


@verb
def infra_deploy(given: Arguments) -> Arguments:
    from ..infra import deployment

    options = plain(given)
    parameters = options["parameters"] or {}

    def deploy(tell: Tell, confirm: Confirm) -> Any:
        found = deployment.deploy(
            options["name"],
            template=options["template"],
            parameters=parameters,
            yes=options["yes"],
            tell=tell,
            confirm=confirm,
        )
        return found and described(found)

    return begin(deploy, goes_on="infra")


@verb
def infra_delete(given: Arguments) -> Arguments:
    from ..infra import removal

    options = plain(given)

    def delete(tell: Tell, confirm: Confirm) -> bool:
        return removal.delete(options["name"], data=options["data"], yes=options["yes"], tell=tell, confirm=confirm)

    return begin(delete, goes_on="infra")


@verb
def infra_show(given: Arguments) -> Arguments:
    from ..infra import inventory

    options = plain(given)
    if not options.get("costs"):
        return described(inventory.show(options["name"]))
    return begin(lambda tell, confirm: described(inventory.show(options["name"], costs=True, tell=tell)))


@verb
def infra_list(given: Arguments) -> Arguments:
    from ..aws.endpoints import Served
    from ..images.ecr import InRepository
    from ..infra import listing
    from ..infra.contents import StoredRun

    found = listing.list_all()
    frames = {
        "stacks": rows(found.stacks, listing.ListedStack), "buckets": rows(found.buckets, listing.ListedBucket),
        "runs": rows(found.runs, StoredRun), "repositories": rows(found.repositories, listing.ListedRepository),
        "images": rows(found.images, InRepository), "logs": rows(found.logs, listing.ListedLog),
        "endpoints": rows(found.endpoints, Served), "others": rows(found.others, listing.ListedResource),
    }  # fmt: skip
    return {
        "region": found.region, "account": found.account, **frames, "unseen": Vector("string", found.unseen),
        "dollars_an_hour": found.dollars_an_hour, "dollars_a_month": found.dollars_a_month,
        "text": Vector("string", str(found).splitlines()),
    }  # fmt: skip


@verb
def image_prune(given: Arguments) -> Arguments:
    from ..images.ecr import InRepository
    from ..infra import pruning

    options = plain(given)
    stores = text_list(options.pop("store"))

    def prune(tell: Tell, confirm: Confirm) -> Any:
        done = pruning.prune_images(**options, store=stores, tell=tell, confirm=confirm)
        return done and {
            "images": rows(done.images, InRepository), "repositories": Vector("string", done.repositories),
            "gigabytes": done.gigabytes,
        }  # fmt: skip

    return begin(prune)


@verb
def infra_template(given: Arguments) -> str:
    from ..infra import templates

    return templates.template(plain(given)["name"])


def described(found: Any) -> Arguments:
    """What is there, as R has it."""
    from ..aws.endpoints import Served

    jobs, stored, queues = found.jobs, found.stored, found.queues
    frames = {
        "stored": {
            "what": Vector("string", [one.what for one in stored]),
            "name": Vector("string", [one.name for one in stored]),
            "things": Vector("double", [float(one.things) for one in stored]),
            "gigabytes": Vector("double", [one.gigabytes for one in stored]),
            "dollars_a_month": Vector("double", [one.dollars_a_month for one in stored]),
            "complete": Vector("logical", [one.complete for one in stored]),
        },
        "jobs": {
            "name": Vector("string", [one.name for one in jobs]),
            "role": Vector("string", [one.role for one in jobs]),
            "instance_type": Vector("string", [one.instance_type for one in jobs]),
            "instances": Vector("double", [float(one.instances) for one in jobs]),
            "dollars_an_hour": _dollars(one.dollars_an_hour for one in jobs),
        },
        "queues": {
            "on": Vector("string", [one.on for one in queues]),
            "vcpus": Vector("double", [float(one.vcpus) for one in queues]),
            "running": Vector("double", [float(one.running) for one in queues]),
            "waiting": Vector("double", [float(one.waiting) for one in queues]),
            "dollars_an_hour": _dollars(one.dollars_an_hour for one in queues),
            "trouble": Vector("string", [one.trouble for one in queues]),
        },
    }
    return {
        "name": found.name, "region": found.region, "stacks": _texts(found.stacks), "outputs": _texts(found.outputs),
        "images": Vector("string", list(found.images)), "stored": data_frame(frames["stored"], len(stored)),
        "jobs": data_frame(frames["jobs"], len(jobs)), "queues": data_frame(frames["queues"], len(queues)),
        "endpoints": rows(found.endpoints, Served), "instances": found.instances,
        "dollars_an_hour": found.dollars_an_hour, "dollars_a_month": found.dollars_a_month,
        "costs": found.costs and data_frame(
            {"service": Vector("string", [*found.costs.dollars]), "dollars": Vector("double", [*found.costs.dollars.values()])},
            len(found.costs.dollars),
        ),
        "text": Vector("string", str(found).splitlines()),
    }  # fmt: skip


def _dollars(some: Iterable[float | None]) -> Vector:
    return Vector("double", [float("nan") if one is None else one for one in some])


def _texts(named: Any) -> Vector:
    return Vector("string", list(named.values()), {"names": Vector("string", list(named))})


def rows(things: Sequence[Any], kind: Any) -> Vector:
    """A data frame with a column for each field of a dataclass. None is NA; several texts are one, with commas between."""

    def column(name: str, annotation: Any) -> Vector:
        values = [getattr(one, name) for one in things]
        types = {*getattr(annotation, "__args__", ()), annotation}  # of int | None, both
        if bool in types:
            return Vector("logical", values)
        if types & {int, float, datetime}:
            is_time = datetime in types
            numbers = np.array([0 if v is None else v.timestamp() if is_time else v for v in values], dtype="<f8")
            numbers[[v is None for v in values]] = NA_DOUBLE
            time: dict[str, Vector | None] = {
                "class": Vector("string", ["POSIXct", "POSIXt"]),
                "tzone": Vector("string", ["UTC"]),
            }
            return Vector("double", numbers, time if is_time else {})
        return Vector("string", [one if isinstance(one, str) else ",".join(one) for one in values])

    columns = {name: column(name, one) for name, one in kind.__annotations__.items()}
    return data_frame(columns, len(things))
