"""The git commit of a folder, with git itself."""

import subprocess

import pytest
import simferry as sf
from common import require
from simferry.system import git
from sweeps import write


@pytest.fixture
def project(tmp_path):
    require("git", git._said(tmp_path, "--version") is not None, "there is no git")
    folder = tmp_path / "project"
    script = write(folder, "simulate.py", "def simulate(): return 1\n")
    call(folder, "init", "--quiet")
    assert git.commit_of(folder) is None  # no commit yet
    commit(folder)
    return script


def call(folder, *words):
    own = ("-c", "user.name=x", "-c", "user.email=x", "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null")
    return subprocess.run(["git", "-C", folder, *own, *words], check=True, capture_output=True, text=True).stdout


def commit(folder):
    call(folder, "add", ".")
    call(folder, "commit", "--quiet", "-m", "x")


def test_a_commit_and_whether_its_files_are_unchanged(project, monkeypatch):
    folder = project.parent
    head = call(folder, "rev-parse", "HEAD").strip()
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as in a hook of another repository
    assert git.commit_of(folder, [project]) == {"commit": head, "clean": True}
    write(folder, "results/out.csv", "1\n")  # which git does not know
    assert git.commit_of(folder, [project]) == {"commit": head, "clean": True}
    new = write(folder, "-new file.py", "")
    assert git.commit_of(folder, [project, new]) == {"commit": head, "clean": False}
    assert not git.commit_of(folder, [write(folder, "simulat[e].py", "")])["clean"]  # no pattern
    monkeypatch.setattr(git, "AT_ONCE", 1)
    assert not git.commit_of(folder, [new, project])["clean"] and git.commit_of(folder, [project, project])["clean"]
    project.write_text("def simulate(): return 2\n")
    assert git.commit_of(folder) == {"commit": head, "clean": False}


def test_files_that_go_along_with_a_script_are_in_the_commit_of_a_clean_run(project, tmp_path):
    def clean(**options):
        run = sf.run(project, replications=1, seed=1, store=tmp_path / "runs", **options)
        return run.record["git"]["clean"]

    helper = write(project.parent, "helper.py", "x = 1\n")
    assert clean() and not clean(include=[helper])
    commit(project.parent)
    assert clean(include=[helper])


def test_nothing_is_said_without_git_or_a_repository(project, tmp_path, monkeypatch):
    assert git.commit_of(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git.commit_of(project.parent) is None


def test_git_may_take_too_long_and_starts_no_program_of_the_repository(project, tmp_path, monkeypatch):
    spy = write(tmp_path, "spy", f"#!/bin/sh\ntouch {tmp_path}/started\n")
    spy.chmod(0o755)
    call(project.parent, "config", "core.fsmonitor", str(spy))
    assert git.commit_of(project.parent, [project])["clean"] and not (tmp_path / "started").exists()
    slow = write(tmp_path / "bin", "git", '#!/bin/sh\ncase "$*" in *status*) exec sleep 9;; *) echo abc;; esac\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:/usr/bin:/bin")
    monkeypatch.setattr(git, "SECONDS", 0.2)
    assert git.commit_of(project.parent) == {"commit": "abc", "clean": None}
