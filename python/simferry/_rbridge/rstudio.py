"""RStudio in AWS. R holds its connection open: it can be interrupted, and closes it then."""

from typing import Any

from ..r.serialization import Vector
from .arguments import Arguments, plain, verb
from .infra import Confirm, Tell, begin

_tunnels: list[Any] = []  # the one that is open


def _described(found: Any) -> Arguments:
    from ..infra.rstudio import described

    known = described(found)
    if known["dollars_an_hour"] is None:
        known["dollars_an_hour"] = float("nan")
    return {**known, "text": Vector("string", str(found).splitlines())}


@verb
def infra_rstudio_deploy(given: Arguments) -> Arguments:
    from ..infra import rstudio

    options = plain(given)

    def deploy(tell: Tell, confirm: Confirm) -> Any:
        found = rstudio.deploy(
            options["name"], accept_licence=options["accept_licence"], template=options["template"],
            parameters=options["parameters"] or {}, yes=options["yes"], tell=tell, confirm=confirm,
        )  # fmt: skip
        return found and _described(found)

    return begin(deploy, goes_on="infra rstudio")


@verb
def infra_rstudio_delete(given: Arguments) -> Arguments:
    from ..infra import rstudio

    options = plain(given)
    return begin(
        lambda tell, confirm: rstudio.delete(options["name"], yes=options["yes"], tell=tell, confirm=confirm),
        goes_on="infra rstudio",
    )


@verb
def infra_rstudio_open(given: Arguments) -> Vector:
    """Connects it. Gives the lines to show."""
    from ..infra import rstudio

    options = plain(given)
    lines: list[str] = []
    infra_rstudio_close({})
    _tunnels.append(rstudio.connect(options["name"], port=options["port"], tell=lines.append))
    return Vector("string", [str(line) for line in lines])


@verb
def infra_rstudio_is_open(given: Arguments) -> bool:
    if not _tunnels:
        return False
    _tunnels[-1].check()
    return bool(_tunnels[-1].is_open())


@verb
def infra_rstudio_close(given: Arguments) -> None:
    while _tunnels:
        _tunnels.pop().close()


@verb
def infra_rstudio_password(given: Arguments) -> str:
    from ..infra import rstudio

    return rstudio.password(plain(given)["name"])


@verb
def infra_rstudio_show(given: Arguments) -> Arguments:
    from ..infra import rstudio

    return _described(rstudio.show(plain(given)["name"]))


@verb
def infra_rstudio_start(given: Arguments) -> Arguments:
    from ..infra import rstudio

    return begin(lambda tell, _: _described(rstudio.start(plain(given)["name"], tell=tell)))


@verb
def infra_rstudio_stop(given: Arguments) -> Arguments:
    from ..infra import rstudio

    return begin(lambda tell, _: _described(rstudio.stop(plain(given)["name"], tell=tell)))
