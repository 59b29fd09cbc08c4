"""One container of the hosting contract: its start, requests, limits and end; and containers that do not keep the contract."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from docker_fixtures import BASE, left_behind
from model_archives import archive
from simferry.aws.instances import Instance
from simferry.containers.engine import ImageError
from simferry.containers.model_archive import ModelArchiveError
from simferry.containers.serving import Serving, ServingError, ServingTimeout, batch_environment
from simferry.errors import UsageError


@pytest.fixture
def serving(tmp_path, engine, image_serve):
    """Makes containers; afterwards nothing of them is left."""

    made, slope = [], archive(tmp_path / "model.tar.gz", ("slope", b"2.5"))

    def make(image=image_serve, model=slope, **more):
        made.append(Serving(engine, image, tmp_path / f"serving-{len(made)}", tmp_path.name, model=model, **more))
        return made[-1]

    yield make
    for one in made:
        one.discard()
    assert left_behind(engine, tmp_path.name) == []
    assert not any(one.folder.exists() for one in made)


@pytest.fixture
def own(scrap, serving):
    """Makes containers whose `serve` is a shell script."""

    def make(script):
        return serving(scrap.build(f'FROM {BASE}\nENTRYPOINT ["sh", "-c", {script!r}]\n'.replace("'", '"')), model=None)

    return make


def test_a_model_is_served_within_limits_and_ends(serving):
    kind = Instance("2 GB", 1, 2.0)
    one = serving(environment={"MINE": "yes", "SAGEMAKER_BIND_TO_PORT": "9090"}, kind=kind)
    one.start()
    one.wait_ready(60)
    given = one.container.attrs["HostConfig"]
    assert (given["NanoCpus"], given["Memory"]) == (10**9, 2 << 30)
    assert one.container.ports["9090/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(one.address[1])}]
    assert one.ping().status == 200
    answer = one.invoke(b"1\n2\n", "text/csv", "text/csv", "trace=7")
    assert (answer.status, answer.content_type, answer.body) == (200, "text/csv", b"2.5\n5.0\n")
    assert one.invoke(b"x", "image/png").status == 415
    assert one.execution_parameters().status == 404
    assert "loading ['slope'] yes" in one.lines()
    end = one.stop()
    assert (end.exit_code, end.killed) == (0, False)
    assert one.lines(1)[0].startswith("GET /execution-parameters 404")  # they are kept


def test_200_requests_on_8_connections(serving):
    one = serving()
    one.start()
    one.wait_ready(60)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda i: one.invoke(f"{i}\n".encode(), "text/csv"), range(200)))
    assert [answer.body for answer in answers] == [f"[{2.5 * i}]".encode() for i in range(200)]
    assert len(one._lines._idle) <= 8  # they were kept open


def test_requests_that_are_no_answer(serving):
    one = serving()
    one.start()
    one.wait_ready(60)
    with pytest.raises(UsageError, match="has 6,291,457 bytes; /invocations takes 6,291,456"):
        one.invoke(b"1" * 6_291_457, "text/csv")
    assert one.invoke(b"1" * 6_291_456, "text/csv").status == 400
    with pytest.raises(UsageError, match="a header of the request is none"):
        one.invoke(b"1\n", "text/csv", attributes="a\r\nX: 1")
    with pytest.raises(ServingError, match="the answer has more than 6,291,456 bytes"):
        one.invoke(b"1,much\n", "text/csv")
    with pytest.raises(ServingTimeout, match=r"gave no answer within 0.2 s"):
        one.invoke(b"1,sleep\n", "text/csv", seconds=0.2)
    assert one.ping().status == 200
    end = one.stop(0.2)  # while it still predicts
    assert end.killed


def test_a_container_that_ends_is_told(serving):
    one = serving()
    one.start()
    one.wait_ready(60)
    with pytest.raises(ServingError, match=r"was refused, or lost; the container has ended, exit code 3"):
        one.invoke(b"1,exit\n", "text/csv")


def test_an_isolated_container_is_asked_in_a_network_of_its_own(serving):
    one = serving(isolated=True)
    one.start()
    one.wait_ready(60)
    assert one.invoke(b"2\n", "text/csv").body == b"[5.0]"
    one.network.reload()
    assert one.network.attrs["Internal"]
    assert one.container.ports.get("8080/tcp") is None  # nothing else of this machine is let in


def test_a_ping_that_never_answers_is_an_error_with_the_last_lines(own):
    one = own("echo loading forever; exec sleep 60")
    one.start()
    with pytest.raises(ServingError) as error:
        one.wait_ready(1)
    assert "did not answer 200 within 1 s: nothing answers at port 8080" in error.value.message
    assert error.value.hint == "The container's last lines:\nloading forever"


def test_an_image_that_ends_at_once_or_has_no_serve(own, serving):
    one = own("echo no licence; exit 4")
    one.start()
    with pytest.raises(ServingError, match=r"(?s)ended before /ping answered 200: exit code 4.*no licence"):
        one.wait_ready(30)
    with pytest.raises(ImageError, match="has no program `serve`"):
        serving(BASE, model=None).start()


def test_what_can_not_be_started_leaves_nothing(serving, tmp_path):
    (tmp_path / "text").write_text("no archive")
    with pytest.raises(ModelArchiveError, match=r"is no tar.gz"):
        serving(model=tmp_path / "text").start()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UsageError, match="is in use"):
        serving(port=taken.getsockname()[1]).start()
    with pytest.raises(ImageError, match="there is no image no-such-image here"):
        serving("no-such-image").start()
    with pytest.raises(UsageError, match="SAGEMAKER_BIND_TO_PORT is 'x'"):
        serving(environment={"SAGEMAKER_BIND_TO_PORT": "x"})


def test_the_environment_of_batch_transform():
    assert batch_environment(6, "MultiRecord", 1) == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "1",
    }
