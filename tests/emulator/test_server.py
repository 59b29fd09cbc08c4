"""The emulator, asked as AWS is asked: by boto3 and by the SDK, unmodified, over HTTP; jobs run in real containers."""

import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError
from docker_fixtures import left_behind
from emulator_fixtures import Jobs, P
from simferry.containers.storage import S3Storage, TransferError
from simferry.emulator import Faults
from simferry.emulator import machine as machine_module
from simferry.images import registry
from simferry.untrusted import Tree

GROUP = "/aws/sagemaker/ProcessingJobs"


def refused(code: str, words: str):
    return pytest.raises(ClientError, match=rf"(?s)\({code}\).*{words}")


# ---- jobs ----


def test_a_job_runs_and_tells_of_itself(jobs):
    jobs.put("in/data/a.txt", "abc")
    jobs.submit(
        "one",
        f"""
        cat("first\\n\\nsecond\\n"); cat("no newline at the end")
        writeLines(toupper(readLines("{P}/input/data/a.txt", warn = FALSE)), "{P}/output/b.txt")
        writeLines("well done", "/opt/ml/output/message")
        invisible(file.copy("/opt/ml/config/processingjobconfig.json", "{P}/output/config.json"))
        """,
        inputs={"data": "in/data"},
        outputs={"output": "EndOfJob"},
        Environment={"NAME": "value"},
        Tags=[{"Key": "run", "Value": "power"}],
    )
    before = jobs.describe("one")
    assert before["ProcessingJobStatus"] == "InProgress" and "ProcessingEndTime" not in before
    done = jobs.wait("one")
    assert (done["ProcessingJobStatus"], done["ExitMessage"]) == ("Completed", "well done\n")
    assert done["CreationTime"] <= done["ProcessingStartTime"] <= done["ProcessingEndTime"] <= done["LastModifiedTime"]
    assert done["Environment"] == {"NAME": "value"} and "FailureReason" not in done and "Tags" not in done
    assert jobs.get("one/output/b.txt") == "ABC\n"
    assert json.loads(jobs.get("one/output/config.json"))["ProcessingJobArn"] == done["ProcessingJobArn"]
    assert jobs.log("one") == ["first", "second", "no newline at the end"]
    tags = jobs.sagemaker.list_tags(ResourceArn=done["ProcessingJobArn"])["Tags"]
    assert tags == [{"Key": "run", "Value": "power"}]


def test_the_sdks_script_processor(jobs, tmp_path, monkeypatch, capsys):
    """sagemaker-core, unmodified; it tells its makers of every call unless a configuration says not to."""
    config = tmp_path / "config.yaml"
    config.write_text("SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n")
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(config))
    from sagemaker.core.helper import session_helper as helper
    from sagemaker.core.processing import ScriptProcessor
    from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output

    jobs.put("data/numbers.csv", "x\n1\n2\n3\n")
    script = tmp_path / "simulate.R"
    script.write_text(
        f'a <- commandArgs(TRUE); x <- read.csv("{P}/input/numbers.csv")$x\n'
        f'cat("adding", a, "\\n"); write.csv(data.frame(sum = sum(x) + as.numeric(a[2])), "{P}/output/sum.csv")\n'
    )
    bucket = jobs.emulator.bucket
    processor = ScriptProcessor(
        role=jobs.emulator.role, image_uri=jobs.image, command=["/usr/bin/Rscript"], instance_count=1,
        instance_type="ml.m5.large", volume_size_in_gb=5, max_runtime_in_seconds=600, base_job_name="social-distancing",
        sagemaker_session=helper.Session(boto_session=boto3.Session(), default_bucket=bucket),
    )  # fmt: skip
    source = ProcessingS3Input(
        s3_uri=f"s3://{bucket}/data", local_path=f"{P}/input", s3_data_type="S3Prefix", s3_input_mode="File"
    )
    target = ProcessingS3Output(s3_uri=f"s3://{bucket}/out", local_path=f"{P}/output", s3_upload_mode="EndOfJob")
    processor.run(
        code=str(script),
        inputs=[ProcessingInput(input_name="data", s3_input=source)],
        outputs=[ProcessingOutput(output_name="out", s3_output=target)],
        arguments=["--args", "1000"],
        wait=True,
        logs=True,
    )
    assert jobs.get("out/sum.csv") == '"","sum"\n"1",1006\n'
    assert "adding --args 1000" in capsys.readouterr().out
    assert jobs.describe(processor.latest_job.processing_job_name)["ProcessingJobStatus"] == "Completed"


