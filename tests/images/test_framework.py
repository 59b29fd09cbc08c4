"""AWS's framework images, and the user's in their place."""

import pytest
import simferry as sf
from simferry.containers.engine import ImageError
from simferry.errors import UsageError
from simferry.images.framework import explained, is_framework, own_image
from sweeps import DRAWS, write

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
TORCH = "763104351884.dkr.ecr.us-west-2.amazonaws.com/pytorch-training:1.12.1-cpu-py38"


@pytest.fixture(autouse=True)
def no_table(monkeypatch):
    monkeypatch.delenv("SIMFERRY_IMAGES", raising=False)


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (None, SKLEARN),
        ("pytorch-training=torch", SKLEARN),
        ("sagemaker-scikit-learn=mine", "mine"),
        ({"sagemaker-scikit-learn": "mine", "sagemaker-scikit-learn:1.2-1-cpu-py3": "newer"}, "newer"),
        (f"sagemaker-scikit-learn=mine, {SKLEARN}=exact:1", "exact:1"),
        ({SKLEARN.partition(":")[0]: "of-this-host"}, "of-this-host"),
    ],
)
def test_the_entry_that_says_most_counts(table, found):
    assert own_image(SKLEARN, table) == found


def test_the_table_of_the_environment_comes_second(monkeypatch):
    monkeypatch.setenv("SIMFERRY_IMAGES", "sagemaker-scikit-learn=there,pytorch-training=torch")
    assert (own_image(SKLEARN, {"sagemaker-scikit-learn": "given"}), own_image(TORCH)) == ("given", "torch")
    assert own_image("simferry-r") == "simferry-r"
    monkeypatch.setenv("SIMFERRY_IMAGES", "sagemaker-scikit-learn")
    with pytest.raises(UsageError, match="SIMFERRY_IMAGES: 'sagemaker-scikit-learn' is not of the form NAME=IMAGE"):
        own_image(TORCH)


def test_which_images_are_aws_s():
    ecr = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
    for name in (
        "sagemaker-xgboost:1.7-1",
        "tensorflow-training:2.11-cpu",
        "huggingface-pytorch-training:1",
        "sagemaker-spark-processing:3.3",
    ):
        assert is_framework(f"{ecr}/{name}")
    for name in (f"{ecr}/my-pytorch", f"{ecr}/simferry-r:1", "sagemaker-scikit-learn", "pytorch/pytorch-training:1"):
        assert not is_framework(name)


def test_an_image_that_is_not_found_is_explained_only_if_it_is_aws_s():
    with (
        pytest.raises(ImageError, match=r"sagemaker-scikit-learn:1.2-1-cpu-py3 is an image of AWS's own: no") as caught,
        explained(SKLEARN),
    ):
        raise ImageError("no")
    assert (
        "SIMFERRY_IMAGES" in caught.value.hint
        and "sagemaker-scikit-learn=simferry-python" in caught.value.hint.replace('"', "")
    )
    with pytest.raises(ImageError, match=r"^no$"), explained("simferry-r"):
        raise ImageError("no")


def test_a_sweep_names_an_image_of_aws_s(engine, image_python, tmp_path, monkeypatch):
    script = write(tmp_path, *DRAWS["python"])
    given = {
        "design": {"n": [5]},
        "replications": 2,
        "seed": 1,
        "store": tmp_path / "runs",
        "backend": "docker",
        "image": SKLEARN,
    }
    with pytest.raises(ImageError, match="is an image of AWS's own"):
        sf.run(script, **given)
    run = sf.run(script, **given, images={"sagemaker-scikit-learn": image_python})
    assert len(run.results()) == 2
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(
        f'[simulation]\nscript = "{script}"\n[design.grid]\nn = [5]\n[run]\nreplications = 2\nseed = 1\nbackend = "docker"\n'
        f'[docker]\nimage = "{SKLEARN}"\nimages = {{"sagemaker-scikit-learn" = "{image_python}"}}\n'
    )
    again = sf.run(sf.read_sweep(sweep).replace(store=tmp_path / "runs", fresh=True))
    assert again.results().equals(run.results())
