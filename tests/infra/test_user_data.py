"""The script that sets up RStudio's machine, in a container of Debian with the real R, Python and Docker packages.

Stand-ins: RStudio's package, which is fetched and checked as the real one; systemctl, since no systemd runs in containers. The emulator is
on this machine's loopback, which the container shares.
"""

import base64
import email
import hashlib
import io
import os
import re
import subprocess
import tarfile
import time
from pathlib import Path

import boto3
import pytest
from docker_fixtures import BASE, with_authorities
from simferry import __version__
from simferry.emulator.templates import Scope, Template
from simferry.images import recipes as images
from simferry.infra import package, templates

# what takes long is installed once, and the image kept: the lists of packages are those of the script and of simferry
DOCKERFILE = """FROM {base}
COPY *.crt /usr/local/share/ca-certificates/
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends {debian} >/dev/null \\
 && update-ca-certificates && python3 -m venv /opt/simferry/python \\
 && /opt/simferry/python/bin/pip install --quiet --cert /etc/ssl/certs/ca-certificates.crt boto3 {python}
"""
CONTROL = "Package: rstudio-server\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.org>\nDescription: stands in\n"
DONE = """set -e
printf '#!/bin/sh\\necho "$@" >>/tmp/systemctl\\n' >/usr/local/bin/systemctl; chmod 755 /usr/local/bin/systemctl
bash /w/setup.sh
id rstudio; cat /tmp/systemctl /etc/rstudio/rserver.conf /home/rstudio/.aws/config
su rstudio -c "cd; Rscript -e 'library(simferry); simferry_doctor()'; simferry infra --help"
grep '^rstudio:' /etc/shadow | cut -d: -f2 >/tmp/first; bash /w/setup.sh >/dev/null
grep '^rstudio:' /etc/shadow | cut -d: -f2 | cmp -s - /tmp/first || echo another password
"""


def script(values, reference="http://127.0.0.1:1/"):
    """The shell script in the user data, with its parameters filled in."""
    template = Template(templates.template("rstudio"))
    known = {**template.values({"AcceptLicence": "yes"}), **values}
    scope = Scope(
        template, known, ("simferry-rstudio", "arn", "us-east-1"), lambda name: reference,
        lambda *name: "1", lambda name: "Submitter",
    )  # fmt: skip
    data = scope.value(template.resources["Instance"]["Properties"]["UserData"])
    assert len(base64.b64decode(data)) <= 16_384  # the most that EC2 takes
    configuration, setup = email.message_from_bytes(base64.b64decode(data)).get_payload()
    assert "[scripts-user, always]" in configuration.get_payload()
    assert configuration.get_content_type() == "text/cloud-config" and setup.get_content_type() == "text/x-shellscript"
    return setup.get_payload()


def test_it_is_a_script_without_secrets(tmp_path):
    text = script({"IdleMinutes": "30", "Package": "git+https://example.org/simferry"})
    assert text.startswith("#!/bin/bash\n") and "IDLE_MINUTES='30'" in text and "${" not in text
    assert "PACKAGE='git+https://example.org/simferry'" in text
    path = tmp_path / "setup.sh"
    path.write_text(text)
    subprocess.run(["bash", "-n", path], check=True)


class Idle:
    """The script that stops an idle machine, in folders of its own; systemctl, rstudio-server and the like note that they are called."""

    def __init__(self, root):
        self.root = root
        for name in ("etc", "run", "pts", "bin", "home/rstudio/.local/share/rstudio/log"):
            (root / name).mkdir(parents=True)
        for name in ("systemctl", "rstudio-server", "logger", "pgrep"):
            path = root / "bin" / name
            path.write_text(f'#!/bin/sh\necho {name} "$@" >>{root}/called\n')
            path.chmod(0o755)
        (root / "etc" / "idle-minutes").write_text("60\n")
        self.load("0.01")
        text = re.search(r"<<'END'\n(#!/bin/bash\n.*?)\nEND\n", script({}), re.DOTALL)[1]
        for there, here in (
            ("/etc/simferry", "etc"),
            ("/run/", "run/"),
            ("/proc/loadavg", "load"),
            ("/dev/pts -type c", "pts -type f"),
            ("/home/", "home/"),
        ):
            text = text.replace(there, f"{root}/{here}")
        (root / "idle").write_text(text)
        self.used = root / "run" / "simferry-used"

    def load(self, value):
        (self.root / "load").write_text(f"{value} 0.00 0.00 1/100 1\n")

    def stops(self, minutes_without_use):
        """Whether the machine is stopped, that many minutes after its last use."""
        called = self.root / "called"
        called.unlink(missing_ok=True)
        then = time.time() - 60 * minutes_without_use - 1
        os.utime(self.used, (then, then))
        subprocess.run(["bash", self.root / "idle"], check=True, env={"PATH": f"{self.root}/bin:/usr/bin:/bin"})
        return called.exists() and "rstudio-server suspend-all\nsystemctl poweroff\n" in called.read_text()


