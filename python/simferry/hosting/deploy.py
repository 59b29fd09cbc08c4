"""Deploys an endpoint: tells what it costs, makes model, configuration and endpoint, and waits until it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..aws import session
from ..aws.contracts import hosting as contract
from ..aws.endpoints import BUSY, UPLOADED, Served, find, state
from ..aws.instances import hosting_instances
from ..aws.limits import service_model
from ..aws.prices import REMEDY, prices, serverless_dollars_an_hour
from ..aws.session import AwsError
from ..errors import Interrupted, UsageError, nearest
from ..hints import Command, Literal, Option, Text
from ..sweep.variables import variables
from ..system.dialogue import Confirm, Tell, ask, print_line
from . import materials
from .resources import last_lines, make, settled

DEFAULT_TYPE = "ml.t2.medium"


@dataclass(frozen=True)
class Place:
    """Where an endpoint runs: instances, or serverless with memory (MB) and requests at once."""

    instance_type: str = ""
    instances: int = 0
    memory: int = 0
    concurrency: int = 0

    @property
    def request(self) -> dict[str, Any]:
        if self.memory:
            return contract.serverless(self.memory, self.concurrency)
        return contract.on_instances(self.instance_type, self.instances)

    @property
    def dollars_an_hour(self) -> float | None:
        """At most; None if the price is not known."""
        if self.memory:
            return serverless_dollars_an_hour(self.memory, self.concurrency)
        each = prices(session.region()).dollars_per_hour.get(self.instance_type)
        return None if each is None else each * self.instances

    @property
    def costs(self) -> str:
        hour = self.dollars_an_hour
        if hour is None:
            return (
                f"{self.instances} x {self.instance_type} costs by the hour until it is deleted; its price is not known"
            )
        if self.memory:
            return (
                f"serverless: nothing while it is idle, at most ${hour:.2f} an hour, ${24 * hour:.2f} a day "
                f"({self.memory:,} MB, {self.concurrency} requests at once, prices of us-east-1)"
            )
        note = prices(session.region()).note
        return (
            f"{self.instances} x {self.instance_type}: ${hour:.3f} an hour, ${24 * hour:.2f} a day until it is deleted "
            f"({note})"
        )


def place(
    instance_type: str | None, instances: int | None, serverless: bool, memory: int | None, concurrency: int | None
) -> Place:
    """The place that options describe. Raises UsageError."""
    instances, memory, concurrency = (
        whole(name, value)
        for name, value in (("instances", instances), ("memory", memory), ("concurrency", concurrency))
    )
    if serverless:
        if instance_type or instances:
            raise UsageError(
                "a serverless endpoint has no instances",
                Text(
                    "Leave out ", Option("serverless"), ", or ", Option("instance_type"), " and ", Option("instances")
                ),
            )
        memory, concurrency = memory or 2048, 5 if concurrency is None else concurrency
        if memory not in contract.MEMORY_MB:
            raise UsageError(
                f"memory is {memory}; it is 1024, 2048, 3072, 4096, 5120 or 6144 (MB)",
                Option("memory") + " is 2048 where it is not given.",
            )
        if not 1 <= concurrency <= contract.MOST_CONCURRENT:
            raise UsageError(
                f"concurrency is {concurrency}; it is 1 to {contract.MOST_CONCURRENT}", Option("concurrency", 5)
            )
        return Place(memory=memory, concurrency=concurrency)
    if memory or concurrency:
        raise UsageError("memory and concurrency are those of serverless endpoints", Option("serverless", True))
    kind, count = instance_type or DEFAULT_TYPE, 1 if instances is None else instances
    if count < 1:
        raise UsageError(f"instances is {count}; an endpoint has at least 1", Option("instances", 1))
    check_type(kind, "ProductionVariantInstanceType")
    return Place(kind, count)


def whole(name: str, value: Any) -> int | None:
    """A whole number that users give, also as 2.0. Raises UsageError."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise UsageError(Text(Option(name), " is ", Literal(value), "; it has to be a whole number"), Option(name, 1))


def check_type(kind: str, of: str) -> None:
    """Raise UsageError for an instance type that endpoints, or transform jobs, do not have. of: the service model's list."""
    known = service_model("sagemaker").shape_for(of).enum
    if kind not in known:
        common = [name for name in hosting_instances() if name in known]
        near = f"Did you mean ml.{kind}?" if f"ml.{kind}" in known else nearest(kind, common)
        what = "transform jobs have" if of.startswith("Transform") else "endpoints have"
        raise UsageError(f"{what} no instance type {kind!r}", near or f"Known: {', '.join(common[:12])}, ...")


