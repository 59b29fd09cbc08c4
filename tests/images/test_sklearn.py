"""containers/sklearn and simulations/decision_trees: trained as a sweep, then served, with scikit-learn's own predictions."""

import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import simferry as sf
from simferry.containers.engine import run_once

IRIS = Path(__file__).parents[2] / "simulations" / "decision_trees" / "iris.csv"
# what scikit-learn predicts in one process, from its own copy of the data
IN_PROCESS = """
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier
iris = load_iris(as_frame=False)
names = iris.target_names[iris.target]
for name, row in zip(names, iris.data):
    print(name, *row, sep=",")
print(*DecisionTreeClassifier(max_leaf_nodes=3).fit(iris.data, names).predict(iris.data), sep="\\n")
"""


@pytest.fixture
def answers(engine, image_sklearn):
    """Serves a model. Returns a function that posts to it, and tells status and text."""
    started = []

    def serve(folder):
        folder.chmod(0o755)
        container = engine.containers.run(
            image_sklearn, ["serve"], detach=True, ports={"8080/tcp": ("127.0.0.1", None)},
            volumes={str(folder): {"bind": "/opt/ml/model", "mode": "ro"}},
        )  # fmt: skip
        started.append(container)
        container.reload()
        address = f"http://127.0.0.1:{container.ports['8080/tcp'][0]['HostPort']}"

        def post(body, kind="text/csv", path="/invocations"):
            request = urllib.request.Request(
                address + path, body and body.encode(), {"Content-Type": kind} if body else {}
            )
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                if post(None, path="/ping")[0] == 200:
                    return container, post
            except OSError:
                time.sleep(0.1)
        pytest.fail(container.logs().decode())

    yield serve
    for container in started:
        container.remove(force=True)


def test_trees_are_trained_by_splits_and_answer_as_scikit_learn_does(engine, image_sklearn, answers, tmp_path):
    run = sf.run(
        f"image:{image_sklearn}", sf.grid(max_leaf_nodes=[2, 3]), replications=50, seed=1, store=tmp_path, backend="docker",
        inputs={"training": IRIS}, results_file="result.json", replications_as="splits",
    )  # fmt: skip
    with pytest.warns(UserWarning, match="condition 1 .* returned the same values in every replication"):
        rows = run.results()
    two, three = (rows["accuracy"][rows["max_leaf_nodes"] == leaves] for leaves in (2, 3))
    assert (two == 2 / 3).all() and abs(three.mean() - 0.93828) < 4 * three.std() / 50**0.5  # as the page says
    model = tmp_path / "model"
    shutil.copytree(run.folder / "artifacts" / "2" / "1" / "model", model)
    container, post = answers(model)
    rows = IRIS.read_text().splitlines()
    status, predicted = post("\n".join(row.partition(",")[2] for row in rows))
    alone = run_once(engine, image_sklearn, ["python3", "-c", IN_PROCESS])[1].split("\n")
    assert status == 200 and [*rows, *predicted.split("\n")] == alone
    assert post("{}", "application/json") == (415, "the body is application/json; it has to be text/csv\n")
    assert post("1,2")[1] == "the body has 2 columns; the model was fitted to 4\n"
    assert post("a,2")[0] == 400 and post("1", path="/other")[0] == 404
    container.stop()
    container.reload()
    assert container.attrs["State"]["ExitCode"] == 0


def test_without_a_model_nothing_is_served(engine, image_sklearn):
    status, _, errors = run_once(engine, image_sklearn, ["serve"])
    assert status == 1 and "No such file or directory: '/opt/ml/model/model.joblib'" in errors