def test_a_failed_job_and_what_it_leaves(jobs):
    script = f"""
    writeLines("kept", "{P}/now/a.txt"); writeLines("not kept", "{P}/then/a.txt")
    writeLines("no convergence", "/opt/ml/output/message"); quit(status = 3)
    """
    jobs.submit("bad", script, outputs={"now": "Continuous", "then": "EndOfJob"})
    done = jobs.wait("bad")
    assert done["ProcessingJobStatus"] == "Failed" and done["ExitMessage"] == "no convergence\n"
    assert "AlgorithmError" in done["FailureReason"] and "3" in done["FailureReason"]
    assert jobs.keys("bad/") == ["bad/now/a.txt"]


def test_outputs_and_logs_appear_while_the_job_runs_and_it_is_stopped(jobs, engine):
    script = f'writeLines("1", "{P}/now/a.txt"); cat("started\\n"); Sys.sleep(60)'
    jobs.submit("long", script, outputs={"now": "Continuous"})
    jobs.until(lambda: jobs.keys("long/") == ["long/now/a.txt"] and jobs.log("long") == ["started"])
    assert jobs.describe("long")["ProcessingJobStatus"] == "InProgress"
    jobs.sagemaker.stop_processing_job(ProcessingJobName="long")
    assert jobs.describe("long")["ProcessingJobStatus"] in ("Stopping", "Stopped")
    assert jobs.wait("long")["ProcessingJobStatus"] == "Stopped"
    assert left_behind(engine, f"simferry-emulator-{os.getpid()}") == []
    with refused("ValidationException", "because the processing job is in status Stopped"):
        jobs.sagemaker.stop_processing_job(ProcessingJobName="long")


def test_a_job_over_its_time_is_stopped(jobs):
    jobs.submit("slow", "Sys.sleep(60)", StoppingCondition={"MaxRuntimeInSeconds": 1})
    done = jobs.wait("slow")
    assert done["ProcessingJobStatus"] == "Stopped" and "FailureReason" not in done


def test_jobs_that_do_not_fit_wait_in_progress(jobs):
    for name in ("first", "second"):
        jobs.submit(name, "Sys.sleep(1)", instance_type="ml.m5.24xlarge")
    first, second = jobs.wait("first"), jobs.describe("second")
    assert second["ProcessingJobStatus"] == "InProgress"
    assert first["ProcessingEndTime"] <= jobs.wait("second")["ProcessingStartTime"]


def test_several_hosts_share_an_input_and_have_a_log_each(jobs):
    for name in "abc":
        jobs.put(f"in/data/{name}", name)
    script = (
        f'h <- Sys.info()[["nodename"]]; cat(h); writeLines(list.files("{P}/input/data"), file.path("{P}/output", h))'
    )
    jobs.submit(
        "two",
        script,
        inputs={"data": "in/data"},
        outputs={"output": "EndOfJob"},
        count=2,
        distribution="ShardedByS3Key",
    )
    assert jobs.wait("two")["ProcessingJobStatus"] == "Completed"
    assert [jobs.get(f"two/output/algo-{i}").split() for i in (1, 2)] == [["a", "c"], ["b"]]
    streams = jobs.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="two/")["logStreams"]
    assert [s["logStreamName"].split("-")[1] for s in streams] == ["1", "2"]


def test_an_input_that_is_not_there(jobs):
    jobs.submit("none", "1", inputs={"data": "no/such"})
    assert (
        f'ClientError: Data download failed:No S3 objects found under S3 URL "s3://{jobs.emulator.bucket}/no/such"'
        in jobs.wait("none")["FailureReason"]
    )


