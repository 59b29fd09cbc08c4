"""The toolkit serves models of the user's functions. It is copied, as an image does it, and asked over HTTP."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from simferry.toolkit.serve import decoded, encoded
from toolkit_files import TOOLKIT

SLOPE = (
    "def model_fn(folder):\n    return 2.5\ndef predict_fn(rows, slope):\n    return [slope * row[0] for row in rows]\n"
)


class Server:
    """A program that serves on a free port, without simferry."""

    def __init__(self, folder, program, **environment):
        shutil.copytree(TOOLKIT, folder / "simferry_toolkit", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "own.py").write_text(program)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        known = {"SAGEMAKER_BASE_DIR": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simferry_toolkit", str(folder / "own.py"), "serve"],
            env={**known, "SAGEMAKER_BIND_TO_PORT": str(self.port), **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ready(self):
        for line in self.process.stdout:
            if line.startswith("serving at port"):
                self.line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
                return self
        pytest.fail(self.process.stderr.read())

    def ask(self, body, content_type="text/csv", accept="application/json", method="POST", path="/invocations"):
        """Status, content type and text. All requests go through one connection, unless the server closes it."""
        self.line.request(method, path, body, {"Content-Type": content_type, "Accept": accept})
        answer = self.line.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()

    def end(self):
        self.process.kill()
        return self.process.communicate(timeout=20)


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(program=SLOPE, **environment):
        started.append(Server(tmp_path, program, **environment))
        return started[-1]

    yield start
    for one in started:
        one.end()


def test_one_function_is_enough_and_csv_and_json_are_known(serve):
    server = serve().ready()
    assert server.ask(None, method="GET", path="/ping")[0] == 200
    assert server.ask("1,a\n2,b\n") == (200, "application/json", "[2.5, 5.0]")
    assert server.ask("1\n2\n", accept="text/csv") == (200, "text/csv", "2.5\n5.0\n")
    assert server.ask("[[4]]", "application/json; charset=utf-8", "*/*") == (200, "application/json", "[10.0]")


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (("",), 400, "the request is empty"),
        (("x", "image/png"), 415, "'image/png' is not known; this container takes text/csv and application/json"),
        (("1", "text/csv", "image/png"), 406, "'image/png' can't be given"),
        (("{", "application/json"), 400, "the request is no application/json: "),
        (("a\n",), 500, "the prediction failed: TypeError: "),
        (("1", "text/csv", "", "GET"), 404, "there is no /invocations"),
        (("1", "text/csv", "", "POST", "/predict"), 404, "there is no /predict"),
        (("1" * 1_048_577,), 413, "the request has 1048577 bytes; 1048576 are allowed"),
    ],
)
def test_bad_requests_are_told_in_words_and_the_next_is_answered(bad_requests, request_, status, words):
    found, _, text = bad_requests.ask(*request_)
    assert (found, words in text) == (status, True), text
    assert bad_requests.ask("1\n") == (200, "application/json", "[2.5]")


@pytest.fixture(scope="module")
def bad_requests(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("bad"), SLOPE, SAGEMAKER_MAX_PAYLOAD_IN_MB="1").ready()
    yield server
    server.end()


def test_functions_of_the_user_are_called_and_sigterm_lets_a_prediction_end(serve, tmp_path):
    text = """import os, time
def model_fn(folder): return folder
def input_fn(body, content_type):
    if content_type != "text/x": raise ValueError("not for me")
    return body.decode()
def predict_fn(data, model):
    print("predicting", flush=True)
    while data == "wait" and not os.path.exists(os.path.join(os.path.dirname(model), "go")): time.sleep(0.01)
    return data.upper()
def output_fn(prediction, accept): return prediction if accept == "text/y" else 1, "text/y"
"""
    server = serve(text).ready()
    assert server.ask("abc", "text/x", "text/y") == (200, "text/y", "ABC")
    assert server.ask("abc") == (400, "text/plain; charset=utf-8", "the request can't be read: ValueError: not for me")
    assert "it has to give text or bytes" in server.ask("abc", "text/x")[2]
    server.line.request("POST", "/invocations", "wait", {"Content-Type": "text/x", "Accept": "text/y"})
    while server.process.stdout.readline() != "predicting\n":
        pass
    server.process.send_signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert server.line.getresponse().read() == b"WAIT"
    assert server.process.wait(20) == 0


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("x = 1\n", "own.py has no function model_fn(model_dir)"),
        ("def model_fn(folder): return 1\n", "the model has no method predict"),
        ("def model_fn(folder): return open(folder + '/m.bin')\n", "the model can't be served: FileNotFoundError"),
    ],
)
def test_a_model_that_can_not_be_served_ends_the_container(serve, program, words):
    server = serve(program)
    assert words in server.process.communicate(timeout=20)[1]
    assert server.process.returncode == 1


def test_cells_of_csv_are_numbers_where_they_are_some():
    rows = decoded(b'\xef\xbb\xbf1,-2.5,"a,b",1_000,nan\n\n3,1e3,,007,x\n', "text/csv")
    assert rows[0][:4] == [1, -2.5, "a,b", "1_000"] and rows[0][4] != rows[0][4]
    assert rows[1] == [3, 1000.0, "", 7, "x"]
    assert encoded([[1, "a"], [0.1, 'b"']], "text/csv")[0] == '1,a\n0.1,"b"""\n'
    assert json.loads(encoded({"p": (1, float("nan"))}, "application/json")[0]) == {"p": [1, "NaN"]}
