"""What is refused on SageMaker before money is spent, and what leads elsewhere."""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
import simferry as sf
from sagemaker_sweeps import SLOW, SMALL, described, detached, refused, submit
from simferry import errors
from simferry.aws import session
from sweeps import DRAWS, write


@pytest.mark.parametrize("change", [{"plan": "../../../outside"}, {"files": "../../outside"}])
def test_a_plan_that_leads_elsewhere_is_refused(tmp_path, emulator, image_r, change, monkeypatch):
    import json

    run = detached(emulator, write(tmp_path, "slow.R", SLOW), image_r, {"n": 5}, replications=4)
    s3, key = boto3.client("s3"), f"simferry/{run.id}/plan/0001/plan.json"
    plan = json.loads(s3.get_object(Bucket=emulator.bucket, Key=key)["Body"].read())
    s3.put_object(Bucket=emulator.bucket, Key=key, Body=json.dumps({**plan, **change}).encode())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    found = sf.open(run.address)
    if "plan" in change:
        assert list(found.status().jobs) == ["0001-0001"]
    else:
        with pytest.raises(errors.StoreError, match="has a wrong folder of jobs"):
            found.status()


def test_a_service_that_answers_with_errors_is_waited_for_with_a_note(monkeypatch):
    """One note, at the second attempt: all of them take minutes."""
    answers = []

    class Unavailable(BaseHTTPRequestHandler):
        def do_POST(self):
            answers.append(self.path)
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Unavailable) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", url := f"http://127.0.0.1:{server.server_port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        session.session.cache_clear()
        session.client.cache_clear()
        noted = pytest.warns(errors.Note, match=f"{url} answers with errors; it is asked again")
        with noted as notes, pytest.raises(errors.NoAnswer), session.asking("this account"):
            session.client("sts", "us-east-1", 3).get_caller_identity()
        server.shutdown()
    assert len(answers) == 3 and len(notes) == 1
    session.session.cache_clear()
    session.client.cache_clear()


def test_what_is_refused_before_money_is_spent(tmp_path, emulator, image_r, monkeypatch):
    script = write(tmp_path, *DRAWS["r"])
    s3 = boto3.client("s3")

    def says(image=image_r, **given):
        return refused(emulator, script, image, **given)

    assert "there is no bucket nowhere-at-all" in says(store="s3://nowhere-at-all/runs")
    s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert "far-away is in eu-west-1, and the configured region is us-east-1" in says(store="s3://far-away/runs")
    s3.create_bucket(Bucket="open-to-all")
    s3.put_bucket_acl(Bucket="open-to-all", ACL="public-read")
    assert "open-to-all is public by its access control list" in says(store="s3://open-to-all/runs")
    assert "is not in S3" in says(store=str(tmp_path / "runs"))
    assert "Did you mean ml.c5.4xlarge" in says(instance_type="ml.c5.4xlareg")
    absent = "123456789012.dkr.ecr.us-east-1.amazonaws.com/nothing:1"
    assert f"there is no image {absent} in ECR" in says(image=absent)
    assert "there is no image simferry-nothing in this account's ECR" in says(image="simferry-nothing")
    monkeypatch.delenv("SIMFERRY_ROLE")
    assert "needs the IAM role" in says(role=None)
    assert "there is nothing at s3://" in says(inputs={"data": f"s3://{emulator.bucket}/not/there.csv"})
    assert "has no option rule" in says(rule="x")
    assert "SageMaker allows 777600" in says(max_runtime=1_000_000)
    assert not described(emulator)
    wrong_role = says(role="arn:aws:iam::123456789012:role/nobody", asked=1)
    assert "nobody" in wrong_role and "assume" in wrong_role


def test_a_quota_of_zero(tmp_path, emulate, image_r):
    emulator = emulate(quotas={SMALL: 0})
    script = write(tmp_path, *DRAWS["r"])
    assert f"quota for processing jobs on {SMALL} is 0" in refused(emulator, script, image_r, asked=1)
    assert "and a job needs 2" in refused(emulate(quotas={SMALL: 1}), write(tmp_path, "all.R", "1"), image_r, asked=1,
                                          hosts=2, args="{n} {effect}")  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "there are no AWS credentials"),
        ({"AWS_DEFAULT_REGION": None}, "no AWS region is set"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "does not answer"),
        ({"AWS_PROFILE": "nobody"}, "nobody"),
    ],
)
def test_a_configuration_that_does_not_work(tmp_path, emulator, image_r, variables, words):
    script = write(tmp_path, *DRAWS["r"])
    environment = {**os.environ, **{k: v for k, v in variables.items() if v}}
    for name in [k for k, v in variables.items() if v is None]:
        del environment[name]
    done = subprocess.run(
        [sys.executable, "-m", "simferry", "run", script, "-p", "n=5", "-n", "2", "--backend", "sagemaker",
         "--image", image_r, "--role", emulator.role],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "emulator\n" not in done.stderr


def test_what_the_documented_policies_do_not_allow_is_denied(tmp_path, emulate, image_r):
    emulator = emulate(iam=True)
    with pytest.raises(session.AwsError, match="access to bucket somebody-elses-bucket is denied"):
        submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, store="s3://somebody-elses-bucket/runs")


def test_what_is_refused_leaves_nothing_in_the_store(tmp_path, emulator, image_r):
    script = write(tmp_path, *DRAWS["r"])
    assert "or SIMFERRY_ROLE" in refused(
        emulator, script, image_r, role="arn:aws:iam::123456789012:role/nobody", asked=1
    )
    assert "is not a role" in refused(emulator, script, image_r, role="arn:aws:iam::123456789012:user/me")
    said = refused(emulator, script, image_r, budget=0.0001, jobs=2)
    assert "the start costs $0.0083" in said and "budget=0.01, or more" in said
    assert sf.runs(f"s3://{emulator.bucket}/simferry") == []
