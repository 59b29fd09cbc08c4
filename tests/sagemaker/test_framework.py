"""FrameworkProcessor: a script with its folder, in the image that the user names for a framework's."""

import re
import tarfile

import pytest
from aws_fixtures import ROLE
from sagemaker_fixtures import BUCKET, IMAGE, TIMED
from simferry.errors import UsageError
from simferry.sagemaker.processing import FrameworkProcessor, ProcessingInput, ProcessingOutput, ScriptProcessor
from simferry.sagemaker.pytorch.estimator import PyTorch
from simferry.sagemaker.s3 import S3Downloader
from simferry.sagemaker.script_mode import pack
from simferry.sagemaker.sklearn.estimator import SKLearn
from simferry.sagemaker.sklearn.processing import SKLearnProcessor

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with a script, a module and a data file, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIMFERRY_IMAGES", raising=False)
    (tmp_path / "src" / "sub").mkdir(parents=True)
    (tmp_path / "src" / "sub" / "__init__.py").write_text("VALUE = 7\n")
    (tmp_path / "src" / "main.py").write_text(
        "import sys, common, sub, os\n"
        "open('/opt/ml/processing/output/out.txt', 'w').write(f'{sub.VALUE + common.VALUE} {sys.argv[1:]} {os.getcwd()}')\n"
    )
    (tmp_path / "common.py").write_text("VALUE = 35\n")
    return "src"


def framework(**options):
    given = {"role": ROLE, "instance_count": 1, "instance_type": "ml.m5.xlarge", **options}
    return FrameworkProcessor(SKLearn, "1.2-1", **given)


def test_the_request_is_version_2s(sent, source, tmp_path):
    it = framework(image_uri=IMAGE)
    it.run("main.py", source, ["common.py"], inputs=[ProcessingInput("s3://b/x", "/opt/ml/processing/x")], wait=False)
    name = it.latest_job.job_name
    assert re.fullmatch(f"sklearn-{TIMED}", name)
    assert sent[0]["AppSpecification"]["ContainerEntrypoint"] == [
        "/bin/bash",
        "/opt/ml/processing/input/entrypoint/runproc.sh",
    ]
    at = {
        one["InputName"]: (one["S3Input"]["S3Uri"], one["S3Input"]["LocalPath"]) for one in sent[0]["ProcessingInputs"]
    }
    base = f"s3://{BUCKET}/{name}/input"
    assert at == {
        "input-1": ("s3://b/x", "/opt/ml/processing/x"),
        "code": (f"{base}/code/sourcedir.tar.gz", "/opt/ml/processing/input/code"),
        "entrypoint": (f"{base}/entrypoint/runproc.sh", "/opt/ml/processing/input/entrypoint"),
    }
    S3Downloader.download(at["code"][0], str(tmp_path / "back"))
    with tarfile.open(tmp_path / "back" / "sourcedir.tar.gz") as tar:
        assert {"main.py", "sub", "sub/__init__.py", "common.py"} == set(tar.getnames())
    assert 'exec python main.py "$@"' in S3Downloader.read_file(at["entrypoint"][0])
    it = framework(image_uri=IMAGE, code_location=f"s3://{BUCKET}/code", command=["Rscript"])
    with pytest.raises(UsageError, match=r"there is no script nowhere.R in source_dir src"):
        it.run("nowhere.R", source, wait=False)
    it.run("main.R", "s3://b/sourcedir.tar.gz", wait=False, job_name="archive")
    assert sent[1]["ProcessingInputs"][0]["S3Input"]["S3Uri"] == "s3://b/sourcedir.tar.gz"
    assert sent[1]["ProcessingInputs"][1]["S3Input"]["S3Uri"] == f"s3://{BUCKET}/code/archive/source/runproc.sh"


def test_without_a_folder_the_script_is_alone(source, tmp_path):
    with tarfile.open(pack(tmp_path / "a.tar.gz", "src/main.py", None, None)) as tar:
        assert tar.getnames() == ["main.py"]


def test_the_image_comes_from_the_table(session, source, monkeypatch):
    with pytest.raises(
        UsageError, match=r"AWS's image sagemaker-scikit-learn:1.2-1-cpu-py3 needs one of yours"
    ) as caught:
        framework()
    assert "SIMFERRY_IMAGES" in caught.value.hint
    monkeypatch.setenv("SIMFERRY_IMAGES", "sagemaker-scikit-learn=mine,pytorch-training:1.12-cpu-py38=torch")
    assert framework().image_uri == framework(image_uri=SKLEARN).image_uri == "mine"
    assert FrameworkProcessor(PyTorch, "1.12", ROLE, 1, "ml.m5.xlarge", "py38").image_uri == "torch"
    assert ScriptProcessor(ROLE, SKLEARN, "python3", 1, "ml.m5.xlarge").image_uri == "mine"
    with pytest.raises(UsageError, match="estimator_cls is 'mxnet'"):
        FrameworkProcessor("mxnet", "1", ROLE, 1, "ml.m5.xlarge")


def test_what_is_refused(session, source, sent):
    with pytest.raises(UsageError, match="git_config is not supported"):
        framework(image_uri=IMAGE).run("main.py", source, git_config={"repo": "x"})
    with pytest.raises(UsageError, match="is an image of AWS's own: the emulator's jobs run images of this machine"):
        framework(image_uri=SKLEARN).run("main.py", source, wait=False)
    with pytest.raises(UsageError, match="there is no folder nowhere"):
        framework(image_uri=IMAGE).run("main.py", "nowhere", wait=False)
    assert sent == []


@pytest.mark.parametrize("where", ["local", "ml.t3.medium"])
def test_a_published_script_runs_with_its_image_named_in_the_table(
    emulate, image_python, source, tmp_path, monkeypatch, where
):
    emulator = emulate()
    monkeypatch.setenv("SIMFERRY_IMAGES", f"sagemaker-scikit-learn={image_python}")
    it = framework(role=emulator.role, instance_type=where, command=["python3"])
    output = ProcessingOutput("/opt/ml/processing/output", f"s3://{emulator.bucket}/out-{where}")
    it.run("main.py", source, ["common.py"], outputs=[output], arguments=["--n", 1000.0, "a b"], logs=False)
    assert S3Downloader.read_file(f"s3://{emulator.bucket}/out-{where}/out.txt") == (
        "42 ['--n', '1000', 'a b'] /opt/ml/processing/input/code"
    )


def test_scikit_learns_processor_runs_a_script_alone(sent, source, monkeypatch):
    monkeypatch.setenv("SIMFERRY_IMAGES", f"sagemaker-scikit-learn={IMAGE}")
    it = SKLearnProcessor(framework_version="1.2-1", role=ROLE, instance_type="ml.m5.xlarge", instance_count=1)
    it.run("src/main.py", arguments=["--n", 3], wait=False)
    assert re.fullmatch(f"sagemaker-scikit-learn-{TIMED}", it.latest_job.job_name)
    assert sent[0]["AppSpecification"] == {
        "ImageUri": IMAGE,
        "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/main.py"],
        "ContainerArguments": ["--n", "3"],
    }
