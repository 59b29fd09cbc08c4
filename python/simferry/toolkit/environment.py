"""What a job of the training contract finds out about itself, from the contract's files: hosts, channels, hyperparameters, folders.

Its names are those of SageMaker's own training toolkit: SM_HOSTS, SM_CHANNEL_TRAINING, SM_HP_GAIN ...
"""

from __future__ import annotations

import glob
import json
import math
import os
import re
from typing import Any

BASE = "SAGEMAKER_BASE_DIR"  # the contract's folder, if it is not /opt/ml
OWN_CHANNELS = "simferry_"  # begins the names of channels with code, which are no inputs of the user
TYPES = "SIMFERRY_TYPES"  # JSON: types of the hyperparameters whose text does not show them
_NOT_FINITE = {"NA": None, "NaN": math.nan, "Inf": math.inf, "-Inf": -math.inf}


class ContractError(Exception):
    """A file of the contract can't be read."""


class Environment:
    """A job's environment. root: the contract's folder [$SAGEMAKER_BASE_DIR, or /opt/ml].

    hyperparameters: typed, by name. texts: the same as the service gave them. hosts: names, sorted; current_host: this one's.
    channels: folder of each input by its name. Raises ContractError if a file of the contract is damaged.
    """

    def __init__(self, root: str = "") -> None:
        self.root = root or os.environ.get(BASE, "/opt/ml")
        self.input_dir = os.path.join(self.root, "input")
        self.config_dir = os.path.join(self.input_dir, "config")
        self.model_dir = os.path.join(self.root, "model")
        self.output_dir = os.path.join(self.root, "output")
        self.output_data_dir = os.path.join(self.output_dir, "data")
        self.checkpoint_dir = os.path.join(self.root, "checkpoints")
        self.failure_file = os.path.join(self.output_dir, "failure")
        self.resources = self._config("resourceconfig.json")
        self.input_config = self._config("inputdataconfig.json")
        self.texts = self._config("hyperparameters.json")
        types = json.loads(os.environ.get(TYPES) or "{}")
        self.hyperparameters = {name: typed(text, types.get(name, "")) for name, text in self.texts.items()}
        self.current_host = str(self.resources.get("current_host", "algo-1"))
        self.hosts = [str(host) for host in self.resources.get("hosts", [self.current_host])]
        names = [name for name in sorted(self.input_config) if not name.startswith(OWN_CHANNELS)]
        self.channels = {name: os.path.join(self.input_dir, "data", name) for name in names}

    def _config(self, name: str) -> dict[str, Any]:
        """The object in a file of the contract; empty if there is none."""
        path = os.path.join(self.config_dir, name)
        try:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ContractError(f"{path} can't be read: {error}") from None
        if not isinstance(found, dict):
            raise ContractError(f"{path} holds no JSON object")
        return found

    @property
    def arguments(self) -> list[str]:
        """The hyperparameters as a script's arguments: --name value, sorted by name."""
        out = []
        for name, value in sorted(self.hyperparameters.items()):
            out += [f"-{name}" if len(name) == 1 else f"--{name}", _as_argument(value)]
        return out

    def variables(self) -> dict[str, str]:
        """The SM_ variables. What is no text is JSON. Names with - or . are there with _ as well: shells know no others."""
        known: dict[str, Any] = {
            "HOSTS": self.hosts,
            "CURRENT_HOST": self.current_host,
            "CURRENT_INSTANCE_TYPE": self.resources.get("current_instance_type", "local"),
            "NETWORK_INTERFACE_NAME": self.resources.get("network_interface_name", "eth0"),
            "NUM_CPUS": number_of_cpus(),
            "NUM_GPUS": len(glob.glob("/dev/nvidia[0-9]*")),
            "MODEL_DIR": self.model_dir,
            "INPUT_DIR": self.input_dir,
            "INPUT_CONFIG_DIR": self.config_dir,
            "OUTPUT_DIR": self.output_dir,
            "OUTPUT_DATA_DIR": self.output_data_dir,
            "CHANNELS": sorted(self.channels),
            "RESOURCE_CONFIG": self.resources,
            "INPUT_DATA_CONFIG": self.input_config,
            "HPS": self.hyperparameters,
            "USER_ARGS": self.arguments,
        }
        out = {f"SM_{name}": _as_text(value) for name, value in known.items()}
        out["SM_TRAINING_ENV"] = _as_text({name.lower(): value for name, value in known.items()})
        for prefix, values in (("SM_CHANNEL_", self.channels), ("SM_HP_", self.hyperparameters)):
            for name, value in values.items():
                full = prefix + name.upper()
                out[full] = _as_text(value)
                out.setdefault(re.sub("[^A-Z0-9_]", "_", full), out[full])
        return out


def typed(text: Any, kind: str = "") -> Any:
    """The value of a hyperparameter: JSON where it is that, else the text. kind: number, integer, logical or string, if known."""
    if kind == "string" or not isinstance(text, str):
        return text
    if kind and text in _NOT_FINITE:
        return _NOT_FINITE[text]
    try:
        return json.loads(text)
    except ValueError:
        return text


def number_of_cpus() -> int:
    """The CPUs that this container may use: its limit, where it has one, counts and not the machine."""
    known = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return max(1, min(len(known), math.ceil(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return len(known)


def _as_argument(value: Any) -> str:
    return str(value) if isinstance(value, bool) else _as_text(value)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