def check_budget(where: Place, budget: float | None) -> None:
    """Raise UsageError for an endpoint that costs more a day than the budget, or whose price is not known."""
    if budget is None:
        return
    if isinstance(budget, (bool, str)) or not budget >= 0:
        raise UsageError(Text(Option("budget"), " is ", Literal(budget), "; it is US dollars a day"))
    hour = where.dollars_an_hour
    if hour is None:
        raise UsageError(f"the price of {where.instance_type} is not known, so no budget can be kept", REMEDY)
    if 24 * hour > budget:
        most = "at most " if where.memory else ""
        what = Option("concurrency") if where.memory else Option("instance_type")
        raise UsageError(
            f"the endpoint would cost {most}${24 * hour:.2f} a day, which is more than the budget of ${budget:.2f}",
            Text("Choose another ", what, ", or a larger ", Option("budget"), "."),
        )


def deploy(
    image: str,
    model: str | Path | None,
    where: Place,
    *,
    name: str | None = None,
    budget: float | None = None,
    env: Mapping[str, object] | None = None,
    role: str | None = None,
    stack: str | None = None,
    yes: bool = False,
    tell: Tell = print_line,
    confirm: Confirm = ask,
) -> Served | None:
    """See Endpoint.deploy. None if the answer was no."""
    if not isinstance(image, str) or not image:
        raise UsageError(Text("image is ", Literal(image), "; it has to be the name of an image"))
    name = contract.name_for(image) if name is None else name
    contract.check_name(name)
    environment = variables(env or {})
    check_budget(where, budget)
    before = state(name)
    if before and not contract.is_own_name(name, before["EndpointConfigName"]):
        raise exists(name, before)
    if model is not None:
        materials.check_model(model)
    home = materials.home(name, role, stack)
    materials.check_image(image, home.repository)
    tell(f"endpoint {name} in {session.region()}, account {session.account()}")
    tell(f"  {where.costs}")
    if not yes and not confirm("Deploy?"):
        tell("nothing is deployed")
        return None
    address = materials.model_in_s3(model, home.folder)
    uri = materials.image_in_ecr(image, home.repository, tell)
    uploaded = [] if address == model or address is None else [{"Key": UPLOADED, "Value": home.folder}]
    of_model = contract.model_request(name, uri, home.role, address, environment, [*home.tags, *uploaded])
    config = contract.config_request(name, of_model["ModelName"], where.request, home.tags)
    if before and before["EndpointConfigName"] != config["EndpointConfigName"]:
        raise exists(name, before)
    try:
        make("model", of_model)
        make("endpoint_config", config)
        made = make("endpoint", contract.endpoint_request(name, config["EndpointConfigName"], home.tags))
        if before or not made:
            tell("  it is there already, made with the same model and machines")
        return followed(name, tell)
    except KeyboardInterrupt:
        raise Interrupted(
            f"endpoint {name} is being created, and costs until it is deleted",
            Command("endpoint delete", name) + "  deletes it; deploying it again waits for it.",
        ) from None
    except AwsError as error:
        if state(name):
            raise
        left = Command("endpoint delete", name) + "  deletes what is left, which costs nothing; or deploy it again."
        raise type(error)(
            error.message, Text(error.hint_parts, "\n" if error.hint else "", left), error.service_code
        ) from None


def exists(name: str, found: Mapping[str, Any]) -> UsageError:
    """The error for an endpoint that is there already, made of something else."""
    status = found["EndpointStatus"]
    does = {"Creating": "is being created", "Deleting": "is being deleted", "Failed": "is there, and has failed"}
    does |= {one: "is being changed" for one in BUSY if one not in does}
    return UsageError(
        f"endpoint {name} {does.get(status, 'exists already')}, made of another model, image or machines",
        Text(Command("endpoint delete", name), "  deletes it; or choose another ", Option("name"), "."),
    )


def followed(name: str, tell: Tell) -> Served:
    """Wait until an endpoint is in service. Raises AwsError, with the last lines of its log, if it fails."""
    now = settled(name, tell)
    status = now["EndpointStatus"] if now else "gone"
    if now and status == "InService":
        found = find(name)
        if found:
            return found
    reason = (now or {}).get("FailureReason") or f"it is {status}"
    printed = last_lines(name)
    log = f"\nits log ends with:{printed}" if printed else "\nit has printed nothing"
    raise AwsError(
        f"endpoint {name} has failed: {reason}{log}",
        Command("endpoint delete", name) + "  deletes what is left: the endpoint, its configuration and its model.",
        str(status),
    )
