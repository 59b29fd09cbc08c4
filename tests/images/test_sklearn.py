"""containers/sklearn and simulations/decision_trees: trained as a sweep, then served, with scikit-learn's own predictions."""

from pathlib import Path

import pytest
import simferry as sf
from model_archives import archive
from simferry.containers.engine import run_once
from simferry.verbs.serve_check import findings

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


def test_trees_are_trained_by_splits_and_answer_as_scikit_learn_does(engine, image_sklearn, tmp_path):
    run = sf.run(
        f"image:{image_sklearn}", sf.grid(max_leaf_nodes=[2, 3]), replications=50, seed=1, store=tmp_path, backend="docker",
        inputs={"training": IRIS}, results_file="result.json", replications_as="splits",
    )  # fmt: skip
    with pytest.warns(UserWarning, match="condition 1 .* returned the same values in every replication"):
        rows = run.results()
    two, three = (rows["accuracy"][rows["max_leaf_nodes"] == leaves] for leaves in (2, 3))
    assert (two == 2 / 3).all() and abs(three.mean() - 0.93828) < 4 * three.std() / 50**0.5  # as the page says
    (fitted,) = [path for path in run.artifacts(2, 1) if path.name == "model.joblib"]
    model = archive(tmp_path / "model.tar.gz", (fitted.name, fitted.read_bytes()))
    flowers = IRIS.read_text().splitlines()
    data = "".join(f"{row.partition(',')[2]}\n" for row in flowers).encode()
    with sf.serve(image_sklearn, model=model, port=0, most_bytes=20 << 20) as server:
        answer = server.invoke(data, "text/csv")
        alone = run_once(engine, image_sklearn, ["python3", "-c", IN_PROCESS])[1].split("\n")
        assert answer.status == 200 and [*flowers, *answer.body.decode().split("\n")] == alone
        assert server.invoke(b"1,2", "text/csv").body == b"the body has 2 columns; the model was fitted to 4\n"
        assert server.invoke(b"a,2", "text/csv").status == 400
        assert [str(one) for one in findings(server, data, "text/csv") if one.state == "failed"] == []


def test_without_a_model_nothing_is_served(engine, image_sklearn):
    status, _, errors = run_once(engine, image_sklearn, ["serve"])
    assert status == 1 and "No such file or directory: '/opt/ml/model/model.joblib'" in errors
