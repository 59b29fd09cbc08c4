"""Jobs in the emulator, asked for as AWS is asked: by boto3 and by the SDK, unmodified, over HTTP. They run in real containers."""

import datetime
import json
import os
import time

import boto3
from docker_fixtures import left_behind
from emulator_fixtures import Jobs, P
from emulator_requests import refused
from simferry.emulator import Faults

GROUP = "/aws/sagemaker/ProcessingJobs"


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


def test_a_job_of_another_region(jobs):
    """A name may be used once in each region, even at the same time; a job reaches buckets of its own region only."""
    s3 = boto3.client("s3", region_name="eu-west-1")
    s3.create_bucket(Bucket="lab-eu", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket="lab-eu", Key="a.csv", Body=b"1")
    here = jobs.sagemaker
    jobs.submit("twice", "Sys.sleep(1); cat('here')", outputs={"out": "EndOfJob"})
    request = jobs.describe("twice")
    kept = ("ProcessingJobName", "AppSpecification", "ProcessingResources", "RoleArn")
    source = {"S3Uri": "s3://lab-eu/", "LocalPath": f"{P}/input", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    given = {name: request[name] for name in kept} | {"ProcessingInputs": [{"InputName": "in", "S3Input": source}]}
    given["AppSpecification"] = {**given["AppSpecification"], "ContainerEntrypoint": ["cat", f"{P}/input/a.csv"]}
    jobs.sagemaker = boto3.client("sagemaker", region_name="eu-west-1")
    jobs.sagemaker.create_processing_job(**given)
    assert jobs.wait("twice")["ProcessingJobStatus"] == "Completed"
    jobs.sagemaker = here
    assert jobs.wait("twice")["ProcessingJobStatus"] == "Completed"
    jobs.sagemaker.create_processing_job(**{**given, "ProcessingJobName": "from-afar"})
    assert jobs.wait("from-afar")["FailureReason"].startswith(
        "ClientError: Data download failed:PermanentRedirect (301): The bucket is in this region: eu-west-1."
    )
