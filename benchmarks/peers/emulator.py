"""An emulator whose jobs never begin. Prints its environment, then counts of requests, and when the last job was accepted, as asked."""

import json
import sys
import time
from typing import Any

from simferry.emulator import Emulator, Faults

accepted: dict[str, Any] = {"last": 0.0, "created": 0}


def note(line: str) -> None:
    if "accepted" in line:
        accepted["last"] = time.time()
        accepted["created"] += 1
        accepted["requests"] = emulator.requests.copy()


emulator = Emulator(faults=Faults(start_seconds=1e6), on_event=note)
with emulator:
    print(json.dumps({**emulator.environment, "bucket": emulator.bucket}), flush=True)
    for line in sys.stdin:  # "count" asks how many, "accepted" up to the last job that was, "forget" begins anew
        if line.strip() == "forget":
            emulator.requests.clear()
            accepted["created"] = 0
        asked = accepted["requests"] if line.strip() == "accepted" else emulator.requests.copy()
        counts = {"control": 0, "s3": 0, "last": accepted["last"], "created": accepted["created"]}
        for (service, _), count in asked.items():
            counts["s3" if service == "s3" else "control"] += count
        print(json.dumps(counts), flush=True)
