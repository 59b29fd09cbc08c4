"""Makes and updates the stacks of an account. What would be changed is shown before anything is."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from ..aws import session, stacks
from ..aws.stacks import Change, Event, Proposal, Stack, StackError
from ..aws.tags import MADE_BY
from ..errors import Interrupted, UsageError, nearest
from ..hints import Command, Option
from ..system.dialogue import Confirm, Tell, ask, print_line
from .inventory import Infrastructure, check_owner, elsewhere, show
from .templates import checked, read, stack_of
from .templates import template as packaged


def deploy(
    name: str | None = None,
    *,
    template: str | Path | Sequence[str | Path] | None = None,
    parameters: Mapping[str, object] | None = None,
    yes: bool = False,
    tell: Tell = print_line,
    confirm: Confirm = ask,
) -> Infrastructure | None:
    """Make bucket, repository of images, roles, and queues of AWS Batch, or update them: the stacks NAME and NAME-batch. It goes on
    where an earlier attempt was interrupted.

    name: of the stack [SIMFERRY_STACK, or "simferry"]. template: the path of your own copy of a template, or of both. parameters: of the
    templates, by name; those that are not given keep their values, or have the template's. yes: do not ask. tell: called with each line
    of the report. confirm: asks a question.

    Returns what is there in the end; None if the answer was no. Raises UsageError for a name, template or parameter that is wrong,
    StackError with the first failure.
    """
    name = checked(name)
    bodies = _bodies([template] if isinstance(template, str | Path) else template or ())
    given = {key: text_of(value) for key, value in (parameters or {}).items()}
    known = {one: stacks.declared(body) for one, body in bodies.items()}
    check_parameters(set().union(*known.values()), given)
    if not stacks.find(stack_of(name, "base")):
        for region in elsewhere(name):
            tell(f"note: there is a stack {name} in {region}, too")
    if not all(made_ready(name, stack_of(name, one), yes, tell, confirm) for one in bodies):
        return None

    for one in bodies:
        if bodies[one] != packaged(one):
            defaults = {key: value for key, value in known[one].items() if key not in {"BaseStack", *given}}
            _tell_kept(name, stacks.find(stack_of(name, one)), defaults, tell)

    def proposal(one: str) -> Proposal | None:
        mine = {key: value for key, value in given.items() if key in known[one]}
        if "BaseStack" in known[one]:
            mine["BaseStack"] = name
        return proposed(name, stack_of(name, one), bodies[one], mine)

    done = _both(name, proposal, lambda: stacks.kinds(bodies["batch"]), yes, tell, confirm)
    if done is None:
        tell("nothing is changed")
        return None
    if done:
        tell(f"{name} is ready")
    return show(name)


def proposed(name: str, stack: str, body: str, given: Mapping[str, str]) -> Proposal | None:
    """What would make a stack of a name as the template says; None if it is so. given: parameters of the template."""
    before = stacks.find(stack)
    tags = {**(before.tags if before else {}), **MADE_BY, stacks.TAG: name}
    return stacks.propose(stack, body, given, tags, before)


def _bodies(paths: Sequence[str | Path]) -> dict[str, str]:
    """The templates by name, in the order in which they are deployed: a user's own where there is one."""
    own: dict[str, str] = {}
    for path in paths:
        body = read(path)
        stacks.declared(body)  # or an error says what is wrong with it
        kinds = stacks.kinds(body)
        if "AWS::EC2::Instance" in kinds:
            raise UsageError(
                f"{path} is a template of a machine, and would take the place of bucket and repository",
                Command("infra rstudio deploy", template=path) + "  deploys it.",
            )
        one = "batch" if "AWS::Batch::JobQueue" in kinds else "base"
        if one in own:
            raise UsageError(f"{path} is a second template {one}", "One of base and one of batch can be given.")
        own[one] = body
    return {one: own.get(one) or packaged(one) for one in ("base", "batch")}


