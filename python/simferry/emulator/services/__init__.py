"""The services that the emulator implements itself, without moto."""

from typing import Any, Protocol

from ..calls import Answer, Call


class Service(Protocol):
    """One service: it answers calls, and ends what they have started."""

    def answers(self, call: Call) -> bool:
        """Whether this service answers the call."""

    def answer(self, call: Call) -> dict[str, Any] | Answer:
        """The content of the answer, or all of it. Raises Refusal."""

    def stop(self, seconds: float) -> None:
        """End what runs, and wait at most `seconds` for it."""
