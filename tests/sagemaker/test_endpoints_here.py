"""Endpoints of instance_type "local", in Docker on this machine."""

import os
import tarfile

import pytest
from docker_fixtures import left_behind
from simferry.errors import UsageError
from simferry.sagemaker import endpoints_here
from simferry.sagemaker.deserializers import CSVDeserializer
from simferry.sagemaker.exceptions import UnexpectedStatusException
from simferry.sagemaker.model import Model
from simferry.sagemaker.serializers import CSVSerializer


def test_a_model_is_served_here_and_ends_with_its_endpoint(engine, image_serve, tmp_path):
    (tmp_path / "slope").write_text("2.5")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as out:
        out.add(tmp_path / "slope", "slope")
    model = Model(image_serve, f"file://{tmp_path}/model.tar.gz")
    predictor = model.deploy(1, "local", CSVSerializer(), CSVDeserializer(), endpoint_name="mine")
    assert predictor.predict([[1], [2]]) == [["2.5"], ["5.0"]]
    with pytest.raises(UsageError, match="there is an endpoint mine on this machine already"):
        model.deploy(1, "local", endpoint_name="mine")
    with pytest.raises(UsageError, match="endpoint mine answers 500: "):
        predictor.predict("x")
    predictor.delete_model()
    transformer = model.transformer(
        1, "local", assemble_with="Line", accept="text/csv", output_path=f"file://{tmp_path}/out"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("1\n2\n")
    transformer.transform(f"file://{tmp_path}/data", content_type="text/csv", split_type="Line")
    assert (tmp_path / "out" / "a.csv.out").read_text() == "2.5\n5.0\n"
    (tmp_path / "data" / "b.csv").write_text("x\n")
    with pytest.raises(UnexpectedStatusException, match=r"transform job .* has failed: b.csv: AlgorithmError: 500"):
        transformer.transform(f"file://{tmp_path}/data", content_type="text/csv", split_type="Line")
    predictor.delete_endpoint()
    assert not endpoints_here.is_here("mine") and left_behind(engine, f"local-{os.getpid()}") == []
