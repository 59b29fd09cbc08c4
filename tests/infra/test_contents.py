"""What is in a bucket: runs and sizes, in few requests."""

from datetime import timezone

import boto3
import pytest
from simferry.aws.session import AwsError
from simferry.infra import contents
from simferry.infra.contents import runs_in

RUNS = [f"power-20261128-0123abc{n}" for n in range(4)]


@pytest.fixture
def s3(emulator):
    """Its default bucket has three runs, one of them below another folder, and what is left of one."""
    s3 = boto3.client("s3")
    for key in [
        *(f"simferry/{RUNS[0]}/{name}" for name in ("blocks/a", "run.json")), f"simferry/{RUNS[1]}/run.json",
        f"lab/x/{RUNS[2]}/run.json", f"simferry/{RUNS[3]}/blocks/a", "lab/other", "simferry/note",
    ]:  # fmt: skip
        s3.put_object(Bucket=emulator.bucket, Key=key, Body=b"12345")
    emulator.requests.clear()
    return s3


def test_sizes_of_runs_come_from_one_listing(emulator, s3):
    found = contents.contents(emulator.bucket)
    assert (found.objects, found.gigabytes, found.complete) == (7, 35e-9, True)
    begin = f"s3://{emulator.bucket}"
    assert {one.address: (one.objects, one.gigabytes, one.whole, one.complete) for one in found.runs} == {
        f"{begin}/simferry/{RUNS[0]}": (2, 10e-9, True, True), f"{begin}/simferry/{RUNS[1]}": (1, 5e-9, True, True),
        f"{begin}/lab/x/{RUNS[2]}": (1, 5e-9, True, True), f"{begin}/simferry/{RUNS[3]}": (1, 5e-9, False, True),
    }  # fmt: skip
    assert all(one.changed.tzinfo == timezone.utc or one.changed.utcoffset() is not None for one in found.runs)
    assert emulator.requests["s3", "GET"] == 1
    assert contents.contents(emulator.bucket, "lab/").objects == 2


def test_a_large_bucket_is_a_lower_bound_and_its_other_runs_are_named(emulator, s3, monkeypatch):
    for n in range(1000):  # a page, with which the listing is at its end
        s3.put_object(Bucket=emulator.bucket, Key=f"simferry/{RUNS[0]}/blocks/{n:04}", Body=b"1")
    monkeypatch.setattr(contents, "LOOKED_AT", 1000)
    found = contents.contents(emulator.bucket)
    assert not found.complete and found.objects == 1000
    by_name = {one.address.rpartition("/")[2]: one for one in found.runs}
    assert set(by_name) == set(RUNS)
    assert by_name[RUNS[2]].complete and not by_name[RUNS[0]].complete and by_name[RUNS[0]].whole
    assert (by_name[RUNS[1]].objects, by_name[RUNS[1]].complete) == (0, False)


def test_runs_are_found_in_any_folder(emulator, s3, monkeypatch):
    begin = f"s3://{emulator.bucket}"
    assert set(runs_in(emulator.bucket)) == {
        (f"{begin}/lab/x", RUNS[2]), *((f"{begin}/simferry", RUNS[n]) for n in (0, 1, 3))
    }  # fmt: skip
    assert emulator.requests["s3", "GET"] == 4  # the bucket, lab, lab/x, simferry
    monkeypatch.setattr(contents, "FOLDERS", 3)
    with pytest.raises(AwsError, match="has more than 3 folders, and is not searched for runs"):
        list(runs_in(emulator.bucket))


def test_a_bucket_that_is_not_there(emulator):
    with pytest.raises(AwsError, match="NoSuchBucket"):
        contents.contents("nowhere-at-all")
