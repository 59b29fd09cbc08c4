"""Sweeps as SageMaker Processing jobs, on the emulator: HTTP on loopback, jobs in real containers."""

import textwrap

import boto3
import pytest
import simferry as sf
from sagemaker_sweeps import (
    DESIGN,
    SMALL,
    described,
    own_cache,  # noqa: F401
    submit,
)
from simferry import errors
from simferry.backends.names import job_name
from simferry.verbs import runs
from simferry.verbs.compute import backend_of_run
from sweeps import DRAWS, digest, done_pairs, simferry, write

# ---- the same numbers everywhere ----


@pytest.mark.parametrize("language", ["r", "python"])
def test_the_same_table_local_docker_and_sagemaker(tmp_path, emulator, image_r, image_python, language):
    script = write(tmp_path, *DRAWS[language])
    image = {"r": image_r, "python": image_python}[language]
    given = {"replications": 20, "seed": 7}
    here = sf.run(script, sf.grid(DESIGN), store=tmp_path / "store", **given)
    docker = sf.run(script, sf.grid(DESIGN), store=tmp_path / "store", backend="docker", image=image, **given)
    there = submit(emulator, script, image, jobs=3)
    assert digest(there) == digest(docker) == digest(here)
    assert sorted(done_pairs(there)) == sorted(set(done_pairs(there))) and len(done_pairs(there)) == 80
    assert there.address.startswith(f"s3://{emulator.bucket}/simferry/")
    assert emulator.requests["sagemaker", "CreateProcessingJob"] == 3


@pytest.mark.parametrize("kind", ["r", "r whole", "python", "python whole"])
def test_a_project_and_a_package_travel(tmp_path, emulator, image_r, image_python, kind):
    """What is above the script is there in containers too; a whole script may write to the contract's output folder."""
    write(tmp_path, "study/R/h.R", "f <- function(n) mean(rnorm(n))\n")
    write(tmp_path, "study/.here", "")
    write(tmp_path, "study/data/d.csv", "x\n1\n")
    write(tmp_path, "mypkg/__init__.py", "")
    write(tmp_path, "mypkg/const.py", "X = 2\n")
    code = {
        "r": 'source("../R/h.R")\nd <- read.csv("../data/d.csv")\nsimulate <- function(n, effect) f(n) + d$x + effect\n',
        "r whole": 'source("../R/h.R")\nargs <- commandArgs(TRUE)\nwriteLines("a", "../above.txt")\n'
        'write.csv(data.frame(m = f(as.numeric(args[1]))), "/opt/ml/processing/output/r.csv", row.names = FALSE)\n',
        "python": "from .const import X\ndef simulate(n, effect, rng):\n    return rng.normal(effect, size=n).mean() + X\n",
        "python whole": "import random, sys\nfrom .const import X\nopen('r.csv', 'w').write(f'm\\n{random.gauss(X, 1)!r}\\n')\n",
    }[kind]
    language, _, whole = kind.partition(" ")
    script = write(tmp_path, {"r": "study/analysis/sim.R", "python": "mypkg/sim.py"}[language], code)
    given = {"replications": 2, "seed": 7, "project": language == "r"}
    given |= {"args": "{n} {effect}", "results_file": "r.csv"} if whole else {}
    image = {"r": image_r, "python": image_python}[language]
    here = sf.run(script, sf.grid(DESIGN), store=tmp_path / "store", **given)
    assert here.errors().empty and len(here.results()) == 8
    docker = sf.run(script, sf.grid(DESIGN), store=tmp_path / "store", backend="docker", image=image, **given)
    there = submit(emulator, script, image, **given)
    assert digest(there) == digest(docker) == digest(here)
    names = [
        {str(path).rpartition("/artifacts/")[2].split("/", 2)[2] for path in run.artifacts()}
        for run in (here, docker, there)
    ]
    assert names == [{"r whole": {"above.txt", "r.csv"}, "python whole": {"r.csv"}}.get(kind, set())] * 3


