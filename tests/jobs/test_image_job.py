"""What jobs of images are started with: hyperparameters and environment."""

import json
import math

import pytest
import simferry as sf
from simferry.errors import UsageError
from simferry.jobs.image_job import types_of
from simferry.jobs.plan import job_bytes, streams_of
from simferry.jobs.stretches import all_work, chunks
from simferry.toolkit.environment import TYPES, typed


def test_types_that_a_text_does_not_show_go_along():
    values = {
        "n": 20,
        "x": 0.1,
        "label": "10",
        "name": "a",
        "flag": True,
        "sizes": [1, 2.5],
        "gone": None,
        "odd": -math.inf,
    }
    texts = {
        "n": "20",
        "x": "0.1",
        "label": "10",
        "name": "a",
        "flag": "true",
        "sizes": "[1, 2.5]",
        "gone": "NA",
        "odd": "-Inf",
    }
    kinds = {"label": "string", "gone": "number", "odd": "number"}
    given = types_of(texts, values, {**dict.fromkeys(values, "other"), **kinds})
    assert json.loads(given[TYPES]) == kinds
    back = {name: typed(text, kinds.get(name, "")) for name, text in texts.items()}
    assert back == values
    assert types_of({"n": "20"}, {"n": 20}, {"n": "number"}) == {}


def test_types_that_do_not_fit_are_an_error():
    names = [f"a_long_name_of_a_parameter_{i}" for i in range(20)]
    with pytest.raises(UsageError, match="the types of 20 parameters do not fit"):
        types_of(dict.fromkeys(names, "1"), dict.fromkeys(names, "1"), dict.fromkeys(names, "string"))


class Run:
    """As much of a run folder as a job is made of."""

    def __init__(self, folder, design, replications, **call):
        self.path = folder
        spec = sf.Simulation("image:some/image:1", **call).spec()
        self.record = type("Record", (), {"simulation": spec, "parameters": design.types})
        works = all_work(len(design), replications)
        works = works if spec.get("replications_as") else chunks(works, 1)
        drawn = streams_of(design, 7, (), "image")
        facts = {"run": "r", "plan": "0001", "kind": "image", "language": "image"}
        for i in range(len(works)):
            (folder / str(i)).mkdir()
            (folder / str(i) / "job").write_bytes(job_bytes(facts, works.take(slice(i, i + 1)), drawn, spec, design))

    def job_folder(self, job):
        return self.path / job


def test_a_job_is_a_condition_and_a_replication(tmp_path):
    from simferry.jobs.image_job import image_job

    design = sf.grid(n=[10, 20.5], label=["a b"])
    env = {"TASK": "{condition}-{replication}-{n}", "FIXED": "yes"}
    run = Run(tmp_path, design, 2, results_file="out_{n}_{replication}.csv", env=env, seed_as="seed")
    jobs = [image_job(run, str(i)) for i in range(4)]
    assert [(job.condition, job.first, job.count) for job in jobs] == [(1, 1, 1), (1, 2, 1), (2, 1, 1), (2, 2, 1)]
    seeds = [job.environment["SIMFERRY_SEED"] for job in jobs]
    assert len(set(seeds)) == 4
    assert len({job.environment["SIMFERRY_SEED_HEX"] for job in jobs}) == 4
    assert jobs[3].hyperparameters == {"n": "20.5", "label": "a b", "seed": seeds[3]}
    assert jobs[3].environment["TASK"] == "2-2-20.5"
    assert jobs[3].environment["FIXED"] == "yes"
    assert TYPES not in jobs[3].environment
    import re

    assert re.fullmatch(jobs[3].results, "out_20.5_2.csv")
    assert not re.fullmatch(jobs[3].results, "out_20.5_1.csv")


def test_an_image_is_told_the_replications_of_its_job(tmp_path):
    from simferry.jobs.image_job import image_job

    run = Run(tmp_path, sf.grid(n=[1, 2]), 50, results_file="r.csv", replications_as="reps")
    jobs = [image_job(run, str(i)) for i in range(2)]
    assert [(job.condition, job.first, job.count) for job in jobs] == [(1, 1, 50), (2, 1, 50)]
    assert jobs[1].hyperparameters == {"n": "2", "reps": "50"}
