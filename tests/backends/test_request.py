"""Options that go into the request for a job."""

import pytest
from simferry.backends.request import check_hosts, named_texts, several
from simferry.errors import UsageError


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, []), ("", []), ("a, b,,c ", ["a", "b", "c"]), (["a, b"], ["a, b"]), (("a", "b"), ["a", "b"])],
)
def test_several_values(given, expected):
    assert several(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, {}), ("a=1, b=x=y", {"a": "1", "b": "x=y"}), ("a", {"a": ""}), ({"a b": "c,d"}, {"a b": "c,d"})],
)
def test_named_texts(given, expected):
    assert named_texts(given) == expected


def test_a_function_has_one_host():
    for kind, hosts in (("function", 1), ("script", 2), ("command", 2)):
        check_hosts({"kind": kind}, hosts)
    with pytest.raises(UsageError, match="several hosts are only for scripts and commands"):
        check_hosts({"kind": "function"}, 2)
