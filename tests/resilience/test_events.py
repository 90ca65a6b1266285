"""Listeners: told in order, let go on request, and never in the way of a call."""

import logging

import pytest

from labcore.resilience import Event, EventKind
from labcore.resilience.events import Listeners

EVENT = Event(EventKind.SUCCESS, "breaker", 1.0)


def test_a_listener_is_told_until_it_is_let_go():
    listeners = Listeners()
    heard: list[Event] = []
    stop = listeners.add(heard.append)
    listeners.tell(EVENT)
    stop()
    listeners.tell(EVENT)
    assert heard == [EVENT]
    assert not listeners


def test_one_that_fails_is_logged_and_the_others_are_told(caplog: pytest.LogCaptureFixture):
    def broken(_: Event) -> None:
        raise LookupError("listener")

    listeners = Listeners()
    heard: list[Event] = []
    listeners.add(broken)
    listeners.add(heard.append)
    with caplog.at_level(logging.ERROR, "labcore.resilience"):
        listeners.tell(EVENT)
    assert heard == [EVENT]
    assert "a listener of breaker failed at success" in caplog.text