def test_a_machine_that_is_not_used_stops(tmp_path):
    idle = Idle(tmp_path / "machine")
    idle.used.touch()
    assert not idle.stops(100)  # just started: nothing is known of simferry's processor time
    assert not idle.stops(59) and idle.stops(61)
    idle.load("0.35")
    assert not idle.stops(100) and time.time() - idle.used.stat().st_mtime < 60
    idle.load("0.01")
    assert idle.stops(100)
    (idle.root / "etc" / "idle-minutes").write_text("120\n")
    assert not idle.stops(100)
    (idle.root / "etc" / "idle-minutes").write_text("60\n")
    data = idle.root / "home" / "rstudio" / ".local" / "share" / "rstudio"
    (data / "log" / "rsession.log").touch()
    assert idle.stops(100)  # nobody's doing


@pytest.mark.parametrize("what", ["pts/0", "home/rstudio/.local/share/rstudio/history", "ticks"])
def test_a_machine_that_is_used_does_not_stop(tmp_path, what):
    idle = Idle(tmp_path / "machine")
    idle.used.touch()
    idle.stops(0)
    assert idle.stops(100)
    if what == "ticks":  # a process of simferry that has worked
        (idle.root / "bin" / "pgrep").write_text(f"#!/bin/sh\necho {os.getpid()}\n")
        assert not idle.stops(100)
        return
    (idle.root / what).touch()
    assert not idle.stops(100)


@pytest.fixture
def rstudio_package(tmp_path):
    folder = tmp_path / "deb"
    (folder / "DEBIAN").mkdir(parents=True)
    (folder / "DEBIAN" / "control").write_text(CONTROL)
    path = tmp_path / "rstudio-server.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", folder, path], check=True, capture_output=True)
    return path.read_bytes()


@pytest.fixture
def machine(engine, tmp_path):
    """Runs shell code in a new machine with these files in /w; gives status and output."""
    text = script({})
    debian = re.search(r"apt install (ca-certificates.*?sudo)\n", text.replace("\\\n", " "), re.DOTALL)[1]
    project = Path(__file__).parents[2] / "pyproject.toml"
    needed = re.search(r"\ndependencies = \[\n(.*?)\n\]", project.read_text(), re.DOTALL)[1]
    python = " ".join(f"'{one}'" for one in re.findall(r'"([a-z]+>=[\d.]+)"', needed))
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "Dockerfile").write_text(DOCKERFILE.format(base=BASE, debian=debian, python=python))
    image = images.build(images.recipe(with_authorities(folder), "simferry-test-machine")).tag
    made = []

    def run(code, files, environment):
        container = engine.containers.create(
            image, ["bash", "-c", code], network_mode="host", environment=environment, user="root", entrypoint=""
        )
        made.append(container)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, content in files.items():
                entry = tarfile.TarInfo(f"w/{name}")
                entry.size, entry.mode = len(content), 0o644
                archive.addfile(entry, io.BytesIO(content))
        container.put_archive("/", packed.getvalue())
        container.start()
        status = container.wait(timeout=600)["StatusCode"]
        return status, container.logs().decode(errors="replace")

    yield run
    for container in made:
        container.remove(force=True)


def test_it_runs_to_its_end_and_again(emulator, machine, rstudio_package):
    key = f"simferry-package/1/{package.FILE}"
    boto3.client("s3").put_object(Bucket=emulator.bucket, Key=key, Body=package.wheel())
    given = {
        "Package": f"s3://{emulator.bucket}/{key}", "RStudioPackage": "file:///w/rstudio-server.deb",
        "RStudioChecksum": hashlib.sha256(rstudio_package).hexdigest(),
    }  # fmt: skip
    text = script(given).replace("simferry[design,docker,sagemaker]", "simferry")  # half a GB
    files = {"setup.sh": text.encode(), "rstudio-server.deb": rstudio_package}
    status, said = machine(DONE, files, emulator.environment)
    assert status == 0, said[-3000:]
    lines = said.splitlines()
    assert {f"ok  R package simferry: {__version__}", f"ok  simferry: {__version__}"} <= {*lines}
    assert "www-address=127.0.0.1" in lines and "another password" in lines
    assert "enable --now simferry-idle.timer" in lines and "restart rstudio-server" in lines
    assert "role_arn = arn:aws:iam::123456789012:role/Submitter" in lines
    assert re.search(r"groups=.*sudo.*docker|groups=.*docker.*sudo", said)
    which = {"Name": "/simferry/simferry-rstudio/password"}
    kept = boto3.client("ssm").get_parameter(**which, WithDecryption=True)["Parameter"]
    assert kept["Type"] == "SecureString" and len(kept["Value"]) == 24 and kept["Value"] not in said

    other = script({**given, "Package": "", "RStudioChecksum": "0" * 64})
    status, said = machine(
        "printf '#!/bin/sh\\n' >/usr/local/bin/systemctl; chmod 755 /usr/local/bin/systemctl; bash /w/setup.sh",
        {**files, "setup.sh": other.encode()}, emulator.environment,
    )  # fmt: skip
    assert status == 1 and "rstudio.deb: FAILED" in said and "Setting up rstudio-server" not in said