def test_what_the_service_is_asked_for(tmp_path, emulator, image_r):
    run = submit(
        emulator, write(tmp_path, *DRAWS["r"]), image_r, instance_type=[SMALL, "ml.m5.large"], volume=12, max_runtime=600,
        tags="project=ferry, cost=low", kms_key="alias/runs", network_isolation=True,
    )  # fmt: skip
    (job,) = described(emulator)
    assert job["ProcessingJobName"] == job_name(run._folder, "0001-0001")
    assert job["ProcessingJobName"].startswith("test-what") and job["ProcessingJobName"].endswith("-0001-0001")
    assert len(job["ProcessingJobName"]) == 63 and run.id[-13:] in job["ProcessingJobName"]
    assert [i["InputName"] for i in job["ProcessingInputs"]] == ["plan", "code"]
    assert {o["OutputName"]: o["S3Output"]["S3UploadMode"] for o in job["ProcessingOutputConfig"]["Outputs"]} == {
        "blocks": "Continuous",
        "artifacts": "Continuous",
    }
    assert job["AppSpecification"]["ContainerEntrypoint"] == ["Rscript", "/opt/ml/processing/input/code/worker.R"]
    assert ".dkr.ecr.us-east-1.amazonaws.com/simferry-test-r@sha256:" in job["AppSpecification"]["ImageUri"]
    cluster = job["ProcessingResources"]["ClusterConfig"]
    assert [p["InstanceType"] for p in cluster["InstancePreferences"]] == [SMALL, "ml.m5.large"]
    assert cluster["VolumeSizeInGB"] == 12 and cluster["VolumeKmsKeyId"] == "alias/runs"
    assert job["NetworkConfig"]["EnableNetworkIsolation"] is True
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}
    tags = boto3.client("sagemaker").list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]
    own = {"made-by": "simferry", "simferry:run": run.id}
    assert {t["Key"]: t["Value"] for t in tags} == {**own, "project": "ferry", "cost": "low"}


SCRIPT = """
args <- commandArgs(TRUE)
data <- read.csv(file.path(Sys.getenv("SIMFERRY_INPUT"), "data", "data.csv"))
more <- readLines(file.path(Sys.getenv("SIMFERRY_INPUT"), "more", "text.txt"))
library(foreach); library(doParallel); registerDoParallel(2)
m <- foreach(i = 1:4, .combine = c) %dopar% mean(rnorm(as.integer(args[1])) + data$x[1])
write.csv(data.frame(m = mean(m), more = more), "/opt/ml/processing/output/result.csv", row.names = FALSE)
writeLines("kept", "/opt/ml/processing/output/note.txt")
"""


def test_a_whole_script_its_inputs_and_what_it_leaves(tmp_path, emulator, image_r):
    script = write(tmp_path, "parallel.R", SCRIPT)
    boto3.client("s3").put_object(Bucket=emulator.bucket, Key="texts/text.txt", Body=b"from S3\n")
    inputs = {"data": write(tmp_path, "data.csv", "x\n3\n"), "more": f"s3://{emulator.bucket}/texts/"}
    whole = {"args": "{n}", "results_file": "result.csv", "inputs": inputs, "replications": 2}
    run = submit(emulator, script, image_r, {"n": [10, 20]}, jobs=2, **whole)
    docker = sf.run(
        script, sf.grid(n=[10, 20]), seed=7, backend="docker", image=image_r, store=tmp_path / "store", **whole
    )
    assert digest(run) == digest(docker)
    assert set(run.results()["more"]) == {"from S3"}
    assert [p.name for p in run.artifacts(1, 2)] == ["note.txt", "result.csv"]
    assert run.artifacts(2, 1)[0].read_text() == "kept\n"
    boto3.client("s3").put_object(Bucket=emulator.bucket, Key="texts/text.txt", Body=b"another\n")
    with pytest.raises(errors.StoreError, match="are not those with which the run began"):
        run.extend(3)
    own = next(i for i in described(emulator)[0]["ProcessingInputs"] if i["InputName"] == "data")
    assert own["S3Input"]["S3Uri"] == f"{run.address}/input/data/"


