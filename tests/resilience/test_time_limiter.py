"""What a time limit ends on OS threads, and its configuration; the rest is in the table."""

import threading

import pytest

from labcore.kernel import UsageError
from labcore.reactive import Flux
from labcore.resilience import Event, TimeLimiter, TimeLimiterConfig, TimeLimitExceededError
from labcore.virtual import PlatformThreadExecutor

from .conftest import Heard, PlatformWorld

SOON = TimeLimiterConfig(0.02)
PATIENCE_S = 15.0


def test_an_os_thread_works_on_after_its_caller_has_given_up(world: PlatformWorld):
    limiter = TimeLimiter(SOON)
    heard = Heard()
    limiter.on_event(heard.append)
    go_on, done = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait(PATIENCE_S)
        done.set()

    with pytest.raises(TimeLimitExceededError, match=r"no result within 0\.02 s"):
        limiter.call(work, world)
    assert not done.is_set()
    go_on.set()
    assert done.wait(PATIENCE_S)
    assert [event.kind.value for event in heard] == ["time_limit"]
    assert limiter.gauges() == {"time_limit_exceeded_total": 1}


def test_what_waits_for_a_thread_of_the_forks_never_begins_when_it_is_late(world: PlatformWorld):
    world.forks.shutdown()
    world.forks = PlatformThreadExecutor(1, name="fork")
    free = threading.Event()
    began: list[str] = []
    world.forks.submit(free.wait, PATIENCE_S)
    with pytest.raises(TimeLimitExceededError):
        TimeLimiter(SOON).call(lambda: began.append("work"), world)
    free.set()
    world.forks.shutdown()
    assert began == []


def test_limits_inside_limits_do_not_lock_the_forks_up(world: PlatformWorld):
    world.forks.shutdown()
    world.forks = PlatformThreadExecutor(1, name="fork")
    limiter = TimeLimiter(TimeLimiterConfig(PATIENCE_S))
    assert limiter.call(lambda: limiter.call(lambda: "inner", world), world) == "inner"


async def test_between_two_values_of_a_flux_there_may_be_so_long():
    limiter = TimeLimiter(TimeLimiterConfig(2.0))
    ticks = Flux.interval(1.5).take(4)
    assert await limiter.operator()(ticks).collect_list() == [0, 1, 2, 3]


async def test_a_silent_flux_is_late():
    heard: list[Event] = []
    limiter = TimeLimiter(TimeLimiterConfig(2.0))
    limiter.on_event(heard.append)
    with pytest.raises(TimeLimitExceededError):
        await limiter.operator()(Flux.never()).collect_list()
    assert len(heard) == 1


def test_a_limit_of_no_length_is_named():
    with pytest.raises(UsageError, match="timeout_duration_s is 0; give a number > 0"):
        TimeLimiterConfig(0)
