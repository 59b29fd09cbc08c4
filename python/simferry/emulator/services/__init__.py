"""The services that the emulator answers itself."""

from typing import Any, Protocol

from ..calls import Call


class Service(Protocol):
    """Calls of one kind, and what they leave running."""

    def answers(self, call: Call) -> bool:
        """Whether it is this one that answers a call."""

    def answer(self, call: Call) -> dict[str, Any]:
        """Raises Refusal."""

    def stop(self, seconds: float) -> None:
        """End what runs, and wait for that so long."""
