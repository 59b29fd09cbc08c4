"""The credentials of Batch's containers: an address on loopback gives those of the job's role, as ECS has one at 169.254.170.2."""

import secrets
from collections.abc import Callable
from typing import Any

from .calls import Refusal

PATH = "/v2/credentials/"
_VARIABLE = "AWS_CONTAINER_CREDENTIALS_FULL_URI"  # ECS's relative address is of a host that is not here


class TaskCredentials:
    """assume: the credentials of a role, as AssumeRole answers them. They are renewed each time they are asked for."""

    def __init__(self, url: str, assume: Callable[[str], dict[str, Any]]) -> None:
        self.url, self.assume = url, assume
        self._roles: dict[str, str] = {}  # by path, which nobody but the container knows

    def environment(self, role: str, region: str) -> dict[str, str]:
        """Environment variables of a container: the emulator's address, and, if its job has a role, that of its credentials."""
        out = {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        if role:
            path = f"{PATH}{secrets.token_urlsafe(24)}"
            self._roles[path] = role
            out[_VARIABLE] = f"{self.url}{path}"
        return out

    def forget(self, environment: dict[str, str]) -> None:
        """The container has ended: its address gives no more."""
        self._roles.pop(environment.get(_VARIABLE, "").removeprefix(self.url), None)

    def answer(self, path: str) -> dict[str, str]:
        """Raises Refusal for an address of no container that runs."""
        role = self._roles.get(path)
        if role is None:
            raise Refusal("AccessDenied", "no container has this address for its credentials", 403)
        got = self.assume(role)
        names = {"AccessKeyId": "AccessKeyId", "SecretAccessKey": "SecretAccessKey", "Token": "SessionToken"}
        ends = got["Expiration"].strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"RoleArn": role, "Expiration": ends, **{name: got[key] for name, key in names.items()}}
