from importlib.metadata import EntryPoint

import pytest

from labcore.kernel import UsageError
from labcore.lanes import ForeignLane, catalogue, parse_lane, scenario, scenarios


@pytest.mark.parametrize(
    ("text", "lane"),
    [
        ("reactive", "reactive"),
        (" virtual ", "virtual"),
        ("mine=http://host:8080/", ForeignLane("mine", url="http://host:8080")),
        ("mine=https://host/api?a=b", ForeignLane("mine", url="https://host/api?a=b")),
        ("go = ./server -p {port}", ForeignLane("go", command="./server -p {port}")),
        ("x=env A=1 run {port}", ForeignLane("x", command="env A=1 run {port}")),
    ],
)
def test_a_lane_is_a_name_a_url_or_a_command(text: str, lane: str | ForeignLane):
    assert parse_lane(text) == lane


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no name"),
        ("=http://host", "has no name"),
        ("a b", "has no name"),
        ("mine=http://", "no host"),
        ("mine=./server", "neither http://host:port nor a command"),
        ("mine=", "neither http://host:port nor a command"),
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(text: str, words: str):
    with pytest.raises(UsageError, match=words):
        parse_lane(text)


def point(value: str) -> EntryPoint:
    return EntryPoint(name="toy", value=value, group=catalogue.GROUP)


def test_an_unknown_scenario_is_answered_with_those_known():
    with pytest.raises(UsageError, match=r"unknown scenario 'chess'; known: .*checkout"):
        scenario("chess")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no_such_module:SCENARIO", "cannot load from 'no_such_module:SCENARIO'"),
        ("lab_children:SCENARIO", "cannot load"),
        ("lab_children:build", "is a function, not a Scenario"),
    ],
)
def test_a_broken_entry_point_is_named(monkeypatch: pytest.MonkeyPatch, value: str, words: str):
    monkeypatch.setattr(catalogue, "entry_points", lambda **_: [point(value)])
    with pytest.raises(UsageError, match=words):
        scenario("toy")
    with pytest.raises(UsageError, match=words):
        scenarios()
