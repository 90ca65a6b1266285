"""A probe proves which branch ran."""

from collections.abc import Callable

import pytest

from labcore.reactive import Flux, Mono
from labcore.reactive.testing import PublisherProbe, StepVerifier


def test_the_branch_that_ran_is_known():
    fallback: PublisherProbe[int] = PublisherProbe.of(Mono.just(7))
    unused = PublisherProbe.empty()
    source = Flux.empty().switch_if_empty(fallback.flux()).switch_if_empty(unused.flux())
    StepVerifier.create(source).expect_next(7).verify_complete()
    fallback.assert_was_subscribed()
    fallback.assert_was_requested()
    fallback.assert_was_not_cancelled()
    unused.assert_was_not_subscribed()
    unused.assert_was_not_requested()


def test_a_cancelled_branch_is_known():
    probe = PublisherProbe.of(Flux.never())
    StepVerifier.create(probe).then_cancel().verify()
    probe.assert_was_cancelled()


def test_as_a_mono_it_passes_the_first_value():
    probe = PublisherProbe.of(Flux.just(1, 2))
    StepVerifier.create(probe.mono()).expect_next(1).verify_complete()
    assert probe.was_cancelled


def test_its_assertions_can_fail():
    idle, used = PublisherProbe.empty(), PublisherProbe.of(Flux.never())
    StepVerifier.create(used).then_cancel().verify()
    claims: list[Callable[[], None]] = [
        idle.assert_was_subscribed,
        idle.assert_was_requested,
        idle.assert_was_cancelled,
        used.assert_was_not_subscribed,
        used.assert_was_not_requested,
        used.assert_was_not_cancelled,
    ]
    for claim in claims:
        with pytest.raises(AssertionError, match="expected"):
            claim()