def _tell_kept(name: str, now: Stack | None, defaults: Mapping[str, str], tell: Tell) -> None:
    """Tell of parameters that keep their values where the user's own template has other defaults, which are those of new stacks."""
    for key, value in defaults.items():
        kept = now.parameters.get(key, value) if now else value
        if value and kept != value:
            how = stacks.on_stack("infra deploy", name, parameters={key: value})
            tell(f"note: {key} stays {kept}; the template's default, {value}, is for new stacks: {how}  sets it")


def _both(
    name: str,
    propose: Callable[[str], Proposal | None],
    kinds: Callable[[], Sequence[str]],
    yes: bool,
    tell: Tell,
    confirm: Confirm,
) -> bool | None:
    """Propose both stacks, show that, ask once, and carry it out. Whether anything was changed; None if the answer was no.

    The second stack imports what the first one exports. Where that is not there yet, it can be proposed only when the first is ready: of
    a new one the types of its resources are shown before (kinds), and about changes of one that is there is asked then.
    """
    base, batch = propose("base"), None
    proposals = [base] if base else []
    try:
        late = base is not None and base.new
        if not late:
            try:
                batch = propose("batch")
                proposals += [batch] if batch else []
            except StackError as error:
                if base is None or stacks.NO_EXPORT not in error.message:
                    raise
                late = True
        is_there = late and stacks.find(stack_of(name, "batch")) is not None
        _tell_proposal(stack_of(name, "base"), base, tell)
        if not late:
            _tell_proposal(stack_of(name, "batch"), batch, tell)
        elif not is_there:
            tell(f"stack {stack_of(name, 'batch')}: new, after that one")
            for kind in kinds():
                tell(f"  + {'add':11} {kind}")
        if not late and not proposals:
            return False
        if not yes and not confirm("Deploy?"):
            return None
        _carry_out(name, proposals, tell)
        if late and (batch := propose("batch")):
            proposals.append(batch)
            if is_there:
                _tell_proposal(batch.name, batch, tell)
                if not yes and not confirm("Deploy?"):
                    return True
            _carry_out(name, proposals, tell)
        return True
    finally:
        for one in proposals:  # that were not carried out
            stacks.discard(one)


def _carry_out(name: str, proposals: list[Proposal], tell: Tell) -> None:
    """Carry proposals out, and take each that was begun from the list."""
    while proposals:
        one = proposals.pop(0)
        with going_on("infra deploy", name, one.name):
            stacks.execute(one, lambda event: tell_event(event, tell))


def _tell_proposal(stack: str, proposal: Proposal | None, tell: Tell) -> None:
    if proposal is None:
        tell(f"stack {stack} is as the template says")
        return
    what = "new" if proposal.new else "changes"
    tell(f"stack {stack} in {session.region()}, account {session.account()}: {what}")
    for change in proposal.changes:
        tell(in_words(change))


