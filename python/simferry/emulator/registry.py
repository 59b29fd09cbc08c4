"""The registry behind the emulated ECR, for `docker login` and `docker push`: the program docker-registry, or its image in Docker.

It listens on loopback, and takes only the password that GetAuthorizationToken gives. It starts when ECR is first asked.
"""

import base64
import contextlib
import json
import secrets
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from ..containers.engine import EngineError, ImageError
from ..containers.removal import OWNER
from ..system.processes import identity
from .calls import ACCOUNT, Call, Refusal
from .machine import Machine

PROGRAMS = ("docker-registry", "registry")
IMAGE = "registry:2"  # used where none of the programs is installed
USER = "AWS"
HOURS = 12  # as AWS's passwords last; this one lasts as long as the emulator
START_SECONDS = 20
LAYERS = "/simferry-emulator/layers/"
_MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json"
)


def _program() -> str | None:
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Registry:
    """host: such as 127.0.0.1:40123. url: the emulator's."""

    def __init__(self, machine: Machine, url: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.host = f"127.0.0.1:{free.getsockname()[1]}"
        self.machine, self.url, self.password = machine, url, secrets.token_urlsafe(30)
        self._layers: dict[
            str, tuple[str, str]
        ] = {}  # repositories and digests of layers, by paths that nobody can guess
        self._process: subprocess.Popen[bytes] | None = None
        self._container: Any = None
        self._seen: set[tuple[str, str, str]] = set()
        self._starting = threading.Lock()
        machine.registry, machine.bring_back = self.host, self.bring_back

    # ---- the service ----

    def answers(self, call: Call) -> bool:
        return call.service == "ecr" and call.operation in ("GetAuthorizationToken", "GetDownloadUrlForLayer")

    def answer(self, call: Call) -> dict[str, Any]:
        if call.operation == "GetDownloadUrlForLayer":
            return self._address_of_layer(**call.parameters)
        self.start()
        token = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        expires = time.time() + 3600 * HOURS
        one = {"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": f"http://{self.host}"}
        return {"authorizationData": [one for _ in call.parameters.get("registryIds") or [ACCOUNT]]}

    def _address_of_layer(self, repositoryName: str, layerDigest: str, **_: Any) -> dict[str, Any]:
        """Where a layer, or the configuration of an image, can be read without a signature."""
        if not self._blob(repositoryName, layerDigest):
            raise Refusal(
                "LayersNotFoundException",
                f"One or more of the layers does not exist in the repository with name '{repositoryName}' "
                f"in the registry with id '{ACCOUNT}'",
            )
        secret = f"{LAYERS}{secrets.token_urlsafe(24)}"
        self._layers[secret] = (repositoryName, layerDigest)
        return {"downloadUrl": f"{self.url}{secret}", "layerDigest": layerDigest}

    def layer(self, path: str) -> bytes | None:
        """The content at an address that GetDownloadUrlForLayer has given; None for another address."""
        found = self._layers.get(path)
        return self._blob(*found) if found else None

    def _blob(self, repository: str, digest: str) -> bytes:
        """What was pushed; empty if there is no such thing. simferry pushes no layers to the emulator: of an image that the engine has,
        it is what the engine says of it."""
        if self._runs() and (pushed := self._get(f"{repository}/blobs/{digest}")):
            return pushed
        with contextlib.suppress(Exception):  # without Docker, or without the image
            told = self.machine.client.images.get(digest).attrs
            if told["Id"] == digest:
                return json.dumps(
                    {"architecture": told["Architecture"], "os": told["Os"], "config": told["Config"]}
                ).encode()
        return b""

    def in_place(self, content: bytes, region: str) -> bytes:
        """moto's answer, with this registry's host in place of AWS's in the URIs of repositories."""
        return content.replace(f'"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/'.encode(), f'"{self.host}/'.encode())

    def pushed(self, repository: str) -> Iterator[tuple[str, str]]:
        """Tag and manifest of each image that was pushed here since the last call."""
        if not self._runs():
            return
        for tag in json.loads(self._get(f"{repository}/tags/list") or b"{}").get("tags") or []:
            manifest = self._get(f"{repository}/manifests/{tag}").decode()
            if manifest and (repository, tag, manifest) not in self._seen:
                self._seen.add((repository, tag, manifest))
                yield tag, manifest

    def bring_back(self, repository: str, reference: str) -> str:
        """Pull an image that was pushed here into the engine, which has lost it. Returns its id; empty if it is not here either."""
        import docker.errors

        if not self._runs() or not self._get(f"{repository}/manifests/{reference}"):
            return ""
        login = {"username": USER, "password": self.password}
        try:
            image = self.machine.client.images.pull(f"{self.host}/{repository}", tag=reference, auth_config=login)
        except docker.errors.APIError as error:
            raise ImageError(f"it can't be pulled from the emulated ECR: {error.explanation or error}") from None
        return str(image.id)

    def _get(self, path: str) -> bytes:
        """The registry's answer; empty if it has no such thing."""
        login = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Accept": _MANIFESTS}
        asked = urllib.request.Request(f"http://{self.host}/v2/{path}", headers=headers)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=10) as answer:
                return bytes(answer.read())
        except (urllib.error.URLError, OSError):
            return b""

    # ---- start and end ----

    def _runs(self) -> bool:
        return self._container is not None or (self._process is not None and self._process.poll() is None)

    def is_there(self) -> bool:
        """Whether the program or its image is on this machine."""
        return self._runs() or _program() is not None or self._image_is_here

    @cached_property
    def _image_is_here(self) -> bool:
        with contextlib.suppress(Exception):  # without Docker nobody pushes
            return bool(self.machine.client.images.list(IMAGE))
        return False

    def start(self) -> None:
        """Start the registry, unless it runs. Raises Refusal if neither the program nor its image is there."""
        with self._starting:
            if not self._runs():
                self._start()

    def _start(self) -> None:
        import bcrypt

        folder = self.machine.folder / "registry"
        folder.mkdir(exist_ok=True)
        (folder / "data").mkdir(exist_ok=True)
        known = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(4)).decode()
        (folder / "htpasswd").write_text(f"{USER}:{known}\n")
        if program := _program():
            self._start_program(program, folder)
        else:
            self._start_container(folder)
        self._wait_until_it_answers()

    def _start_program(self, program: str, folder: Path) -> None:
        config = self._configuration(self.host, folder, folder)
        (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
        with open(folder / "log", "w") as log:
            self._process = subprocess.Popen(
                [program, "serve", str(folder / "config.yml")], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        (folder / "registry.json").write_text(json.dumps(identity(self._process.pid)))

    def _start_container(self, folder: Path) -> None:
        import docker.errors

        config = self._configuration("0.0.0.0:5000", Path("/simferry"), Path("/var/lib/registry"))
        (folder / "config.yml").write_text(json.dumps(config))
        try:
            self._container = self.machine.client.containers.run(
                IMAGE, ["serve", "/simferry/config.yml"], detach=True, labels={OWNER: self.machine.owner},
                ports={"5000/tcp": ("127.0.0.1", int(self.host.rpartition(":")[2]))},
                volumes={str(folder): {"bind": "/simferry", "mode": "ro"}},
            )  # fmt: skip
        except (docker.errors.DockerException, EngineError) as error:
            why = str(getattr(error, "explanation", "") or error).partition("\n")[0]
            raise Refusal(
                "ServerException",
                f"simferry's emulator has no registry: neither the program docker-registry nor the image {IMAGE} ({why}). "
                "Install docker-registry (Debian, Ubuntu: apt-get install docker-registry).",
            ) from None

    def _configuration(self, address: str, settings: Path, data: Path) -> dict[str, Any]:
        return {
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(data / "data")}},
            "http": {"addr": address},
            "auth": {"htpasswd": {"realm": "simferry emulator", "path": str(settings / "htpasswd")}},
        }

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._runs():
            if self._get("") or self._get("_catalog"):
                return
            time.sleep(0.05)
        self.stop()
        raise Refusal("ServerException", "simferry's emulator has a registry that does not start", 500)

    def stop(self, seconds: float = 10) -> None:
        """End the registry. What was pushed is in the machine's folder, which the emulator removes."""
        if self._container is not None:
            with contextlib.suppress(Exception):
                self._container.remove(force=True, v=True)
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            if self._process.poll() is None:
                self._process.kill()
        self._process = self._container = None
