"""Simulations that are images: how they may be called, and designs that they take."""

import pytest
import simferry as sf
from simferry import errors
from simferry.sweep.image_program import check_design, number_of_jobs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"args": "{n}"}, "args is not for an image"),
        ({"include": ("x",)}, "include is not for an image"),
        ({"metric": {"loss": "loss=[0-9]+"}}, "metric loss: the expression loss=[0-9]+ has no group"),
        ({"metric": {"loss": "loss=("}}, "metric loss: loss=( is no regular expression"),
        ({"metric": {"loss": f"({'x' * 500})"}}, "the expression has 502 characters, more than 500"),
        ({"metric": {f"m{i}": "(x)" for i in range(41)}}, "there are 41 metrics; a job takes 40"),
        ({"replications_as": "n"}, "without a results file it has nothing for its replications"),
        ({"results_file": "out.rds", "metric": {"loss": "(x)"}}, "results_file out.rds is R's"),
    ],
)
def test_calls_that_do_not_fit_an_image(call, message):
    with pytest.raises(errors.SimulationError) as refused:
        sf.Simulation("image:some-image", **call)
    assert message in refused.value.message


def test_an_image_has_a_name(tmp_path):
    with pytest.raises(errors.SimulationError, match="'image:' names no image"):
        sf.Simulation("image:")
    assert sf.Simulation("image:registry.example.com/group/My_Program:1.2").name == "my-program"
    with pytest.raises(errors.SimulationError, match="seed_as is for images"):
        sf.Simulation("true", args="", seed_as="seed")
    with pytest.raises(errors.SimulationError, match="metric is for images, whole scripts and commands"):
        sf.Simulation(print, metric={"a": "(b)"})
    with pytest.raises(errors.SimulationError, match="metric a: the expression b has no group"):
        sf.Simulation("true", args="", metric={"a": "b"})


def test_results_files_may_be_named_with_their_path_in_the_container():
    for given in ("/opt/ml/output/data/r.csv", "/opt/ml/model/r.csv", "r.csv"):
        assert sf.Simulation("image:x", results_file=given).results_file == "r.csv"


@pytest.mark.parametrize(
    ("design", "call", "message"),
    [
        ({f"p{i}": [1] for i in range(101)}, {}, "there are 101 hyperparameters of condition 1"),
        ({f"p{i}": [1] for i in range(100)}, {"seed_as": "s"}, "there are 101 hyperparameters"),
        ({"p": ["a", "x" * 2501]}, {}, "hyperparameter p of condition 2 has 2,501 characters"),
        ({"p": [1]}, {"seed_as": "p"}, "seed_as: p is the name of another hyperparameter"),
        ({"p": [1]}, {"seed_as": "n", "replications_as": "n", "results_file": "r"}, "n is the name of another hyperparameter"),
        ({"p": [1]}, {"results_file": "out_{q}.csv"}, "there is no parameter 'q' in the design"),
        ({"p": ["x" * 600]}, {"env": {"A": "{p}"}}, "env: A has 600 characters; a training job takes 512"),
    ],
)  # fmt: skip
def test_designs_that_no_job_takes(design, call, message):
    with pytest.raises(errors.SimferryError) as refused:
        check_design(sf.Simulation("image:x", **call), sf.grid(**design))
    assert message in refused.value.message


def test_the_number_of_jobs():
    assert number_of_jobs({}, 10, 3) == 30
    assert number_of_jobs({"replications_as": "n"}, 10, 3) == 3
    with pytest.raises(errors.UsageError, match="300,000 jobs here; a run has at most 100,000"):
        number_of_jobs({}, 100_000, 3)


def test_an_image_runs_in_containers_and_is_its_own_image():
    with pytest.raises(errors.UsageError, match="image:x is an image, which the local backend does not run"):
        sf.Sweep("image:x", replications=1)
    with pytest.raises(errors.UsageError, match="given beside image:x"):
        sf.Sweep("image:x", replications=1, backend="docker", image="y")
    assert sf.Sweep("image:x", replications=1, backend="docker").backend.image == "x"


def test_the_program_and_how_it_is_read_decide_whether_results_are_reused():
    calls = [
        {},
        {"seed_as": "s"},
        {"replications_as": "n", "results_file": "r"},
        {"metric": {"a": "(b)"}},
        {"env": {"A": "1"}},
    ]
    assert len({sf.Simulation("image:x", **call).code_hash() for call in calls}) == len(calls)


def test_a_sweep_file_holds_an_image(tmp_path):
    given = {"metric": {"loss": "loss=([0-9.]+)"}, "seed_as": "seed", "results_file": "r.csv", "backend": "docker"}
    sweep = sf.Sweep("image:some/image:1", sf.grid(n=[1, 2]), replications=3, **given)
    sweep.write(tmp_path / "sweep.toml")
    assert sf.read_sweep(tmp_path / "sweep.toml") == sweep


@pytest.mark.parametrize("backend", ["sagemaker", "batch"])
def test_many_jobs_that_cost_money_have_to_be_agreed_to(backend):
    """Before an image is looked for, or anybody is asked."""
    sweep = sf.Sweep("image:no-such-image", sf.grid(n=[1, 2]), replications=51, backend=backend)
    with pytest.raises(
        errors.ManyJobs, match=r"image:no-such-image is 102 jobs of .*, each of which costs money"
    ) as refused:
        sf.run(sweep)
    assert "many_jobs=True" in refused.value.hint and sweep.replace(many_jobs=True).many_jobs == ""
    assert sweep.replace(replications=50).many_jobs == sweep.replace(backend="docker").many_jobs == ""
    told = sweep.replace(replications_as="n", results_file="r.csv")
    assert (told.jobs_of_image, told.many_jobs) == (2, "")


def test_a_sweep_for_batch_is_written_and_read(tmp_path):
    sweep = sf.Sweep("image:some/image:1", sf.grid(n=[1, 2]), replications=3, backend="batch", vcpus=1, many_jobs=True)
    sweep.write(tmp_path / "sweep.toml")
    assert "program =" not in (tmp_path / "sweep.toml").read_text().partition("[batch]")[2]
    assert sf.read_sweep(tmp_path / "sweep.toml") == sweep and "program" not in repr(sweep)
    with pytest.raises(errors.UsageError, match="which the local backend does not run"):
        sweep.replace(backend="local")