def text_of(value: object) -> str:
    """A parameter as CloudFormation takes it."""
    if isinstance(value, float) and value.is_integer():  # as R's numbers are
        value = int(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def check_parameters(known: Collection[str], given: Mapping[str, str]) -> None:
    for name in given:
        if name not in known:
            raise UsageError(
                f"the template has no parameter {name}",
                nearest(name, known) or f"There are {', '.join(sorted(known))}.",
            )


def check_ours(stack: Stack, name: str) -> None:
    """Raise UsageError for a stack that has nothing to do with simferry, or belongs to another name: an update would remove what it has."""
    if not stack.ours:
        raise UsageError(
            f"the stack {stack.name} in {session.region()} is not simferry's",
            Option("name", "simferry-2") + "  uses another name.",
        )
    check_owner(stack, name)


def settled(stack: Stack, tell: Tell) -> Stack | None:
    """The stack after the operation that somebody has begun; None if it is gone then."""
    tell(f"stack {stack.name} is being changed ({stack.status}): waiting for the end of that")
    try:
        good = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE")
        stacks.follow(stack.arn, lambda event: tell_event(event, tell), stacks.newest(stack.arn), good)
    except StackError as error:
        tell(f"that failed: {error.message}")
    return stacks.find(stack.name)


def removed(verb: str, name: str, stack: Stack, tell: Tell) -> None:
    """Remove a stack, after the end of what somebody has begun with it. verb: the command that goes on with it."""
    with going_on(verb, name, stack.name):
        now: Stack | None = stack
        if stack.busy and not stack.status.startswith("DELETE"):
            now = settled(stack, tell)
        if now:
            stacks.remove(now, lambda event: tell_event(event, tell))


def made_ready(name: str, stack: str, yes: bool, tell: Tell, confirm: Confirm) -> bool:
    """Bring a stack that is in the middle of something, or has failed, into a state that can be changed. False if the answer was no."""
    now = stacks.find(stack)
    if now is not None and now.status != "REVIEW_IN_PROGRESS":
        check_ours(now, name)
    with going_on(stacks.verb("deploy", stack, name), name, stack):
        if now is not None and now.busy:
            now = settled(now, tell)
        if now is None:
            return True
        if now.status == "UPDATE_ROLLBACK_FAILED":
            tell(f"stack {stack}: going on with the rollback of an update that failed")
            stacks.finish_rollback(now, lambda event: tell_event(event, tell))
        elif now.status == "DELETE_FAILED" and stack != stack_of(name, "batch"):  # others have a bucket or a disk
            raise UsageError(
                f"stack {stack} is deleted by half",
                stacks.on_stack(stacks.verb("delete", stack, name), name) + "  deletes the rest.",
            )
        elif now.status in (*stacks.FAILED_FOR_GOOD, "DELETE_FAILED"):
            failed = "deleted" if now.status == "DELETE_FAILED" else "made"
            tell(
                f"stack {stack} could not be {failed} the last time ({now.status}). It has to be deleted before it can be made."
            )
            if not yes and not confirm("Delete what is left of it?"):
                tell("nothing is changed")
                return False
            stacks.remove(now, lambda event: tell_event(event, tell))
    return True


@contextlib.contextmanager
def going_on(verb: str, name: str, stack: str) -> Iterator[None]:
    """Within the block Ctrl-C is an error that says how to go on: CloudFormation does not stop."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            f"CloudFormation goes on with stack {stack}", stacks.on_stack(verb, name) + "  follows it, and goes on."
        ) from None


def carried_out(
    name: str,
    proposal: Proposal,
    yes: bool,
    tell: Tell,
    confirm: Confirm,
    prepare: Callable[[], None] = lambda: None,
) -> bool:
    """Show a proposal, ask, and carry it out. False if the answer was no. prepare: called before it is carried out."""
    ready = False
    try:
        _tell_proposal(proposal.name, proposal, tell)
        if yes or confirm("Deploy?"):
            prepare()
            ready = True
    finally:
        if not ready:
            stacks.discard(proposal)
    if not ready:
        tell("nothing is changed")
        return False
    with going_on(stacks.verb("deploy", proposal.name, name), name, proposal.name):
        stacks.execute(proposal, lambda event: tell_event(event, tell))
    return True


def in_words(change: Change) -> str:
    """A change in a line. Those that lose something are marked, and say what becomes of what is there."""
    replaced = change.action in ("replace", "may replace")
    mark = "!" if replaced else {"add": "+", "remove": "-"}.get(change.action, "~")
    names = f"  ({', '.join(change.properties)})" if change.properties else ""
    end = ""
    if change.kept is not None:
        what = f"the old one, {change.physical}," if replaced else change.physical
        end = f": {what} {'stays, outside of the stack' if change.kept else 'is deleted'}"
    return f"  {mark} {change.action:11} {change.name:18} {change.kind}{names}{end}"


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
