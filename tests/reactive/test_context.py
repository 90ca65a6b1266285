"""Contexts are immutable mappings."""

import pytest

from labcore.kernel import UsageError
from labcore.reactive import Context


def test_changes_make_a_new_context():
    empty = Context()
    one = empty.put("a", 1)
    assert (dict(empty), dict(one)) == ({}, {"a": 1})
    assert dict(one.put_all({"a": 2, "b": 3})) == {"a": 2, "b": 3}
    assert dict(one.delete("a")) == {}
    assert repr(one) == "Context({'a': 1})"


def test_deleting_what_is_not_there_names_what_is():
    with pytest.raises(UsageError, match=r"no 'x' .* \['a'\]"):
        Context({"a": 1}).delete("x")
