"""The project around a script: its folder, and which of its files go along."""

import os
import subprocess

import pytest
from simferry.errors import SimulationError
from simferry.sweep import project
from simferry.sweep.simulation import Simulation
from sweeps import write


@pytest.fixture
def folder(tmp_path):
    """A project, of which git ignores output."""
    for name in ("R/h.R", "data/d.csv", "output/old.csv", ".env", ".env.local", "keys/id_rsa", "keys/server.pem", ".Renviron", ".Rprofile",
                 "renv/library/x.R", "renv/activate.R", "simferry-runs/r/run.json", ".venv/x.py", "venv/y.py", "study.Rproj"):  # fmt: skip
        write(tmp_path / "study", name, "x")
    write(tmp_path / "study", "sim/sim.R", "simulate <- function() 1")
    write(tmp_path / "study", ".gitignore", "output/\n*.Rproj\n")
    return tmp_path / "study"


def git(folder):
    subprocess.run(["git", "init", "-q", folder], check=True)


ALONG = [".gitignore", "R/h.R", "data/d.csv", "renv/activate.R", "sim/sim.R", "study.Rproj"]
SECRET = [".Renviron", ".env", ".env.local", "keys/id_rsa", "keys/server.pem"]


def test_what_git_ignores_and_what_is_secret_stays(folder):
    without = project.files_of(folder)
    git(folder)
    found = project.files_of(folder)
    assert sorted(found.files) == ALONG and found.secret == SECRET
    assert sorted(without.files) == sorted([*ALONG, "output/old.csv"]) and without.secret == SECRET
    assert found.size == sum((folder / name).stat().st_size for name in ALONG)
    assert "6 files of" in found.shown() and "credentials: .Renviron, .env, .env.local and 2 more" in found.shown()


def test_a_repository_in_a_project_and_a_project_in_an_ignored_folder(folder):
    git(folder)
    write(folder, "sub/code.R", "x")
    git(folder / "sub")
    assert "sub/code.R" in project.files_of(folder).files
    write(folder, "output/inner/code.R", "x")
    assert list(project.files_of(folder / "output" / "inner").files) == ["code.R"]


def test_where_git_cannot_tell_nothing_is_copied(folder, monkeypatch, tmp_path):
    git(folder)
    (folder / ".git" / "HEAD").unlink()
    with pytest.raises(SimulationError, match=r"git can't tell which files of .* it ignores: fatal"):
        project.files_of(folder)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SimulationError, match="git is not installed"):
        project.files_of(folder)


@pytest.mark.parametrize("with_git", [True, False])
def test_links_are_followed_within_the_project(folder, tmp_path, with_git):
    write(tmp_path, "elsewhere/big.csv", "x")
    links = {"R/again.R": "h.R", "there": "data", "out.csv": "../elsewhere/big.csv", "outside": "../elsewhere", "gone": "nowhere",
             "around": ".", "R/secret.R": "../.env"}  # fmt: skip
    for name, to in links.items():
        (folder / name).symlink_to(to)
    if with_git:
        git(folder)
    found = project.files_of(folder)
    assert {"R/again.R", "there/d.csv"} <= set(found.files)
    assert found.outside == ["out.csv", "outside"] and "R/secret.R" in found.secret
    assert not any(name.startswith(("around/around", "outside/", "gone")) or "big" in name for name in found.files)


def test_the_nearest_marked_folder_is_the_project(folder, tmp_path, monkeypatch):
    assert project.project_of(folder / "sim") == folder
    (folder / "sim" / ".here").touch()
    assert project.project_of(folder / "sim") == folder / "sim"
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".git").mkdir()  # of dot files
    (tmp_path / "other").mkdir()
    with pytest.raises(SimulationError, match=r"nor a folder above it has one of \.here, \.git") as error:
        project.project_of(tmp_path / "other")
    assert "An empty file .here" in error.value.hint
    (tmp_path / ".here").touch()
    assert project.project_of(tmp_path / "other") == tmp_path


def test_a_large_project_has_to_be_agreed_to(folder):
    with open(folder / "data" / "d.csv", "wb") as file:
        os.truncate(file.fileno(), 200_000_000)
    simulation = Simulation(folder / "sim" / "sim.R", project=True)
    with pytest.raises(SimulationError, match=r"files of .*study, 200 MB; .* the largest is data/d.csv") as error:
        simulation.files()
    assert "large_project=True" in f"{error.value.hint}"
    assert "study/data/d.csv" in Simulation(folder / "sim" / "sim.R", project=True, large_project=True).files()
