"""An emulator whose jobs never begin. Prints its environment, then a line for every request counted: the time and the counts."""

import json
import sys
import time

from simferry.emulator import Emulator, Faults


def tell(line: str) -> None:
    counts = {"control": 0, "s3": 0, "created": emulator.requests["sagemaker", "CreateProcessingJob"]}
    for (service, _), count in emulator.requests.items():
        counts["s3" if service == "s3" else "control"] += count
    print(json.dumps({"time": time.time(), **counts}), flush=True)


emulator = Emulator(faults=Faults(start_seconds=1e6), on_event=tell)
with emulator:
    print(json.dumps({**emulator.environment, "bucket": emulator.bucket}), flush=True)
    for line in sys.stdin:  # "count" asks how many, "forget" begins anew
        if line.strip() == "forget":
            emulator.requests.clear()
        tell(line)
