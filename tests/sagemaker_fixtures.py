"""What the tests of version 2's names share."""

import json

import pytest
import simferry.sagemaker as sagemaker
from aws_fixtures import ACCOUNT, REGION, ROLE
from simferry.sagemaker.processing import ScriptProcessor

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/my_simulation:latest"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"
TIMED = r"\d{4}(-\d\d){5}-\d{3}"

SIMULATE_R = """
library(doParallel)
arguments <- commandArgs(trailingOnly = TRUE)
iterations <- as.integer(arguments[length(arguments)])
rooms <- read.csv("/opt/ml/processing/input/data.csv")
registerDoParallel(2)
near <- foreach(i = seq_len(iterations), .combine = c) %dopar% {
  set.seed(i)
  places <- cbind(runif(rooms$people, 0, rooms$length), runif(rooms$people, 0, rooms$width))
  2 * sum(dist(places) < 6) / rooms$people
}
cat("iterations:", length(near), "\\n")
write.csv(data.frame(mean = mean(near), iterations = iterations), "/opt/ml/processing/output/mean.csv", row.names = FALSE)
"""

# as published for version 2, but for the import line (and the region's image)
SUBMIT_R = """
library(reticulate)
sagemaker <- reticulate::import("simferry.sagemaker")
session <- sagemaker$Session()
bucket <- session$default_bucket()
role <- sagemaker$get_execution_role()
container <- Sys.getenv("CONTAINER")
data <- session$upload_data(path = "data.csv", bucket = bucket, key_prefix = "rooms")
processor <- sagemaker$processing$ScriptProcessor(role = role, image_uri = container, command = list('/usr/bin/Rscript'),
                                                  instance_count = 1, instance_type = 'ml.m5.4xlarge',
                                                  volume_size_in_gb = 5, max_runtime_in_seconds = 3600,
                                                  base_job_name = 'social-distancing', sagemaker_session = session)
result <- processor$run(code = 'simulate.R',
                        inputs = list(sagemaker$processing$ProcessingInput(source = data, destination = '/opt/ml/processing/input')),
                        outputs = list(sagemaker$processing$ProcessingOutput(source = '/opt/ml/processing/output')),
                        arguments = list('--args', 1000), wait = TRUE, logs = TRUE)
cat("job:", processor$latest_job$job_name, "\\n")
cat("status:", processor$latest_job$describe()$ProcessingJobStatus, "\\n")
output <- sprintf("s3://%s/%s/output/output-1", bucket, processor$latest_job$job_name)
stopifnot(processor$latest_job$outputs[[1]]$destination == output)
sagemaker$s3$S3Downloader$download(paste0(output, "/mean.csv"), "results")
found <- read.csv("results/mean.csv")
cat("read back:", found$iterations, found$mean, "\\n")
failed <- tryCatch(processor$run(code = 'simulate.R', arguments = list(strrep("x", 300)), wait = FALSE), error = conditionMessage)
cat("refused:", failed, "\\n")
"""


@pytest.fixture
def session(account):
    return sagemaker.Session()


@pytest.fixture
def sent(account):
    """The requests for jobs that go to SageMaker from here on."""
    seen = []
    account("sagemaker").meta.events.register(
        "before-call.sagemaker.CreateProcessingJob", lambda params, **_: seen.append(json.loads(params["body"]))
    )
    return seen


@pytest.fixture
def r_script(tmp_path, monkeypatch):
    """A script and data in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simulate.R").write_text("cat('hello')")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x\n1\n")
    (tmp_path / "empty" / "within").mkdir(parents=True)
    return "simulate.R"


def processor(**options):
    options = {"instance_count": 1, "instance_type": "ml.m5.xlarge", "command": ["/usr/bin/Rscript"], **options}
    return ScriptProcessor(role=ROLE, image_uri=IMAGE, **options)
