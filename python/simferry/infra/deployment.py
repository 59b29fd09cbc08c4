"""Makes and updates the stacks of an account. What would be changed is shown before anything is."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..aws import session, stacks
from ..aws.stacks import Change, Event, Proposal, Stack, StackError
from ..errors import Interrupted, UsageError
from ..hints import Command, Option
from .inventory import Infrastructure, show
from .templates import SUFFIX, read, stack_of, template

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")
Tell = Callable[[str], None]
Confirm = Callable[[str], bool]  # asks a question


def print_line(text: str) -> None:
    print(text, file=sys.stderr)


def ask(question: str) -> bool:
    """Ask on the terminal. Raises UsageError if there is none."""
    if not sys.stdin.isatty():
        raise UsageError(
            "nothing is done: there is no terminal on which to ask", Option("yes", True) + "  does not ask."
        )
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def deploy(
    name: str | None = None,
    *,
    templates: Sequence[str] | Mapping[str, str | Path] = ("base",),
    parameters: Mapping[str, object] | None = None,
    yes: bool = False,
    tell: Tell = print_line,
    confirm: Confirm = ask,
) -> Infrastructure | None:
    """Make the stacks of an account, or update them. It goes on where an earlier attempt was interrupted.

    name: of the stacks [SIMFERRY_STACK, or "simferry"]. templates: their names, or also the paths of the user's own files by name.
    parameters: of the templates, by name; those that are not given keep their values, or have the template's. yes: do not ask. tell:
    called with each line of the report. confirm: asks a question.

    Returns what is there in the end; None if the answer was no. Raises UsageError for names and parameters that are wrong, StackError
    with the first failure.
    """
    name = checked(name)
    bodies = {one: template(one) for one in templates} if not isinstance(templates, Mapping) else {}
    if isinstance(templates, Mapping):
        bodies = {one: read(path) for one, path in templates.items()}
    given = {key: str(value) for key, value in (parameters or {}).items()}
    _check_parameters(bodies, given)
    ready = {one: _made_ready(stack_of(name, one), yes, tell, confirm) for one in SUFFIX if one in bodies}
    if any(one is False for one in ready.values()):
        return None
    changed = False
    for one in ready:
        before = stacks.find(stack_of(name, one))
        mine = {key: value for key, value in given.items() if key in stacks.declared(bodies[one])}
        if one != "base":
            mine.setdefault("BaseStack", name)
        tags = {**(before.tags if before else {}), "made-by": "simferry", stacks.TAG: name}
        proposal = stacks.propose(stack_of(name, one), bodies[one], mine, tags, before)
        if proposal is None:
            tell(f"stack {stack_of(name, one)} is as the template says")
            continue
        if not _carried_out(stack_of(name, one), proposal, yes, tell, confirm):
            return None
        changed = True
    stacks.forget()
    found = show(name)
    if changed:
        tell(f"{name} is ready")
    return found


def checked(name: str | None) -> str:
    """The name of the stacks. Raises UsageError for one that CloudFormation refuses."""
    name = name or stacks.default_name()
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a stack",
            "Names have letters, digits and hyphens, begin with a letter, and have at most 100.",
        )
    return name


def _check_parameters(bodies: Mapping[str, str], given: Mapping[str, str]) -> None:
    from ..errors import nearest

    known = {name for body in bodies.values() for name in stacks.declared(body)}
    for name in given:
        if name not in known:
            raise UsageError(
                f"no template has a parameter {name}", nearest(name, known) or f"There are {', '.join(sorted(known))}."
            )


def _made_ready(stack: str, yes: bool, tell: Tell, confirm: Confirm) -> bool:
    """Bring a stack that is in the middle of something, or has failed, into a state that can be changed. False if the answer was no."""
    now = stacks.find(stack)
    if now is not None and now.busy:
        tell(f"stack {stack} is being changed ({now.status}): waiting for the end of that")
        try:
            now = stacks.follow(now.arn, lambda event: tell_event(event, tell))
        except StackError as error:
            tell(f"that failed: {error.message}")
        now = stacks.find(stack)
    if now is None:
        return True
    if now.status == "UPDATE_ROLLBACK_FAILED":
        tell(f"stack {stack}: going on with the rollback of an update that failed")
        stacks.finish_rollback(now, lambda event: tell_event(event, tell))
    elif now.status == "DELETE_FAILED":
        raise UsageError(
            f"stack {stack} is deleted by half",
            Command("infra delete", name=now.tags.get(stacks.TAG, stack)) + "  deletes the rest.",
        )
    elif now.status in stacks.FAILED_FOR_GOOD:
        tell(
            f"stack {stack} could not be made the last time ({now.status}). It has to be deleted before it can be made."
        )
        if not yes and not confirm("Delete what is left of it?"):
            return False
        stacks.remove(now, lambda event: tell_event(event, tell))
    return True


def _carried_out(stack: str, proposal: Proposal, yes: bool, tell: Tell, confirm: Confirm) -> bool:
    """Show a proposal, ask, and carry it out. False if the answer was no."""
    try:
        tell(
            f"stack {stack} in {session.region()}, account {session.account()}: {'new' if proposal.new else 'changes'}"
        )
        for change in proposal.changes:
            tell(in_words(change))
        if not yes and not confirm("Deploy?"):
            stacks.discard(proposal)
            tell("nothing is changed")
            return False
    except BaseException:
        stacks.discard(proposal)
        raise
    try:
        stacks.execute(proposal, lambda event: tell_event(event, tell))
    except KeyboardInterrupt:
        raise Interrupted(
            f"CloudFormation goes on with stack {stack}", Command("infra deploy") + "  follows it, and goes on."
        ) from None
    return True


def in_words(change: Change) -> str:
    """A change in a line. Those that lose something are marked."""
    mark = {"add": "+", "remove": "-", "replace": "!", "may replace": "!"}.get(change.action, "~")
    names = f"  ({', '.join(change.properties)})" if change.properties else ""
    return f"  {mark} {change.action:11} {change.name:18} {change.kind}{names}"


def tell_event(event: Event, tell: Tell) -> None:
    """Tell the end of each resource, and failures with their reason."""
    if event.whole or event.status.endswith("_IN_PROGRESS"):
        return
    verb, _, end = event.status.partition("_")
    words = {"CREATE": "made", "UPDATE": "changed", "DELETE": "deleted"}
    if end == "COMPLETE" and verb in words:
        tell(f"  {event.name:18} {words[verb]}")
    elif end == "SKIPPED":
        tell(f"  {event.name:18} kept")
    else:
        tell(f"  {event.name:18} {event.status}: {event.reason.strip()}")


def state_of(stack: Stack | None) -> str:
    return stack.status if stack else "not there"
