"""What the container tests share: the engine, ready images, a registry. Without Docker they skip, or fail where it is required."""

import base64
import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
import uuid
from pathlib import Path

import pytest
from common import require
from simferry.containers import engine as engine_module
from simferry.containers import removal
from simferry.images import recipes as images
from simferry.images.infer import recipes
from toolkit_files import TOOLKIT

BASE = "debian:bookworm-slim"
# what htpasswd says of user "ferry", password "secret"
HTPASSWD = "ferry:$2b$04$48CAJhSSgSoGPBcqu.3WcuQkQfveZF4Gxg93y1B2ojCdFnfm9./iG\n"


@pytest.fixture(scope="session")
def engine():
    """The Docker engine's client."""
    try:
        client = engine_module.connect()
    except engine_module.EngineError as error:
        require("docker", False, f"{error.message} (make docker)")
    require("docker", bool(client.images.list(BASE)), f"there is no image {BASE} (make docker)")
    return client


def with_authorities(folder: Path) -> Path:
    """Put this machine's certificate authorities beside a Dockerfile: its network may have one of its own."""
    bundle = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    if bundle.is_file():
        shutil.copy(bundle, folder / "this-machine.crt")
    return folder


def ready_image(name: str, folder: Path) -> str:
    """The image of a recipe in containers/; built once, and kept."""
    shutil.copytree(recipes() / name, folder, dirs_exist_ok=True)
    return images.build(images.recipe(with_authorities(folder), f"simferry-test-{name}")).tag


@pytest.fixture(scope="session")
def image_r(engine, tmp_path_factory):
    """The image of containers/r."""
    return ready_image("r", tmp_path_factory.mktemp("r"))


@pytest.fixture(scope="session")
def image_python(engine, tmp_path_factory):
    """The image of containers/python."""
    return ready_image("python", tmp_path_factory.mktemp("python"))


@pytest.fixture(scope="session")
def image_octave(engine, tmp_path_factory):
    """The image of containers/octave."""
    return ready_image("octave", tmp_path_factory.mktemp("octave"))


@pytest.fixture(scope="session")
def image_sklearn(engine, tmp_path_factory):
    """The image of containers/sklearn."""
    return ready_image("sklearn", tmp_path_factory.mktemp("sklearn"))


SLOPE = """import os, time
def model_fn(folder):
    print("loading", os.listdir(folder), os.environ.get("MINE"), flush=True)
    return float(open(os.path.join(folder, "slope")).read())
def predict_fn(rows, slope):
    word = rows[0][-1]
    if word == "exit":
        os._exit(3)
    if word == "sleep":
        time.sleep(60)
    return [slope * row[0] for row in rows] if word != "much" else "x" * 7_000_000
"""


@pytest.fixture(scope="session")
def image_serve(engine, image_python):
    """An image of the hosting contract, made with the toolkit. Its model is a number in the file `slope`; a row whose last cell is
    exit, sleep or much lets it end, wait, or answer too much."""
    text = (
        f"FROM {image_python}\nCOPY simferry_toolkit /opt/simferry/simferry_toolkit\nENV PYTHONPATH=/opt/simferry\n"
        'COPY slope.py /opt/program/\nENTRYPOINT ["python3", "-m", "simferry_toolkit", "/opt/program/slope.py"]\n'
    )
    files = {f"simferry_toolkit/{path.name}": path.read_bytes() for path in TOOLKIT.glob("*.py")}
    files |= {"Dockerfile": text.encode(), "slope.py": SLOPE.encode()}
    return images.build(images.Recipe("simferry-test-serve", files)).tag


@pytest.fixture(scope="session")
def image_mpi(engine, tmp_path_factory):
    """The image of containers/mpi."""
    return ready_image("mpi", tmp_path_factory.mktemp("mpi"))


