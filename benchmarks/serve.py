"""A model that is served, by simferry serve and by an endpoint of the emulator: what a request costs beside one that is made in the
container itself, to a bare gunicorn."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from timing import HERE, SIMFERRY, Row, fresh_folder, in_turn, must_be_equal, run_process, run_simferry

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


@contextmanager
def endpoint(image: str) -> Iterator[Callable[[], bytes]]:
    """InvokeEndpoint with boto3, of an endpoint of the emulator, which has a process of its own."""
    import boto3
    from botocore.config import Config

    process = subprocess.Popen([SIMFERRY, "emulator", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        made = told["environment"]
        key = {"aws_access_key_id": made["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": made["AWS_SECRET_ACCESS_KEY"]}
        session, config = boto3.Session(region_name="us-east-1", **key), Config(max_pool_connections=CONNECTIONS)
        sagemaker, runtime = (
            session.client(name, endpoint_url=told["url"], config=config) for name in ("sagemaker", "sagemaker-runtime")
        )
        variant = {"VariantName": "a", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_model(ModelName="m", PrimaryContainer={"Image": image}, ExecutionRoleArn=told["role"])
        sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
        while (status := sagemaker.describe_endpoint(EndpointName="e")["EndpointStatus"]) == "Creating":
            time.sleep(0.1)
        must_be_equal("the endpoint's state", status, "InService")
        yield lambda: runtime.invoke_endpoint(EndpointName="e", Body=ROW, ContentType=TYPE)["Body"].read()
    finally:
        process.terminate()
        process.wait()


def benchmark(repeats: int) -> list[Row]:
    import simferry

    with (
        fresh_folder() as folder,
        simferry.serve(name := image(Path(folder)), port=0) as server,
        endpoint(name) as invoke_endpoint,
    ):

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
                "endpoint": lambda: median_microseconds(invoke_endpoint),
                "endpoint at once": lambda: failures_at_once(invoke_endpoint),
            },
        )
    peer, bar = "gunicorn inside", "at most + 2 ms"
    return [
        Row("simferry serve", "µs", peer, taken["inside"], taken["simferry serve"], bar, _within(2)),
        Row("server.invoke", "µs", peer, taken["inside"], taken["invoke"], bar, _within(2)),
        Row("8 connections", "failed", "", [], taken["at once"], "none of 200", _none),
        Row("InvokeEndpoint", "µs", peer, taken["inside"], taken["endpoint"], "at most + 15 ms", _within(15)),
        Row("its 8 connections", "failed", "", [], taken["endpoint at once"], "none of 200", _none),
    ]


def _within(milliseconds: float) -> Callable[[float, float], bool]:
    return lambda peer, ours: ours <= peer + 1000 * milliseconds


def _none(_: float, failed: float) -> bool:
    return failed == 0