def test_many_jobs_are_accepted_at_once_and_listed_by_page(emulate):
    jobs = Jobs(emulate(faults=Faults(start_seconds=60)), "no-image")
    for i in range(25):
        jobs.submit(f"sweep-{i:02}", "1")
    jobs.submit("other", "1")
    pages = list(
        jobs.sagemaker.get_paginator("list_processing_jobs").paginate(
            NameContains="sweep", SortBy="Name", SortOrder="Descending", PaginationConfig={"PageSize": 10}
        )
    )
    assert [len(page["ProcessingJobSummaries"]) for page in pages] == [10, 10, 5]
    names = [job["ProcessingJobName"] for page in pages for job in page["ProcessingJobSummaries"]]
    assert names == [f"sweep-{i:02}" for i in range(24, -1, -1)]
    assert jobs.emulator.requests["sagemaker", "CreateProcessingJob"] == 26
    assert jobs.emulator.requests["sagemaker", "ListProcessingJobs"] == 3
    jobs.sagemaker.stop_processing_job(ProcessingJobName="other")
    assert jobs.wait("other")["ProcessingJobStatus"] == "Stopped"
    stopped = jobs.sagemaker.list_processing_jobs(StatusEquals="Stopped")["ProcessingJobSummaries"]
    assert [job["ProcessingJobName"] for job in stopped] == ["other"]


def test_names_are_looked_at_when_pages_are_cut(emulate):
    """As the service is reported to do it (boto3#3347): a page may be short, or empty, and not the last."""
    jobs = Jobs(emulate(faults=Faults(start_seconds=60)), "no-image")
    for name in ("a-mine", "b-1", "c-1", "d-1"):
        jobs.submit(name, "1")
    time.sleep(2.5)  # times travel in whole seconds
    jobs.submit("e-mine", "1")
    before = jobs.describe("e-mine")["CreationTime"] - datetime.timedelta(seconds=1)

    def pages(**asked):
        told = jobs.sagemaker.get_paginator("list_processing_jobs").paginate(
            NameContains="mine", PaginationConfig={"PageSize": 2}, **asked
        )
        return [[job["ProcessingJobName"] for job in page["ProcessingJobSummaries"]] for page in told]

    assert pages() == [["a-mine"], [], ["e-mine"]]
    assert pages(CreationTimeBefore=before) == [["a-mine"], []]  # times, and states, are looked at first
    assert pages(StatusEquals="Completed") == [[]]


# ---- images ----


def test_an_image_of_ecr_is_the_one_that_was_pushed(jobs, image_r):
    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    pushed = registry.push(image_r, f"{host}/lab")
    again = registry.push(image_r, f"{host}/lab")
    assert not pushed.skipped and again.skipped and (again.uri, again.digest) == (pushed.uri, pushed.digest)
    by_digest = f"{pushed.uri.rpartition(':')[0]}@{pushed.digest}"
    for name, image in (("by-tag", pushed.uri), ("by-digest", by_digest)):
        jobs.submit(name, "1", image=image)
        assert jobs.wait(name)["ProcessingJobStatus"] == "Completed"
    jobs.submit("no-tag", "1", image=f"{pushed.uri.rpartition(':')[0]}:other")
    jobs.submit("no-repository", "1", image=f"{host}/other:1")
    jobs.submit("not-here", "1", image="simferry-nothing")
    assert jobs.wait("no-tag")["FailureReason"] == f"ClientError: The image '{host}/{by_tag(pushed)}' does not exist."
    assert "Cannot find repository: other in registry ID: 123456789012" in jobs.wait("no-repository")["FailureReason"]
    assert "The image 'simferry-nothing' does not exist" in jobs.wait("not-here")["FailureReason"]


def by_tag(pushed) -> str:
    return f"lab/{pushed.uri.rpartition('/')[2].partition(':')[0]}:other"


# ---- requests that are refused ----


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"instance_type": "ml.m5.huge"}, "failed to satisfy constraint: Member must satisfy enum value set"),
        ({"Environment": {"A": "x" * 257}}, "at 'environment"),
        (
            {"role": "arn:aws:iam::123456789012:role/other"},
            "Could not assume role arn:aws:iam::123456789012:role/other",
        ),
        ({"mode": "Pipe"}, "does not have the input mode Pipe"),
        ({"local_path": "/tmp/data"}, "LocalPath must begin with /opt/ml/processing/"),
        ({"local_path": f"{P}/../../x"}, "LocalPath must begin with /opt/ml/processing/"),
    ],
)
def test_requests_that_the_service_refuses(emulator, change, words):
    with refused("ValidationException", words):
        Jobs(emulator, "no-image").submit("bad", "1", inputs={"data": "in"}, **change)