class Scrap:
    """Images that a test makes; all of them, and what they left, are removed after it."""

    def __init__(self, client, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.name = f"simferry-scrap-{uuid.uuid4().hex[:8]}"

    def recipe(self, dockerfile: str, **files: str | bytes) -> images.Recipe:
        """A recipe whose every layer is labelled, so that what it leaves can be found."""
        first, _, rest = dockerfile.partition("\n")
        text = f"{first}\nLABEL simferry.test={self.name}\n{rest}"
        content = {name: c.encode() if isinstance(c, str) else c for name, c in files.items()}
        return images.Recipe(self.name, {"Dockerfile": text.encode(), **content})

    def build(self, dockerfile: str, **files: str | bytes) -> str:
        return images.build(self.recipe(dockerfile, **files)).tag

    def left(self) -> list[str]:
        """Containers, and images without a name, that are here."""
        label = {"label": f"simferry.test={self.name}"}
        nameless = [i.id for i in self.client.images.list(filters={**label, "dangling": True})]
        return [*(c.id for c in self.client.containers.list(all=True, filters=label)), *nameless]

    def image_for(self, architecture: str) -> str:
        """An empty image that says to be for another architecture."""
        layer = io.BytesIO()
        tarfile.open(fileobj=layer, mode="w").close()
        diff = f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"
        config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [diff]},
            }
        ).encode()
        manifest = [{"Config": "config.json", "RepoTags": [f"{self.name}:{architecture}"], "Layers": ["layer.tar"]}]
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, content in (
                ("config.json", config),
                ("layer.tar", layer.getvalue()),
                ("manifest.json", json.dumps(manifest).encode()),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        self.client.images.load(out.getvalue())
        return f"{self.name}:{architecture}"

    def remove(self) -> None:
        for image in self.client.images.list():
            for tag in image.tags:
                if self.name in tag:
                    self.client.images.remove(tag, force=True)
        for image in self.client.images.list(filters={"label": f"simferry.test={self.name}"}):  # known by a digest
            self.client.images.remove(image.id, force=True)


@pytest.fixture
def scrap(engine, tmp_path):
    made = Scrap(engine, tmp_path)
    yield made
    made.remove()


class Registry:
    """Debian's docker-registry on a free port of 127.0.0.1. login: refuse all but ferry:secret."""

    def __init__(self, folder: Path, login: bool = False) -> None:
        program = shutil.which("docker-registry")
        require("docker", program is not None, "docker-registry is not installed (make docker)")
        folder.mkdir()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.host = f"127.0.0.1:{port}"
        config = {
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": self.host},
        }
        if login:
            (folder / "htpasswd").write_text(HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
        (folder / "config.yml").write_text(json.dumps(config))
        with open(folder / "log", "w") as log:
            self.process = subprocess.Popen([program, "serve", folder / "config.yml"], stdout=log, stderr=log)
        until = time.monotonic() + 20
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        pytest.fail(f"docker-registry does not start: {(folder / 'log').read_text()}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def registry(engine, tmp_path):
    """Starts registries: registry() or registry(login=True)."""
    started = []

    def start(login: bool = False) -> Registry:
        started.append(Registry(tmp_path / f"registry-{len(started)}", login))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def docker_config(folder: Path, host: str, login: str) -> Path:
    """A folder for DOCKER_CONFIG, as `docker login` leaves it."""
    folder.mkdir(exist_ok=True)
    auth = base64.b64encode(login.encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return folder


def left_behind(engine, owner: str) -> list[str]:
    """Containers and networks of a run that are still there."""
    labels = {"label": f"{removal.OWNER}={owner}"}
    found = [c.name for c in engine.containers.list(all=True, filters=labels, ignore_removed=True)]
    return found + [n.name for n in engine.networks.list(filters=labels)]


DOCKERFILE = "FROM debian:bookworm-slim\nCOPY note.txt /note.txt\nRUN cat /note.txt\n"


def folder_with(path, **files):
    path.mkdir(parents=True)
    for name, content in {"Dockerfile": DOCKERFILE, "note.txt": "hello\n", **files}.items():
        (path / name).write_text(content)
    return path
