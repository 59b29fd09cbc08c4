"""Endpoints and batch transform, as R has them."""

from typing import Any

from ..r.serialization import Vector
from .arguments import Arguments, plain, text_list, verb
from .infra import Confirm, Tell, begin, rows


def _named(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _described(name: str) -> Arguments:
    """What is known of an endpoint, with `text` to print."""
    from ..aws.endpoints import described, there

    found = there(name)
    known = described(found)
    for field in ("models", "images"):
        known[field] = Vector("string", known[field])
    if known["dollars_an_hour"] is None:
        known["dollars_an_hour"] = float("nan")
    return {**known, "text": Vector("string", str(found).splitlines())}


@verb
def endpoint_deploy(given: Arguments) -> Arguments:
    from ..hosting import Endpoint

    options = plain(given)
    options["env"] = _named(options["env"])

    def deploy(tell: Tell, confirm: Confirm) -> Any:
        made = Endpoint.deploy(**options, tell=tell, confirm=confirm)
        return made and _described(made.name)

    return begin(deploy)


@verb
def endpoint_describe(given: Arguments) -> Arguments:
    return _described(plain(given)["name"])


@verb
def endpoints(given: Arguments) -> Vector:
    from ..aws.endpoints import Served
    from ..hosting import endpoints as found

    return rows(found(), Served)


@verb
def endpoint_invoke(given: Arguments) -> Arguments:
    """The answer as bytes, and its content type."""
    from pathlib import Path

    from ..hosting import Endpoint

    options = plain({name: value for name, value in given.items() if name != "body"})
    body, file = given.get("body"), options["file"]
    content: Any = Path(file) if file else b""
    if body is not None and not file:
        content = body.values.tobytes() if body.kind == "raw" else "\n".join(text_list(body.plain()))
    got, kind = Endpoint(options["name"]).answer(content, options["content_type"], options["accept"])
    return {"body": bytearray(got), "content_type": kind}


@verb
def endpoint_predict(given: Arguments) -> Any:
    """A vector, or a data frame."""
    from ..hosting import Endpoint
    from ..r.values import from_r

    data = from_r(given["data"])
    options = plain({name: value for name, value in given.items() if name != "data"})
    values = Endpoint(options["name"]).predict(
        data, content_type=options["content_type"], accept=options["accept"], header=options["header"]
    )
    return predicted(values)


def predicted(values: Any) -> Any:
    """Predictions as R has them: columns without a name are V1, V2 ..."""
    from ..r.values import to_r

    if hasattr(values, "columns"):
        values = values.rename(columns=lambda one: f"V{one + 1}" if isinstance(one, int) else one)
    return to_r(values)


@verb
def endpoint_logs(given: Arguments) -> Vector:
    """The lines of all containers."""
    from ..hosting import Endpoint

    found = Endpoint(plain(given)["name"]).logs()
    return Vector("string", [line for text in found.values() for line in text.splitlines()])


@verb
def endpoint_delete(given: Arguments) -> Arguments:
    from ..hosting import Endpoint

    options = plain(given)

    def delete(tell: Tell, _: Confirm) -> bool:
        Endpoint(options["name"]).delete(any=options["any"], tell=tell)
        return True

    return begin(delete)


@verb
def transform(given: Arguments) -> Arguments:
    from ..hosting import transform as transformed

    options = plain(given)
    options["env"] = _named(options["env"])

    def run(tell: Tell, _: Confirm) -> Any:
        done = transformed(**options, tell=tell)
        return {
            "name": done.name, "output": done.output, "files": Vector("string", done.files), "seconds": done.seconds,
            "dollars": float("nan") if done.dollars is None else done.dollars, "text": Vector("string", [str(done)]),
        }  # fmt: skip

    return begin(run)
