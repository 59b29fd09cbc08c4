"""Models that are served here, as R has them: a container lives as long as R's object, or until R closes it."""

from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .arguments import Arguments, plain, verb
from .endpoint import predicted

if TYPE_CHECKING:
    from ..containers.serving import Serving

_servers: "dict[str, Serving]" = {}  # by token


@verb
def serve(given: Arguments) -> Arguments:
    """Starts a container, and waits until it answers."""
    from ..verbs.serve import serve as start

    options = plain(given)
    if not isinstance(options["env"], dict):
        options["env"] = None
    server = start(**options)
    _servers[server.token] = server
    return {"token": server.token, "url": server.url, "ready": server.ready_seconds, "ping": server.ping_seconds}


@verb
def serve_predict(given: Arguments) -> Any:
    """A vector, or a data frame."""
    from ..containers.serving import ServingError
    from ..hosting.frames import body_of, values_of
    from ..r.values import from_r

    options = plain({name: value for name, value in given.items() if name != "data"})
    server = _servers.get(options["token"])
    if not server:
        raise UsageError("this server was closed")
    body, rows = body_of(from_r(given["data"]), options["content_type"], options["header"])
    answer = server.invoke(body, options["content_type"], options["accept"] or "")
    if not 200 <= answer.status < 300:
        raise ServingError(f"the container answered {answer.status}: {answer.body[:1000].decode(errors='replace')}")
    return predicted(values_of(answer.body, answer.content_type, rows))


@verb
def serve_close(given: Arguments) -> None:
    if server := _servers.pop(plain(given)["token"], None):
        server.stop()