@pytest.mark.parametrize("header", [{"Origin": "https://a-page.example"}, {"Host": "a-page.example"}])
def test_a_web_page_cannot_start_a_job(emulator, header):
    """Without signature or special headers, as a browser sends it without asking first."""
    query = "X-Amz-Credential=x/20260101/us-east-1/sagemaker/aws4_request&Action=CreateProcessingJob"
    request = urllib.request.Request(f"{emulator.url}/?{query}", b"{}", {"Content-Type": "text/plain", **header})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 403 and "no web pages" in caught.value.read().decode()


def test_names_are_unique_for_ever(emulate):
    jobs = Jobs(emulate(faults=Faults(start_seconds=60)), "no-image")
    jobs.submit("one", "1")
    jobs.sagemaker.stop_processing_job(ProcessingJobName="one")
    jobs.wait("one")
    with refused("ResourceInUse", "Job name must be unique within an AWS account and region"):
        jobs.submit("one", "1")
    with refused("ValidationException", "Could not find requested job with name: two"):
        jobs.describe("two")


def test_quotas_and_the_next_type_in_line(emulate):
    quotas = {"ml.c5.4xlarge": 2, "ml.c5.9xlarge": 1, "ml.p3.2xlarge": 0}
    jobs = Jobs(emulate(quotas=quotas, faults=Faults(start_seconds=60)), "no-image")
    jobs.submit("a", "1", instance_type="ml.c5.4xlarge")
    with refused(
        "ResourceLimitExceeded",
        "The account-level service limit 'ml.c5.4xlarge for processing job usage' is 2 Instances, with current utilization of "
        "1 Instances and a request delta of 2 Instances",
    ):
        jobs.submit("b", "1", instance_type="ml.c5.4xlarge", count=2)
    with refused("ResourceLimitExceeded", "is 0 Instances"):
        jobs.submit("c", "1", instance_type="ml.p3.2xlarge")
    jobs.submit("d", "1", instance_type="ml.c5.4xlarge")
    jobs.submit("e", "1", preferences=["ml.c5.4xlarge", "ml.c5.9xlarge"])
    with refused("ResourceLimitExceeded", "ml.c5.4xlarge for processing job usage"):
        jobs.submit("f", "1", preferences=["ml.c5.4xlarge", "ml.c5.9xlarge"])
    jobs.sagemaker.stop_processing_job(ProcessingJobName="a")
    jobs.wait("a")
    jobs.submit("f", "1", preferences=["ml.c5.4xlarge", "ml.c5.9xlarge"])


# ---- faults ----


