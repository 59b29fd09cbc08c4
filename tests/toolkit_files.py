"""The training contract's files, as the service writes them, and where the toolkit is."""

import json
from pathlib import Path

from simferry.toolkit import Environment

TOOLKIT = Path(__file__).parents[1] / "python" / "simferry" / "toolkit"


def contract(root, hyperparameters=None, channels=(), hosts=("algo-1",)):
    """Writes them into a folder. Returns the environment that the toolkit finds there."""
    folder = root / "input" / "config"
    folder.mkdir(parents=True)
    (folder / "hyperparameters.json").write_text(json.dumps(hyperparameters or {}))
    (folder / "inputdataconfig.json").write_text(json.dumps({name: {"TrainingInputMode": "File"} for name in channels}))
    resources = {"current_host": hosts[-1], "hosts": [*hosts], "network_interface_name": "eth0"}
    (folder / "resourceconfig.json").write_text(json.dumps(resources))
    return Environment(str(root))