def test_a_script_over_several_hosts(tmp_path, emulator, image_r):
    code = """
    library(doParallel); registerDoParallel()
    host <- foreach(i = 1:40, .combine = c) %dopar% { Sys.sleep(0.01); Sys.info()[["nodename"]] }
    write.csv(data.frame(hosts = length(unique(host))), "/opt/ml/processing/output/out.csv", row.names = FALSE)
    """
    script = write(tmp_path, "hosts.R", code)
    run = submit(emulator, script, image_r, {"n": 1}, args="{n}", results_file="out.csv", replications=1, hosts=2)
    assert described(emulator)[0]["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 2
    assert run.results()["hosts"].tolist() == [2]


def test_a_script_with_mpi_over_several_hosts(tmp_path, emulator, image_mpi):
    code = """
    import os
    from mpi4py import MPI
    total, hosts = MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank), MPI.COMM_WORLD.gather(os.environ["SM_CURRENT_HOST"])
    if MPI.COMM_WORLD.rank == 0:
        open("out.csv", "w").write(f"total,hosts\\n{total},{' '.join(hosts)}\\n")
    """
    script = write(tmp_path, "total.py", textwrap.dedent(code))
    run = submit(emulator, script, image_mpi, {}, args="", results_file="out.csv", replications=1, hosts=2, mpi=2)
    assert run.results()[["total", "hosts"]].to_numpy().tolist() == [[6, "algo-1 algo-1 algo-2 algo-2"]]


# ---- others at the same time ----


def test_a_run_that_was_moved_does_not_compute_again_what_it_has(tmp_path, emulator, image_r):
    script = write(tmp_path, *DRAWS["r"])
    run = submit(emulator, script, image_r, jobs=2)
    s3 = boto3.client("s3")
    for one in s3.list_objects_v2(Bucket=emulator.bucket, Prefix=f"simferry/{run.id}/")["Contents"]:
        s3.copy(
            {"Bucket": emulator.bucket, "Key": one["Key"]}, emulator.bucket, one["Key"].replace("simferry/", "moved/")
        )
    moved = sf.open(f"s3://{emulator.bucket}/moved/{run.id}")
    moved.resume()
    assert len(described(emulator)) == 2 and digest(moved) == digest(run)
    with pytest.raises(errors.UsageError, match="has an empty part"):
        sf.open(f"s3://{emulator.bucket}//simferry/{run.id}")


# ---- least privilege ----


def test_it_is_a_backend_of_a_sweep_file(tmp_path, emulator, image_r):
    write(tmp_path, *DRAWS["r"])
    sweep = write(
        tmp_path, "sweep.toml",
        f'[simulation]\nscript = "simulate.R"\n[design.grid]\nn = [5]\n[run]\nreplications = 4\nseed = 1\nbackend = "sagemaker"\n'
        f'[sagemaker]\nimage = "{image_r}"\nrole = "{emulator.role}"\ninstance_type = ["{SMALL}"]\n',
    )  # fmt: skip
    done = simferry("run", sweep, cwd=tmp_path)
    assert done.returncode == 0 and "4 of 4 replications done" in done.stdout, done.stderr
    assert runs.open("latest", f"s3://{emulator.bucket}/simferry").status().done == 4


def test_a_replay_runs_in_the_runs_own_image(tmp_path, emulator, image_r):
    code = 'simulate <- function(n) c(m = mean(rnorm(n)), inside = file.exists("/opt/ml"))'
    run = submit(emulator, write(tmp_path, "where.R", code), image_r, {"n": 5}, replications=3)
    row = run.results().iloc[1]
    assert sf.open(run.address).replay(1, 2) == {"m": row["m"], "inside": True}
    elsewhere = backend_of_run(run._folder, image_id="sha256:" + "0" * 64)
    with pytest.raises(errors.UsageError, match=r"which is not on this machine\ndocker pull"):
        elsewhere.foreground("replay")


# ---- the stack of simferry infra ----


def test_role_bucket_and_repository_are_those_of_the_stack(emulator, monkeypatch):
    """A run in the stack's bucket has the stack's role, which alone can read it; another one has that of the environment."""
    from simferry import infra
    from simferry.backends.processing import Sagemaker
    from simferry.sweep.options import SagemakerOptions

    other = emulator.environment["SIMFERRY_ROLE"]
    alone = Sagemaker(SagemakerOptions())
    assert alone.default_store() == f"s3://{emulator.bucket}/simferry" and alone._role("s3://a/b") == other
    outputs = infra.deploy(yes=True, tell=lambda line: None).outputs
    lab = infra.deploy("lab", yes=True, tell=lambda line: None).outputs
    with_stack = Sagemaker(SagemakerOptions())
    assert with_stack.default_store() == outputs["Store"] == f"s3://{outputs['Bucket']}/simferry"
    assert with_stack._role(f"{outputs['Store']}/run") == outputs["JobRole"] and with_stack._role("s3://a/b") == other
    assert with_stack._repository("simferry-r") == outputs["Repository"]
    assert with_stack._repository("123456789012.dkr.ecr.us-east-1.amazonaws.com/x") == ""
    named = Sagemaker(SagemakerOptions(stack="lab"))
    assert named.default_store() == lab["Store"] and named._role("s3://a/b") == lab["JobRole"]
    assert Sagemaker(SagemakerOptions(role=other, stack="lab"))._role(lab["Store"]) == other
    monkeypatch.delenv("SIMFERRY_ROLE")
    assert with_stack._role("s3://a/b") == outputs["JobRole"]
    with pytest.raises(errors.UsageError, match=r"the stack laboratory does not exist in us-east-1(?s:.*)infra.deploy"):
        Sagemaker(SagemakerOptions(stack="laboratory")).default_store()
    for name in ("lab", "simferry"):
        infra.delete(name, yes=True, tell=lambda line: None)
    with pytest.raises(
        errors.UsageError, match=r"needs the IAM role of its jobs\nsimferry.infra.deploy\(\)  makes one"
    ):
        Sagemaker(SagemakerOptions())._role("s3://a/b")


def test_a_run_of_a_stack_keeps_its_image_until_it_is_deleted(emulator, image_r, tmp_path, monkeypatch):
    """With jobs in containers: image, role, bucket and tags are those of the stack."""
    from simferry import infra

    monkeypatch.delenv("SIMFERRY_ROLE")
    monkeypatch.chdir(tmp_path)
    ecr, quiet = boto3.client("ecr"), {"yes": True, "tell": lambda line: None}
    repository = infra.deploy("lab", **quiet).outputs["Repository"].partition("/")[2]
    monkeypatch.setenv("SIMFERRY_STACK", "lab")
    script = write(tmp_path, "draw.R", "simulate <- function(n) mean(rnorm(n))")
    run = sf.run(
        script, sf.grid(n=[5]), replications=2, seed=1, backend="sagemaker", image=image_r, instance_type="ml.t3.medium"
    )
    assert run.status().state == "complete"
    (job,) = boto3.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"]
    found = boto3.client("sagemaker").list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]
    assert {one["Key"]: one["Value"] for one in found} == {
        "made-by": "simferry", "simferry:run": run.id, "simferry:stack": "lab",
    }  # fmt: skip
    assert [one.address for one in infra.list_all().runs] == [run.address]
    assert infra.prune_images(keep=0, **quiet).images == []
    sf.open(run.address).delete()
    assert len(ecr.describe_images(repositoryName=repository)["imageDetails"]) == 1
    assert [one.repository for one in infra.prune_images(keep=0, **quiet).images] == [repository]
    assert ecr.describe_images(repositoryName=repository)["imageDetails"] == []