def test_throttled_requests(emulate):
    emulator = emulate(faults=Faults(seed=1, throttle=0.5))

    def throttled() -> list[bool]:
        once = boto3.client("sagemaker", config=boto3.session.Config(retries={"total_max_attempts": 1}))
        out = []
        for _ in range(20):
            try:
                once.list_processing_jobs()
                out.append(False)
            except ClientError as error:
                assert error.response["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
                out.append(True)
        return out

    first = throttled()
    assert 4 <= sum(first) <= 16
    boto3.client("s3").list_buckets()  # not throttled
    emulator.faults.throttle = 0
    assert not any(throttled())
    emulate(faults=Faults(seed=1, throttle=0.5))
    assert throttled() == first  # the same seed, the same faults


def test_no_capacity(emulate, image_r):
    jobs = Jobs(emulate(faults=Faults(capacity=1)), image_r)
    jobs.submit("none", "1")
    done = jobs.wait("none")
    assert "CapacityError: Unable to provision requested ML compute capacity" in done["FailureReason"]
    assert "ProcessingStartTime" not in done
    jobs.emulator.faults.capacity = 0
    jobs.submit("some", "1", preferences=["ml.t3.medium", "ml.m5.large"])
    cluster = jobs.wait("some")["ProcessingResources"]["ClusterConfig"]
    assert (cluster["SelectedInstanceType"], cluster["SelectedInstanceCount"]) == ("ml.t3.medium", 1)


def test_a_host_that_is_lost(emulate, image_r):
    jobs = Jobs(emulate(faults=Faults(lost_host=1)), image_r)
    jobs.submit("lost", "Sys.sleep(60)")
    done = jobs.wait("lost")
    assert done["FailureReason"] == "InternalServerError: We encountered an internal error.  Please try again."


def test_a_list_that_is_behind(emulate):
    jobs = Jobs(emulate(faults=Faults(start_seconds=60, list_lag_seconds=1)), "no-image")
    jobs.submit("new", "1")

    def listed():
        return [job["ProcessingJobName"] for job in jobs.sagemaker.list_processing_jobs()["ProcessingJobSummaries"]]

    assert listed() == [] and jobs.describe("new")["ProcessingJobStatus"] == "InProgress"
    jobs.until(lambda: listed() == ["new"])
    assert time.time() - jobs.describe("new")["CreationTime"].timestamp() >= 1


def test_faults_are_drawn_for_each_kind_apart():
    one, other = Faults(seed=3, capacity=0.5, throttle=0.5), Faults(seed=3, capacity=0.5)
    for _ in range(7):
        one.throttles()
    assert [one.has_capacity() for _ in range(20)] == [other.has_capacity() for _ in range(20)]
    assert {one.has_capacity() for _ in range(20)} == {True, False}


# ---- inputs ----


@pytest.mark.parametrize(
    ("prefix", "files"),
    [
        ("data/train", ["a.csv", "sub/b.csv", "train-2.csv"]),
        ("data/train/", ["a.csv", "sub/b.csv"]),
        ("data/train/a.csv", ["a.csv"]),
        ("data", ["train-2.csv", "train/a.csv", "train/sub/b.csv"]),
        ("", ["data/train-2.csv", "data/train/a.csv", "data/train/sub/b.csv"]),
    ],
)
def test_what_is_under_a_prefix(emulator, tmp_path, prefix, files):
    s3 = boto3.client("s3")
    for key in ("data/train/", "data/train/a.csv", "data/train/sub/b.csv", "data/train-2.csv"):
        s3.put_object(Bucket=emulator.bucket, Key=key, Body=key.encode())
    source = {"S3Uri": f"s3://{emulator.bucket}/{prefix}", "S3DataType": "S3Prefix"}
    S3Storage(s3, emulator.role, {}).fetch(source, tmp_path, 0, 1)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == files


def test_a_manifest_and_names_that_lead_elsewhere(emulator, tmp_path):
    s3 = boto3.client("s3")
    manifest = [{"prefix": f"s3://{emulator.bucket}/data/"}, "a.csv", "sub/b.csv"]
    for key, text in (
        ("m.json", json.dumps(manifest)),
        ("data/a.csv", "a"),
        ("data/sub/b.csv", "b"),
        ("x/../../y", "y"),
    ):
        s3.put_object(Bucket=emulator.bucket, Key=key, Body=text.encode())
    storage = S3Storage(s3, emulator.role, {})
    source = {"S3Uri": f"s3://{emulator.bucket}/m.json", "S3DataType": "ManifestFile"}
    storage.fetch({**source, "S3DataDistributionType": "ShardedByS3Key"}, tmp_path, 1, 2)
    assert [p.name for p in tmp_path.rglob("*.csv")] == ["b.csv"]
    with pytest.raises(TransferError, match="is no file's name"):
        storage.fetch({"S3Uri": f"s3://{emulator.bucket}/x", "S3DataType": "S3Prefix"}, tmp_path, 0, 1)
    for name in (str(tmp_path / "outside"), "../outside", ""):
        manifest = json.dumps([{"prefix": f"s3://{emulator.bucket}/data/a.csv"}, name])
        s3.put_object(Bucket=emulator.bucket, Key="m.json", Body=manifest.encode())
        s3.put_object(Bucket=emulator.bucket, Key=f"data/a.csv{name}", Body=b"planted")
        with pytest.raises(TransferError, match="is no file's name"):
            storage.fetch(source, tmp_path / "job", 0, 1)
    assert not (tmp_path / "outside").exists()
    with pytest.raises(TransferError, match=r"ListObjectsV2 failed .* \(NoSuchBucket\)"):
        storage.fetch({"S3Uri": "s3://nowhere/x", "S3DataType": "S3Prefix"}, tmp_path, 0, 1)


def test_an_output_whose_name_no_list_can_show_is_passed_over(emulator, tmp_path):
    for name in ("a", "a\nb", "\x1b[2Jc"):
        (tmp_path / name).write_text(name)
    tree, s3 = Tree(tmp_path), boto3.client("s3")
    S3Storage(s3, emulator.role, {}).send(tree, f"s3://{emulator.bucket}/out")
    listed = s3.list_objects_v2(Bucket=emulator.bucket, Prefix="out/")["Contents"]
    assert [one["Key"] for one in listed] == ["out/a"]
    assert list(tree.passed_over) == ["\x1b[2Jc", "a\nb"]
    with pytest.raises(ClientError, match="does not answer s3:keys with a line break"):
        s3.put_object(Bucket=emulator.bucket, Key="a\nb", Body=b"")


# ---- the command ----


def start_command(*arguments: str) -> tuple[subprocess.Popen, dict]:
    command = [sys.executable, "-m", "simferry", "emulator", "--port", "0", "--json", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())


class Remote:
    """An emulator of another process."""

    def __init__(self, said: dict) -> None:
        self.bucket, self.role, self.environment = said["bucket"], said["role"], said["environment"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_cleanly(number, monkeypatch, image_r, engine):
    process, said = start_command()
    for name, value in said["environment"].items():
        monkeypatch.setenv(name, value)
    jobs = Jobs(Remote(said), image_r)
    jobs.submit("one", f'writeLines("1", "{P}/now/a"); Sys.sleep(60)', outputs={"now": "Continuous"})
    jobs.until(lambda: jobs.keys("one/"))
    owner = f"simferry-emulator-{process.pid}"
    assert left_behind(engine, owner) == ["one-algo-1"]
    process.send_signal(number)
    out, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    assert [line["event"].split("  ")[1].split()[0] for line in map(json.loads, out.splitlines())] == [
        "accepted,", "running", "Stopped",
    ]  # fmt: skip
    assert left_behind(engine, owner) == []


def test_what_a_killed_emulator_leaves_is_removed_by_the_next(emulate, monkeypatch, image_r, engine):
    process, said = start_command()
    for name, value in said["environment"].items():
        monkeypatch.setenv(name, value)
    jobs = Jobs(Remote(said), image_r)
    jobs.submit("one", "Sys.sleep(60)")
    owner = f"simferry-emulator-{process.pid}"
    jobs.until(lambda: left_behind(engine, owner))
    process.kill()
    process.communicate()
    assert left_behind(engine, owner) == ["one-algo-1"]
    emulate()
    assert left_behind(engine, owner) == []


def test_what_others_put_beside_it_is_left_alone(tmp_path, monkeypatch):
    """Whoever can write to /tmp could have the next emulator open a folder of the host's, or end another one's containers."""
    asked = []
    monkeypatch.setattr(machine_module.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(machine_module, "connect", lambda: asked.append("engine"))
    monkeypatch.setattr(machine_module.container_job, "leftovers", lambda *_: None)
    host = tmp_path / "host"
    host.mkdir()
    (host / "emulator.json").write_text('{"pid": 999999, "started": 1.0}')
    (tmp_path / "simferry-emulator-1-link").symlink_to(host)
    shutil.copytree(host, tmp_path / "simferry-emulator-2-theirs")
    with monkeypatch.context() as other:
        other.setattr(os, "geteuid", lambda: os.getuid() + 1)
        machine_module.clean_up_killed_emulators()
    assert asked == [] and (tmp_path / "simferry-emulator-2-theirs").exists()
    machine_module.clean_up_killed_emulators()
    assert asked == ["engine"] and host.exists() and not (tmp_path / "simferry-emulator-2-theirs").exists()


def test_a_port_that_is_taken(emulator):
    done = subprocess.run(
        [sys.executable, "-m", "simferry", "emulator", "--port", str(emulator.port)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"simferry: port {emulator.port} is in use"


def test_a_quota_of_an_instance_type_that_does_not_exist():
    done = subprocess.run(
        [sys.executable, "-m", "simferry", "emulator", "--quota", "ml.c5.3xlarge=1"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "there is no instance type 'ml.c5.3xlarge'" in done.stderr
