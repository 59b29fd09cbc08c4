"""What an image is checked for."""

import pytest
from click.testing import CliRunner
from simferry.cli import main
from simferry.containers.engine import ImageError
from simferry.images import recipes as images
from simferry.images.infer import recipes
from simferry.verbs.image_check import check


def found(name):
    return {f.what: f for f in check(name)}


def test_the_recipe_for_r_keeps_the_contract(image_r):
    findings = found(image_r)
    assert [f.what for f in findings.values() if not f.ok] == []
    assert findings["user"].found == "simulation"
    assert findings["R"].found.startswith("R 4.")
    assert {"foreach", "doParallel"} <= {p.split()[0] for p in findings["R packages"].found.split(", ")}
    assert findings["R worker"].found == "ran a block"
    assert "exited with code 7" in findings["R exit code"].found


def test_the_recipe_for_python_keeps_the_contract(image_python):
    findings = found(image_python)
    assert [f.what for f in findings.values() if not f.ok] == []
    assert findings["user"].found == "simulation"
    assert {"numpy", "scipy", "joblib", "cloudpickle"} <= {
        p.split()[0] for p in findings["Python packages"].found.split(", ")
    }


def test_the_recipe_for_octave_keeps_the_contract(image_octave):
    findings = found(image_octave)
    assert [f.what for f in findings.values() if not f.ok] == []
    assert findings["Octave"].found.startswith("Octave ") and findings["Octave packages"].found == "none"
    assert findings["Octave worker"].found == "ran a block"
    assert "exited with code 7" in findings["Octave exit code"].found


def test_more_packages_are_an_argument(image_r):
    """A recipe with packages is another image; an unchanged one is not."""
    folder = recipes() / "r"
    assert images.recipe(folder).hash == images.recipe(folder).hash
    assert images.recipe(folder, build_args={"PACKAGES": "lme4"}).hash != images.recipe(folder).hash


def test_an_image_without_an_interpreter(engine):
    with pytest.raises(ImageError) as caught:
        check("debian:bookworm-slim")
    assert caught.value.message == "image debian:bookworm-slim has neither Rscript nor python3 nor octave-cli"
    assert "recipe_for" in caught.value.hint and caught.value.exit_code == 1


def test_an_image_for_another_architecture(scrap):
    with pytest.raises(ImageError, match="is for s390x, and this machine is"):
        check(scrap.image_for("s390x"))


def test_an_image_that_breaks_the_contract(scrap, image_r):
    """Its user can't write /opt/ml, and its Rscript swallows exit codes."""
    wrapper = '#!/bin/sh\nRscript.real "$@"\nexit 0\n'
    name = scrap.build(
        f"FROM {image_r}\nUSER root\nRUN chmod 755 /opt/ml && mv /usr/bin/Rscript /usr/bin/Rscript.real\n"
        "COPY Rscript /usr/bin/Rscript\nUSER simulation\n",
        Rscript=wrapper,
    )
    findings = found(name)
    assert [f.what for f in findings.values() if not f.ok] == ["/opt/ml", "R exit code"]
    assert findings["/opt/ml"].found.startswith("simulation can't write it: RUN mkdir -p /opt/ml && chmod 777")
    done = CliRunner().invoke(main, ["image", "check", name])
    assert done.exit_code == 1 and "!!  /opt/ml: simulation can't write it" in done.output


def test_an_image_whose_python_lacks_what_the_worker_needs(scrap, image_python):
    name = scrap.build(f"FROM {image_python}\nUSER root\nRUN pip uninstall -q -y cloudpickle numpy\nUSER simulation\n")
    findings = found(name)
    assert [f.what for f in findings.values() if not f.ok] == ["Python worker"]
    assert "No module named 'numpy'" in findings["Python worker"].found
