"""One job under SageMaker Processing's contract, in real containers: what a script finds there, and how jobs end."""

import time

import pytest
from container_jobs import P, output, request, run
from docker.errors import APIError
from simferry.containers.storage import local_uri


def test_a_non_zero_exit_is_a_failure(job):
    outcome = run(job('writeLines("no convergence", "/opt/ml/output/message"); quit(status = 3)'))
    assert outcome.status == "Failed"
    assert outcome.exit_message == "no convergence\n"
    assert "exited with code 3" in outcome.failure_reason


def test_the_exit_message_is_cut_at_a_kilobyte(job):
    outcome = run(job('cat(strrep("x", 5000), file = "/opt/ml/output/message")'))
    assert outcome.exit_message == "x" * 1024


def test_an_exit_message_that_is_no_text_is_the_clients_fault(job):
    outcome = run(job('writeBin(as.raw(c(0xff, 0x41)), "/opt/ml/output/message")'))
    assert (outcome.status, outcome.exit_message) == ("Failed", "A")
    assert outcome.failure_reason == "ClientError: /opt/ml/output/message is not encoded in UTF-8"


def test_a_folder_in_the_place_of_the_exit_message_is_no_message(job):
    outcome = run(job('dir.create("/opt/ml/output/message"); quit(status = 3)'))
    assert (outcome.status, outcome.exit_message) == ("Failed", "")


def test_a_job_that_runs_too_long_is_stopped(job):
    limit = {"StoppingCondition": {"MaxRuntimeInSeconds": 1}}
    outcome = run(job("Sys.sleep(60)", **limit))
    assert outcome.status == "Stopped"
    assert "longer than 1 s" in outcome.failure_reason


def test_memory_is_the_instances(job):
    # a t3.medium has 4 GiB: half of this is too much. The process that asks is the first one, so the job ends.
    outcome = run(job("x <- numeric(1e9); x[] <- 1; print(length(x))"))
    assert outcome.status == "Failed"
    assert "out of memory" in outcome.failure_reason
    assert "ml.t3.medium has 4 GiB" in outcome.failure_reason


def test_continuous_outputs_appear_while_the_job_runs(job, tmp_path):
    script = f'writeLines("early", "{P}/now/a.txt"); Sys.sleep(30)'
    outputs = [output(tmp_path / "now", "now", "Continuous"), output(tmp_path / "then", "then")]
    made = job(script, ProcessingOutputConfig={"Outputs": outputs})
    made.start()
    until = time.monotonic() + 20
    while not (tmp_path / "now" / "a.txt").exists():
        assert made.poll().status == "InProgress"
        assert time.monotonic() < until
        time.sleep(0.05)
    made.stop("enough")
    assert made.poll().status in ("InProgress", "Stopped")
    while made.poll().status == "InProgress":
        time.sleep(0.05)
    assert (tmp_path / "now" / "a.txt").read_text() == "early\n"


def test_hosts_see_each_other_and_their_share_of_the_inputs(job, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in "abcd":
        (data / f"{name}.txt").write_text(name)
    script = f"""
    host <- Sys.info()[["nodename"]]
    other <- setdiff(c("algo-1", "algo-2"), host)
    until <- Sys.time() + 10
    while (suppressWarnings(system2("getent", c("hosts", other), stdout = FALSE)) != 0) stopifnot(Sys.time() < until)
    writeLines(c(list.files("{P}/input/shared"), "|", list.files("{P}/input/all")), file.path("{P}/output", host))
    Sys.sleep(3)  # until the other has seen this one
    """
    source = {"S3Uri": local_uri(data), "S3DataType": "S3Prefix", "S3InputMode": "File"}
    shared = {**source, "LocalPath": f"{P}/input/shared", "S3DataDistributionType": "ShardedByS3Key"}
    everything = {**source, "LocalPath": f"{P}/input/all", "S3DataDistributionType": "FullyReplicated"}
    (tmp_path / "code").mkdir(exist_ok=True)
    code = request("an-image", tmp_path / "code")["ProcessingInputs"]
    inputs = [*code, {"InputName": "shared", "S3Input": shared}, {"InputName": "all", "S3Input": everything}]
    outputs = {"Outputs": [output(tmp_path / "out")]}
    made = job(script, hosts=2, ProcessingInputs=inputs, ProcessingOutputConfig=outputs)
    outcome = run(made)
    assert outcome.status == "Completed", made.kept_logs
    seen = {host: (tmp_path / "out" / host).read_text().split("|") for host in ("algo-1", "algo-2")}
    assert [s[0].split() for s in seen.values()] == [["a.txt", "c.txt"], ["b.txt", "d.txt"]]
    assert all(s[1].split() == ["a.txt", "b.txt", "c.txt", "d.txt"] for s in seen.values())


def test_a_lost_host_fails_the_job_and_is_named(job):
    made = job("Sys.sleep(60)", hosts=2)
    made.start()
    made.hosts["algo-2"].container.kill()
    while (outcome := made.poll()).status == "InProgress":
        time.sleep(0.05)
    assert outcome.status == "Failed"
    assert "host algo-2 was lost" in outcome.failure_reason


def test_what_cannot_start_leaves_nothing_behind(job):
    made = job("1")
    made.request["AppSpecification"]["ContainerEntrypoint"] = ["no-such-program"]
    with pytest.raises(APIError, match="no-such-program"):
        made.start()


def test_no_file_of_the_host_comes_out_of_a_container(job, tmp_path):
    """Links in every place that is read, set while the job runs and at its end, and what is no file at all."""
    secret = tmp_path / "host" / "secret"
    secret.parent.mkdir()
    secret.write_text("the host's")
    other = f"{P}/continuous"
    script = f"""
    host <- "{secret.parent}"
    file.symlink(file.path(host, "secret"), "/opt/ml/output/message")
    dir.create("{P}/output/kept"); writeLines("mine", "{P}/output/kept/file"); file.link("{P}/output/kept/file", "{P}/output/second")
    file.symlink(file.path(host, "secret"), "{P}/output/link")
    file.symlink(host, "{P}/output/folder")
    system("mkfifo {P}/output/fifo; truncate -s 10T {P}/output/holes")
    unlink("{other}", recursive = TRUE); file.symlink(host, "{other}")
    Sys.sleep(1)
    """
    outputs = [output(tmp_path / "out"), output(tmp_path / "meanwhile", "continuous", "Continuous")]
    made = job(script, ProcessingOutputConfig={"Outputs": outputs})
    outcome = run(made)
    assert (outcome.status, outcome.exit_message) == ("Completed", "")
    written = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if not p.is_dir()}
    assert written == {"kept/file", "second"}
    assert (tmp_path / "out" / "second").read_text() == "mine\n"
    assert list((tmp_path / "meanwhile").iterdir()) == []
    for name, why in {
        "output/link": "link",
        "output/folder": "link",
        "output/fifo": "fifo",
        "continuous": "link",
    }.items():
        assert f"simferry: '{P}/{name}' is left out: it is a {why}" in made.kept_logs["algo-1"]
    assert "holes' is left out: it has 10,995,116,277,760 bytes" in made.kept_logs["algo-1"]
    assert secret.read_text() == "the host's"


def test_a_message_is_read_as_far_as_it_is_wanted(job):
    outcome = run(job('system("truncate -s 10T /opt/ml/output/message")'))
    assert (outcome.status, outcome.exit_message) == ("Completed", "\0" * 1024)
