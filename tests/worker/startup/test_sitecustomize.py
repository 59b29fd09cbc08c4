"""The hook that Python loads at its start."""

import json
import os
import random

from sweeps import write


def test_scripts_find_everything_as_without_simferry(tmp_path, good):
    code = """
import sys
plain = [m for m in ("random", "numpy", "threading", "hashlib") if m in sys.modules]
import json, os, random, secrets, tempfile, uuid
seen = {"path": [p for p in sys.path if "startup" in p], "argv": sys.argv[1:], "modules": plain, "site": sys.modules["sitecustomize"].here}
seen["system"] = [random.Random().random(), random.SystemRandom().random(), secrets.randbits(64), str(uuid.uuid4()), tempfile.mkdtemp()]
random.seed(1)
seen["seeded"] = random.random()
json.dump(seen, open("r.json", "w"))
"""
    write(tmp_path, "site/sitecustomize.py", "here = 'displaced'")
    before = os.environ.get("PYTHONPATH")
    try:
        os.environ["PYTHONPATH"] = str(tmp_path / "site")
        runs = [good(write(tmp_path, "s.py", code), args="a {replication}", replications=1) for _ in range(2)]
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
    first, second = (json.loads(run.artifacts(1, 1)[0].read_text()) for run in runs)
    assert [first[name] for name in ("path", "argv", "modules", "site")] == [[], ["a", "1"], [], "displaced"]
    assert not any(a == b for a, b in zip(first["system"], second["system"], strict=True))
    assert first["seeded"] == second["seeded"] == random.Random(1).random()
