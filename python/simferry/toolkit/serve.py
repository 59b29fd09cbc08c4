"""Serves a model under the hosting contract: GET /ping and POST /invocations at port 8080, or the one of SAGEMAKER_BIND_TO_PORT.

The user's functions have the names that SageMaker's own toolkits give them. Only one that loads the model is needed:

    model_fn(model_dir)                       loads the model, once
    input_fn(body, content_type)              [text/csv: rows, of numbers where they are some; application/json: its value]
    predict_fn(data, model)                   [model.predict(data), or model(data)]
    output_fn(prediction, accept)             [text/csv or application/json]; gives text or bytes, or these and a content type

One prediction is made at a time, since not every model may be asked by several threads; /ping is answered meanwhile.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import math
import os
import signal
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn

from .environment import ContractError, Environment
from .program import plain

PORT, BIND = 8080, "SAGEMAKER_BIND_TO_PORT"
MOST_BYTES = 6_291_456  # of a request, where batch transform does not say another number
MOST_SKIPPED = 1 << 26  # bytes of a body that is refused
PAYLOAD_MB = "SAGEMAKER_MAX_PAYLOAD_IN_MB"
SECONDS_TO_END = 25  # for a prediction that is being made at SIGTERM, after which 30 are left
CSV, JSON = "text/csv", "application/json"
_NAMES = ("model_fn", "input_fn", "predict_fn", "output_fn")


class BadRequest(Exception):
    """A request that can't be answered, and why. Functions of the user may raise it. status: of the answer."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


