"""Images of jobs."""

from simferry.images import registry


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


def test_an_image_of_awss_own_is_named_with_what_to_do(jobs, image_r, monkeypatch):
    name = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
    jobs.submit("aws-s", "1", image=name)
    reason = jobs.wait("aws-s")["FailureReason"]
    assert f"{name} is an image of AWS's own" in reason and "SIMFERRY_IMAGES" in reason
    monkeypatch.setenv("SIMFERRY_IMAGES", f"sagemaker-scikit-learn={image_r}")
    jobs.submit("mine", "1", image=name)
    assert jobs.wait("mine")["ProcessingJobStatus"] == "Completed"
