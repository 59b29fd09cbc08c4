"""What Batch's containers can ask: an address on loopback gives the credentials of the job's role, as ECS has one at 169.254.170.2, and
another one says how the containers of its task are."""

import secrets
from collections.abc import Callable
from typing import Any

from .calls import Refusal

PATH, TASK_PATH = "/v2/credentials/", "/v4/"
_VARIABLE = "AWS_CONTAINER_CREDENTIALS_FULL_URI"  # ECS's relative address is of a host that is not here
_TASK_VARIABLE = "ECS_CONTAINER_METADATA_URI_V4"


class TaskCredentials:
    """assume: the credentials of a role, as AssumeRole answers them. They are renewed each time they are asked for."""

    def __init__(self, url: str, assume: Callable[[str], dict[str, Any]]) -> None:
        self.url, self.assume = url, assume
        self._roles: dict[str, str] = {}  # by path, which nobody but the container knows
        self._tasks: dict[str, Callable[[], dict[str, Any]]] = {}  # the same

    def environment(self, role: str, region: str, task: Callable[[], dict[str, Any]]) -> dict[str, str]:
        """Environment variables of a container: the emulator's address, that of its task, and, if its job has a role, that of its
        credentials. task: tells of it."""
        own = f"{TASK_PATH}{secrets.token_urlsafe(24)}"
        self._tasks[f"{own}/task"] = task
        out = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            _TASK_VARIABLE: self.url + own,
        }
        if role:
            path = f"{PATH}{secrets.token_urlsafe(24)}"
            self._roles[path] = role
            out[_VARIABLE] = f"{self.url}{path}"
        return out

    def forget(self, environment: dict[str, str]) -> None:
        """The container has ended: its addresses give no more."""
        self._roles.pop(environment.get(_VARIABLE, "").removeprefix(self.url), None)
        self._tasks.pop(environment.get(_TASK_VARIABLE, "").removeprefix(self.url) + "/task", None)

    def answer(self, path: str) -> dict[str, Any]:
        """Raises Refusal for an address of no container that runs."""
        if task := self._tasks.get(path):
            return task()
        role = self._roles.get(path)
        if role is None:
            raise Refusal("AccessDenied", "no container has this address", 403)
        got = self.assume(role)
        names = {"AccessKeyId": "AccessKeyId", "SecretAccessKey": "SecretAccessKey", "Token": "SessionToken"}
        ends = got["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"RoleArn": role, "Expiration": ends, **{name: got[key] for name, key in names.items()}}
