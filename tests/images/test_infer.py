"""What a script needs, found in its text; and the Dockerfile that is made of it."""

import json

import pytest
from docker_fixtures import with_authorities
from simferry.containers.engine import run_once
from simferry.errors import SimulationError, UsageError
from simferry.images import recipes as images
from simferry.images.infer import python_packages, r_packages, recipe_for, write_recipe


@pytest.mark.parametrize(
    "code, packages",
    [
        ("library(lme4)", ["lme4"]),
        ("library('lme4'); require(\"survival\")", ["lme4", "survival"]),
        ("suppressPackageStartupMessages(library(data.table))", ["data.table"]),
        ("if (!requireNamespace('jsonlite', quietly = TRUE)) stop()", ["jsonlite"]),
        ('loadNamespace(package = "mvtnorm")', ["mvtnorm"]),
        ("x <- MASS::mvrnorm(10, mu, Sigma); y <- lavaan:::lav_model(x)", ["lavaan", "MASS"]),
        ("foreach(i = 1:10, .packages = c('lme4', \"nlme\")) %dopar% f(i)", ["lme4", "nlme"]),
        ("foreach(i = 1:10, .packages = 'lme4') %dopar% f(i)", ["lme4"]),
        ("parallel::mclapply(x, f); stats::rnorm(1); library(splines)", []),
        ("# library(lme4)\nx <- 1  # lavaan::sem()", []),
        ("x <- '#'; library(lme4)", ["lme4"]),
        ("message('install it: library(lme4), or lme4::lmer')", []),
        ('message("say \\"library(lme4)\\"")', []),
        ('x <- r"(library(lme4) "quoted" nlme::lme)"; library(boot)', ["boot"]),
        ("for (p in packages) library(p, character.only = TRUE)", []),
        ("library()", []),
    ],
)
def test_r_packages(code, packages):
    assert r_packages(code) == packages


@pytest.mark.parametrize(
    "code, packages",
    [
        ("import numpy as np\nfrom scipy import stats", ["numpy", "scipy"]),
        ("import os, json\nfrom pathlib import Path\nfrom __future__ import annotations", []),
        ("def f():\n    import statsmodels.api as sm", ["statsmodels"]),
        ("import sklearn.linear_model, yaml", ["pyyaml", "scikit-learn"]),
        ("# import lifelines\ntext = 'import lifelines'", []),
        ("import helpers\nfrom . import siblings", ["patsy"]),
        ("from tools.inner import f", ["networkx"]),
        ("import simferry", []),
    ],
)
def test_python_packages(tmp_path, code, packages):
    (tmp_path / "helpers.py").write_text("import helpers, patsy\n")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "inner.py").write_text("import networkx\n")
    assert [p.lower() for p in python_packages(code, tmp_path)] == packages