def serve(program: Any, root: str = "") -> NoReturn:
    """Serve the model of this container until SIGTERM, and end the process.

    program: the path of a Python file with the functions, or a module that has them. root: the contract's folder, see `Environment`.
    """
    stop = threading.Event()

    def end(number: int, frame: Any) -> None:
        if not serving:
            sys.exit(0)
        stop.set()

    serving: list[_Server] = []
    for number in (signal.SIGTERM, signal.SIGINT):  # the first process of a container ignores them otherwise
        signal.signal(number, end)
    try:
        module = _loaded(program) if isinstance(program, str) else program
        model = Model(module, Environment(root).model_dir)
        server = _Server(("0.0.0.0", _port()), model)
    except ContractError as error:
        sys.exit(str(error))
    except Exception as error:
        traceback.print_exc()
        sys.exit(f"the model can't be served: {type(error).__name__}: {error}")
    serving.append(server)
    print(f"serving at port {server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop.wait()
    server.shutdown()
    server.finish(SECONDS_TO_END)
    sys.stdout.flush()
    os._exit(0)  # threads of idle connections are not waited for


class Model:
    """A model, and the functions around it. module: has them as attributes. Raises ContractError if it has no model_fn."""

    def __init__(self, module: Any, folder: str) -> None:
        self.functions = {name: getattr(module, name) for name in _NAMES if callable(getattr(module, name, None))}
        if "model_fn" not in self.functions:
            raise ContractError(f"{getattr(module, '__file__', module)} has no function model_fn(model_dir)")
        self.value = self.functions["model_fn"](folder)
        if "predict_fn" not in self.functions and not (hasattr(self.value, "predict") or callable(self.value)):
            raise ContractError("the model has no method predict, and the program no function predict_fn(data, model)")
        self.lock = threading.Lock()

    def answer(self, body: bytes, content_type: str, accept: str) -> tuple[bytes, str]:
        """The answer to a request, and its content type. Raises BadRequest, and what the functions raise."""
        with self.lock:
            data = self._input(body, content_type)
            made = self._predicted(data)
            output_fn = self.functions.get("output_fn", encoded)
            out = output_fn(made, accept)
        text, kind = out if isinstance(out, tuple) else (out, accept)
        if not isinstance(text, (str, bytes, bytearray)):
            raise TypeError(f"output_fn gave {type(text).__name__}; it has to give text or bytes")
        return (text.encode() if isinstance(text, str) else bytes(text)), kind

    def _input(self, body: bytes, content_type: str) -> Any:
        input_fn = self.functions.get("input_fn")
        if not input_fn:
            return decoded(body, content_type)
        try:
            return input_fn(body, content_type)
        except BadRequest:
            raise
        except Exception as error:
            traceback.print_exc()
            raise BadRequest(f"the request can't be read: {type(error).__name__}: {error}") from error

    def _predicted(self, data: Any) -> Any:
        if "predict_fn" in self.functions:
            return self.functions["predict_fn"](data, self.value)
        return self.value.predict(data) if hasattr(self.value, "predict") else self.value(data)


def decoded(body: bytes, content_type: str) -> Any:
    """A request's data: rows of CSV, numbers where they are some; or the value of JSON. Raises BadRequest."""
    kind = _kind(content_type)
    if kind not in (CSV, JSON):
        raise BadRequest(f"content type {kind!r} is not known; this container takes {CSV} and {JSON}", 415)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the request is not in UTF-8: {error}") from None
    if not text.strip():
        raise BadRequest("the request is empty")
    try:
        if kind == JSON:
            return json.loads(text)
        return [[_number(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline="")) if row]
    except (ValueError, csv.Error) as error:
        raise BadRequest(f"the request is no {kind}: {error}") from None


def encoded(prediction: Any, accept: str) -> tuple[str, str]:
    """A prediction as CSV or JSON, and its content type. Raises BadRequest if the caller accepts neither."""
    value = plain(prediction)
    if accept == JSON:
        return json.dumps(value), JSON
    if accept != CSV:
        raise BadRequest(f"{accept!r} can't be given; this container gives {CSV} and {JSON}", 406)
    out = io.StringIO()
    rows = value if isinstance(value, list) else [value]
    csv.writer(out, lineterminator="\n").writerows(row if isinstance(row, list) else [row] for row in rows)
    return out.getvalue(), CSV


def _number(cell: str) -> Any:
    try:
        number = float("" if "_" in cell else cell)  # Python takes 1_000 for a number
    except ValueError:
        return cell
    return int(cell) if math.isfinite(number) and cell.strip().lstrip("+-").isdigit() else number


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower() or JSON


def _accepted(accept: str) -> str:
    """The first content type that a caller accepts and the defaults have; else the first that it names."""
    kinds = [_kind(one) for one in accept.split(",")]
    return next((JSON if kind in ("*/*", "application/*") else kind for kind in kinds if kind in _GIVEN), kinds[0])


_GIVEN = (CSV, JSON, "*/*", "application/*")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], model: Model) -> None:
        self.model = model
        self.most_bytes = int(os.environ.get(PAYLOAD_MB) or 0) << 20 or MOST_BYTES
        self.busy, self.changed = 0, threading.Condition()
        super().__init__(address, _Handler)

    def count(self, more: int) -> None:
        with self.changed:
            self.busy += more
            self.changed.notify_all()

    def finish(self, seconds: float) -> None:
        """Wait until no request is being answered, at most so long."""
        with self.changed:
            self.changed.wait_for(lambda: not self.busy, seconds)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one piece
    server: _Server

    def do_GET(self) -> None:
        if self.path == "/ping":
            self._send(200, b"", JSON)
        else:
            words = f"there is no {self.path}; this container has GET /ping and POST /invocations"
            self._refuse(404, words, close=True)

    def do_POST(self) -> None:
        self.server.count(1)
        try:
            self._invoke()
            self.wfile.flush()
        finally:
            self.server.count(-1)

    def _invoke(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self._refuse(411, "the request names no Content-Length", close=True)
        elif self.path != "/invocations":
            self._refuse(404, f"there is no {self.path}; this container has POST /invocations", close=True)
        elif int(length) > self.server.most_bytes:
            self._refuse(413, f"the request has {length} bytes; {self.server.most_bytes} are allowed", close=True)
        else:
            body = self.rfile.read(int(length))
            try:
                accept = _accepted(self.headers.get("Accept", ""))
                self._send(200, *self.server.model.answer(body, self.headers.get("Content-Type", ""), accept))
            except BadRequest as error:
                self._refuse(error.status, str(error))
            except Exception as error:
                traceback.print_exc()
                self._refuse(500, f"the prediction failed: {type(error).__name__}: {error}")

    def _refuse(self, status: int, reason: str, close: bool = False) -> None:
        """close: the body was not read, so the connection can't be used again. Who still sends would not see the answer."""
        if close:
            self.close_connection = True
            length = self.headers.get("Content-Length", "")
            left = min(int(length), MOST_SKIPPED) if length.isdigit() else 0
            while left and (piece := self.rfile.read1(min(left, 1 << 16))):
                left -= len(piece)
        self._send(status, reason.encode(errors="backslashreplace"), "text/plain; charset=utf-8")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def parse_request(self) -> bool:
        self.began = time.monotonic()
        return super().parse_request()

    def log_request(self, code: Any = "-", size: Any = "-") -> None:
        if self.path != "/ping":
            self.log_message("%s %s %d, %.0f ms", self.command, self.path, code, 1000 * (time.monotonic() - self.began))

    def log_message(self, format: str, *values: Any) -> None:
        print(format % values, flush=True)


def _loaded(path: str) -> Any:
    """The module of a Python file. Raises ContractError if it is none."""
    if not path.endswith(".py") or not os.path.isfile(path):
        raise ContractError(
            f"{path} is no Python file in the image; serve needs one with a function model_fn(model_dir)"
        )
    name = os.path.splitext(os.path.basename(path))[0]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _port() -> int:
    text = os.environ.get(BIND) or str(PORT)
    if not text.isdigit() or int(text) >= 1 << 16:
        raise ContractError(f"{BIND} is {text!r}, which is no port")
    return int(text)
