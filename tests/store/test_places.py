"""Where a store is: addresses, SIMFERRY_STORE, the default."""

import re

import boto3
import pytest
import simferry as sf
from simferry.errors import Note, RunNotFound, UsageError
from simferry.sagemaker.values import is_s3
from simferry.store.places import find_run, remember, store_at
from simferry.sweep.inputs import as_inputs


@pytest.mark.parametrize(
    "address, why",
    [
        ("s3:///folder", "has no bucket"),
        ("s3://", "has no bucket"),
        ("s3://bucket/a?b", r"has a '\?'"),
        ("s3://bucket/a#b", "has a '#'"),
        ("s3://bucket/../other", r"a part '.' or '..'"),
        ("s3://bucket/a/./b", r"a part '.' or '..'"),
        ("s3://bucket/a\\b", "which is not allowed in an address"),
        ("s3://bucket/a\nb", "which is not allowed in an address"),
        ("s3://buc ket/a", "is not a bucket name"),
    ],
)
def test_an_address_that_could_be_read_as_another_is_refused(address, why):
    """As a store, an input, and what simferry.sagemaker is given; before anybody is asked."""
    with pytest.raises(UsageError, match=why):
        store_at(address)
    with pytest.raises(UsageError, match=why):
        as_inputs({"data": address})
    if "\n" not in address:  # which its parser removes
        with pytest.raises(UsageError, match=why):
            is_s3(address)


def test_an_address_of_an_unknown_kind_is_refused():
    with pytest.raises(UsageError, match=r"s4://bucket/runs is not a store\nDid you mean s3"):
        store_at("s4://bucket/runs")


def test_the_store_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SIMFERRY_STORE", str(tmp_path / "elsewhere"))
    assert store_at().path == tmp_path / "elsewhere"
    monkeypatch.delenv("SIMFERRY_STORE")
    monkeypatch.chdir(tmp_path)
    assert store_at().path == tmp_path / "simferry-runs"


def test_a_run_whose_store_was_not_named_is_found_without_naming_it(place, tmp_path, monkeypatch):
    """A backend such as batch puts runs into its stack's bucket: later commands in the same folder find them there."""
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    there = sf.run(len_of, sf.grid(n=[1]), replications=1, store=place)._folder
    with pytest.raises(RunNotFound):
        find_run("latest")
    remember(there, place)  # a store that is named once has to be named again
    with pytest.raises(RunNotFound, match=r"no run in .*simferry-runs"):
        find_run("latest")
    remember(there, None)
    assert find_run("latest").address == find_run(there.id[:12]).address == there.address
    here = sf.run(len_of, sf.grid(n=[1]), replications=1)
    assert find_run("latest").id == here.id and find_run(there.id).address == there.address
    with pytest.warns(Note, match=re.escape(f'are also in {place}: simferry.runs(store="{place}")')):
        assert [one.id for one in sf.runs()] == [here.id]
    with pytest.raises(RunNotFound, match=r"there is no run other in .*simferry-runs"):
        find_run("other")
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    with pytest.raises(RunNotFound):
        find_run("latest")


def test_a_bucket_that_is_gone_has_no_runs(emulator, machine, tmp_path, monkeypatch):
    """As after `infra delete --data`."""
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    bucket = boto3.resource("s3").create_bucket(Bucket="short-lived")
    here = sf.run(len_of, sf.grid(n=[1]), replications=1)
    there = sf.run(len_of, sf.grid(n=[1]), replications=1, store="s3://short-lived/runs")
    remember(there._folder, None)
    assert find_run("latest").id == there.id
    bucket.objects.delete()
    bucket.delete()
    assert find_run("latest").id == here.id
    with pytest.raises(RunNotFound, match=r"there is no run other in .*simferry-runs"):
        find_run("other")


def test_no_other_store_decides_which_run_is_meant(place, tmp_path, monkeypatch):
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    there = sf.run(len_of, sf.grid(n=[1]), replications=1, store=place, name="paper")._folder
    remember(there, None)
    for seed in (1, 2):
        sf.run(len_of, sf.grid(n=[1]), replications=1, seed=seed, name="paper")
    with pytest.raises(RunNotFound, match=r"2 runs in .*simferry-runs have the name paper"):
        find_run("paper")
    with pytest.raises(RunNotFound, match=r"no run len-of in .*\nDid you mean len-of-.* or len-of-"):
        find_run("len-of")


def test_the_latest_is_no_pilot_in_another_store_either(place, tmp_path, monkeypatch):
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    there = sf.run(len_of, sf.grid(n=[1]), replications=1, store=place)._folder
    remember(there, None)
    assert sf.plan(len_of, sf.grid(n=[1, 2]), replications=5) and store_at().find("latest").record.pilot
    assert find_run("latest").address == there.address


def len_of(n):
    return n
