"""A model that is served: what a request costs beside one that is made in the container itself, to a bare gunicorn."""

import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from timing import HERE, Row, fresh_folder, in_turn, must_be_equal, run_process, run_simferry

REQUESTS, AT_ONCE, CONNECTIONS = 500, 200, 8
ROW, TYPE = b"5.1,3.5,1.4,0.2\n", "text/csv"
GUNICORN = "exec gunicorn --chdir /opt/served --worker-class gthread --threads 8 --bind 0.0.0.0:8080 app:app"
DOCKERFILE = f"""FROM simferry-sklearn
COPY app.py client.py /opt/served/
ENTRYPOINT ["sh", "-c", "{GUNICORN}"]
"""
APP = """def app(environ, start):
    body = environ["wsgi.input"].read()
    start("200 OK", [("Content-Type", "text/csv"), ("Content-Length", str(len(body)))])
    return [body]
"""
# run in the container and beside it: the median of requests on one connection, in microseconds
CLIENT = f"""import http.client, statistics, sys, time
line, took = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1])), []
for _ in range({REQUESTS}):
    began = time.perf_counter()
    line.request("POST", "/invocations", {ROW!r}, {{"Content-Type": {TYPE!r}}})
    assert line.getresponse().read() == {ROW!r}
    took.append(time.perf_counter() - began)
print(1e6 * statistics.median(took))
"""


def median_microseconds(ask: Callable[[], bytes]) -> float:
    """Of requests one after the other. ask: makes one, and returns its answer."""
    took = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        answer = ask()
        took.append(time.perf_counter() - began)
        must_be_equal("bytes of an answer", len(answer), len(ROW))
    return 1e6 * statistics.median(took)


def failures_at_once(ask: Callable[[], bytes]) -> float:
    """How many requests of those on several connections had a wrong answer, or none."""

    def one(_: int) -> bool:
        try:
            return ask() != ROW
        except Exception:
            return True

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        return float(sum(threads.map(one, range(AT_ONCE))))


def image(folder: Path) -> str:
    """The name of an image whose `serve` is gunicorn alone, which answers with what it is asked."""
    run_simferry("image", "build", HERE.parent / "containers" / "sklearn")
    for name, text in {"Dockerfile": DOCKERFILE, "app.py": APP, "client.py": CLIENT}.items():
        (folder / name).write_text(text)
    run_simferry("image", "build", folder, "--name", "simferry-bench-serve")
    return "simferry-bench-serve"


def benchmark(repeats: int) -> list[Row]:
    import simferry

    with fresh_folder() as folder, simferry.serve(image(Path(folder)), port=0) as server:

        def inside() -> float:
            return float(server.container.exec_run(["python3", "/opt/served/client.py", "8080"]).output)

        def beside() -> float:
            port = str(server.address[1])
            return float(run_process([sys.executable, Path(folder) / "client.py", port]).printed)

        def ask() -> bytes:
            return server.invoke(ROW, TYPE).body

        taken = in_turn(
            repeats,
            {
                "inside": inside,
                "simferry serve": beside,
                "invoke": lambda: median_microseconds(ask),
                "at once": lambda: failures_at_once(ask),
            },
        )
    peer, bar = "gunicorn inside", "at most + 2 ms"
    return [
        Row("simferry serve", "µs", peer, taken["inside"], taken["simferry serve"], bar, _within),
        Row("server.invoke", "µs", peer, taken["inside"], taken["invoke"], bar, _within),
        Row("8 connections", "failed", "", [], taken["at once"], "none of 200", lambda _, ours: ours == 0),
    ]


def _within(peer: float, ours: float) -> bool:
    return ours <= peer + 2000
