"""simferry serve: a model until Ctrl-C, and the check of an image, in real containers."""

import http.client
import re
import signal

import pytest
from click.testing import CliRunner
from command_line import ended, said, started
from model_archives import archive
from simferry.cli import main


@pytest.fixture
def model(tmp_path):
    return str(archive(tmp_path / "model.tar.gz", ("slope", b"2.5")))


def test_a_model_is_served_until_ctrl_c(image_serve, model):
    serving = started("serve", image_serve, "--model", model, "--port", "0", "--env", "MINE=yes")
    greeting = serving.stderr.readline()
    found = re.fullmatch(
        rf"http://localhost:(\d+) serves {image_serve}: ready after [\d.]+ s, /ping in .* ms.*\n", greeting
    )
    line = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
    line.request("POST", "/invocations", b"2\n", {"Content-Type": "text/csv"})
    assert line.getresponse().read() == b"[5.0]"
    serving.send_signal(signal.SIGINT)
    code, out, err = ended(serving)
    assert (code, out.splitlines()[0]) == (0, "loading ['slope'] yes")
    assert re.search(r"ended after [\d.]+ s, exit code 0\n$", err)


def test_a_container_that_ends_by_itself_is_told(image_serve, model):
    serving = started("serve", image_serve, "--model", model, "--port", "0")
    line = http.client.HTTPConnection("127.0.0.1", int(re.search(r":(\d+) serves", serving.stderr.readline())[1]))
    line.request("POST", "/invocations", b"1,exit\n", {"Content-Type": "text/csv"})
    code, _, err = ended(serving)
    assert (code, err) == (1, "the container has ended: exit code 3\n")


def test_the_check_of_an_image(image_serve, model, tmp_path):
    (tmp_path / "rows.csv").write_text("1\n2\n")
    words = ("serve", image_serve, "--model", model, "--port", "0", "--check", "--data")
    lines = said(*words, str(tmp_path / "rows.csv")).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["ok"] * 10
    assert lines[3].startswith("ok      concurrent     200 requests on 8 connections: no error")
    (tmp_path / "rows.csv").write_text("a\n")
    result = CliRunner().invoke(main, [*words, str(tmp_path / "rows.csv")])
    assert result.exit_code == 1
    assert "failed  invocations    it answered 500: the prediction failed: TypeError" in result.stdout
    assert "2 failed. The container's last lines:\n" in result.stderr


def test_what_is_wrong_is_told(image_serve, tmp_path):
    result = CliRunner().invoke(main, ["serve", image_serve, "--data", "x"])
    assert (result.exit_code, "--data is for --check" in result.stderr) == (2, True)
    (tmp_path / "large").write_bytes(b"1" * 6_291_457)
    result = CliRunner().invoke(main, ["serve", image_serve, "--check", "--data", str(tmp_path / "large")])
    assert (result.exit_code, "large has more than 6,291,456 bytes" in result.stderr) == (2, True)
    result = CliRunner().invoke(main, ["serve", image_serve, "--port", "0", "--check"])
    assert result.exit_code == 1
    assert "ended before /ping answered 200: exit code 1\nThe container's last lines:\nloading []" in result.stderr