def script(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def dockerfile(recipe) -> str:
    return recipe.files["Dockerfile"].decode()


def test_a_recipe_for_r(tmp_path):
    script(tmp_path, "helpers.R", "library(mvtnorm)\n")
    made = recipe_for(script(tmp_path, "My sweep.R", "library(foreach)\nsource('helpers.R')\n"), packages=["boot"])
    assert made.name == "simferry-my-sweep"
    assert set(made.files) == {"Dockerfile", "install.sh"}
    text = dockerfile(made)
    assert text.startswith("# An image in which My sweep.R can run.")
    assert "ARG BASE=debian:bookworm-slim\nFROM ${BASE}\n" in text
    assert "RUN sh /tmp/recipe/install.sh foreach mvtnorm boot\n" in text
    assert text.endswith('USER simulation\nWORKDIR /home/simulation\nENTRYPOINT ["Rscript"]\n')


def test_a_recipe_for_python(tmp_path):
    made = recipe_for(script(tmp_path, "sweep.py", "import scipy\n"))
    assert made.files["requirements.txt"] == b"scipy\nnumpy\njoblib\ncloudpickle\n"
    assert dockerfile(made).endswith('ENTRYPOINT ["python3"]\n')


def test_a_recipe_for_octave(tmp_path):
    script(tmp_path, "fitted.m", "function y = fitted(x)\npkg load optim\ny = x;\nend\n")
    made = recipe_for(script(tmp_path, "power.m", "function p = power(n)\npkg load statistics\np = fitted(n);\nend\n"))
    text = dockerfile(made)
    assert made.name == "simferry-power" and set(made.files) == {"Dockerfile", "install.sh"}
    assert "RUN sh /tmp/recipe/install.sh statistics optim\n" in text and text.endswith('ENTRYPOINT ["octave-cli"]\n')
    with pytest.raises(SimulationError, match=r"'a;b' is no Octave package's name"):
        recipe_for(tmp_path / "power.m", packages=["a;b"])


def test_requirements_win(tmp_path):
    script(tmp_path, "requirements.txt", "NumPy==1.26.4\nstatsmodels>=0.14  # the last line has no end")
    made = recipe_for(script(tmp_path, "sweep.py", "import scipy\n"))
    assert made.files["requirements.txt"].decode().splitlines() == [
        "NumPy==1.26.4",
        "statsmodels>=0.14  # the last line has no end",
        "joblib",
        "cloudpickle",
    ]


def test_renv_lock_wins(tmp_path):
    script(tmp_path, "renv.lock", json.dumps({"R": {"Version": "4.3.1"}, "Packages": {}}))
    made = recipe_for(script(tmp_path, "sweep.R", "library(lme4)\n"))
    text = dockerfile(made)
    assert "ARG BASE=rocker/r-ver:4.3.1\n" in text and "renv::restore(lockfile = '/tmp/recipe/renv.lock'" in text
    assert "lme4" not in text and "renv.lock" in made.files


def test_a_renv_lock_that_is_none(tmp_path):
    script(tmp_path, "renv.lock", "{}")
    with pytest.raises(SimulationError, match="does not say which R"):
        recipe_for(script(tmp_path, "sweep.R", ""))


def test_a_script_that_is_not_there(tmp_path):
    script(tmp_path, "sweep.R", "")
    with pytest.raises(SimulationError) as caught:
        recipe_for(tmp_path / "sweeep.R")
    assert caught.value.hint == "Did you mean sweep.R?"


def test_a_script_that_python_cant_read(tmp_path):
    with pytest.raises(SimulationError, match=r"can't be found out: .* \(the script, line 2\)"):
        recipe_for(script(tmp_path, "sweep.py", "import numpy\ndef f(:\n"))


def test_a_dockerfile_that_was_changed_by_hand_is_kept(tmp_path):
    path, kept = script(tmp_path, "sweep.R", "library(lme4)\n"), tmp_path / "sweep.image"
    write_recipe(recipe_for(path), kept)
    path.write_text("library(survival)\n")
    write_recipe(recipe_for(path), kept)  # nobody has touched it
    assert "survival" in (kept / "Dockerfile").read_text()
    with open(kept / "Dockerfile", "a") as file:
        file.write("# mine\n")
    with pytest.raises(UsageError) as caught:
        write_recipe(recipe_for(path), kept)
    assert "was changed by hand" in caught.value.message and f'simferry.images.recipe("{kept}")' in caught.value.hint
    assert (kept / "Dockerfile").read_text().endswith("# mine\n")


def test_what_is_written_is_what_is_built(tmp_path):
    made = recipe_for(script(tmp_path, "sweep.R", "library(lme4)\n"))
    write_recipe(made, tmp_path / "sweep.image")
    assert images.recipe(tmp_path / "sweep.image").tag == made.tag


def test_an_image_for_a_script_with_a_setup_of_its_own(scrap, image_r, tmp_path):
    """setup.sh as many projects have one; here on a base that has R and the packages."""
    base = scrap.build(f"FROM {image_r}\nUSER root\n")
    with_authorities(tmp_path)
    script(tmp_path, "setup.sh", "set -e\napt-get install -y -qq jq >/dev/null\necho done >/opt/was-set-up\n")
    made = recipe_for(script(tmp_path, "sweep.R", "library(foreach)\n"), name=f"{scrap.name}-sweep")
    made.build_args = {"BASE": base}
    tag = images.build(made).tag
    code = "cat(readLines('/opt/was-set-up'), nzchar(Sys.which('jq')), Sys.info()[['user']])"
    status, out, err = run_once(scrap.client, tag, ["Rscript", "-e", f"library(foreach); {code}"])
    assert (status, out) == (0, "done TRUE simulation"), err
