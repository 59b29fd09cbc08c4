"""The verb serve: its arguments, and a model that is asked from Python."""

import pytest
import simferry as sf
from docker_fixtures import left_behind
from model_archives import archive
from simferry.containers import serving
from simferry.containers.engine import ImageError


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"port": 70_000}, "port is 70000; ports are 0 to 65535"),
        ({"port": 80.5}, "port is 80.5; ports are 0 to 65535"),
        ({"env": {"A B": 1}}, "env: 'A B' is no name"),
        ({"memory": 2}, "memory is 2; it has to be a size such as 4G or 512M"),
        ({"memory": "2G", "instance_type": "ml.m5.large"}, "instance_type and memory both limit the memory"),
        ({"instance_type": "ml.m5.larg"}, "there is no instance type 'ml.m5.larg'"),
    ],
)
def test_arguments_that_are_wrong_are_told_before_anything_starts(given, words):
    with pytest.raises(sf.SimferryError) as error:
        sf.serve("an-image", **given)
    assert words in error.value.message


def test_a_model_is_served_in_a_block(engine, image_serve, tmp_path):
    started = []
    with sf.serve(
        image_serve, model=archive(tmp_path / "m", ("slope", b"3")), port=0, memory="512M", on_start=started.append
    ) as server:
        assert started == [server]
        assert 0 < server.ping_seconds < server.ready_seconds
        assert server.invoke(b"2\n", "text/csv").body == b"[6.0]"
        assert server.container.attrs["HostConfig"]["Memory"] == 512 << 20
    assert server.end == serving.Ended(0, False)
    assert server.name not in left_behind(engine, "serve")
    with pytest.raises(ImageError, match="there is no image no-such-image here"):
        sf.serve("no-such-image", port=0)
