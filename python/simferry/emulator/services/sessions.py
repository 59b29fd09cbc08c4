"""Session Manager's sessions: they are begun and ended. Nothing is connected, since no machine runs."""

import secrets
from collections.abc import Callable
from typing import Any

from ..calls import Call, Refusal


class Sessions:
    """runs: whether a region has an instance that runs."""

    def __init__(self, runs: Callable[[str, str], bool]) -> None:
        self.runs = runs
        self.open: set[str] = set()

    def answers(self, call: Call) -> bool:
        return call.service == "ssm" and call.operation in ("StartSession", "TerminateSession")

    def answer(self, call: Call) -> dict[str, Any]:
        if call.operation == "TerminateSession":
            self.open.discard(str(call.parameters.get("SessionId", "")))
            return {"SessionId": call.parameters.get("SessionId", "")}
        target = str(call.parameters.get("Target", ""))
        if not self.runs(call.region, target):
            raise Refusal("TargetNotConnected", f"{target} is not connected.")
        session = f"simferry-{secrets.token_hex(9)[:17]}"
        self.open.add(session)
        url = f"wss://localhost:1/v1/data-channel/{session}?role=publish_subscribe"  # nothing of AWS's is asked
        return {"SessionId": session, "TokenValue": secrets.token_urlsafe(48), "StreamUrl": url}

    def stop(self, seconds: float) -> None:
        pass
