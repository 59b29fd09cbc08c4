"""Where a store is: addresses, SIMFERRY_STORE, the default."""

import pytest
from simferry.errors import UsageError
from simferry.sagemaker.values import is_s3
from simferry.store.places import store_at
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
