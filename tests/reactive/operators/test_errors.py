"""Answers to failures, retries with backoff on the virtual clock included."""

import anyio
import pytest

from labcore.reactive import Flux, Mono, Retry, RetryExhaustedError
from labcore.reactive.testing import StepVerifier, VirtualTime


class Flaky:
    """Fails so often, then succeeds."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self) -> int:
        """One attempt."""
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError(f"failure {self.calls}")
        return self.calls


def test_backoff_doubles_its_waits():
    flaky = Flaky(3)
    rule = Retry.backoff(3, 1, jitter=0)
    (
        StepVerifier.with_virtual_time(lambda: Mono.from_callable(flaky).retry_when(rule))
        .expect_no_event(1 + 2 + 3.9)
        .then_await(0.1)
        .expect_next(4)
        .verify_complete()
    )


def test_exhausted_retries_carry_the_last_failure():
    flaky = Flaky(9)
    (
        StepVerifier.with_virtual_time(
            lambda: Mono.from_callable(flaky).retry_when(Retry.fixed_delay(2, 5))
        )
        .then_await(10)
        .consume_error_with(lambda error: _is_exhausted(error, "failure 3"))
        .verify()
    )
    assert flaky.calls == 3


def _is_exhausted(error: BaseException, cause: str) -> None:
    assert isinstance(error, RetryExhaustedError)
    assert "2/2" in str(error)
    assert cause in str(error.__cause__)


def test_an_error_that_the_filter_refuses_passes_through():
    rule = Retry.max(5).with_filter(lambda error: isinstance(error, OSError))
    StepVerifier.create(Mono.error(KeyError("no")).retry_when(rule)).verify_error(KeyError)


def test_retry_carries_unmet_demand_over():
    flaky = Flaky(1)
    flux = Flux.just(1, 2).concat_with(Mono.from_callable(flaky)).retry(1)
    (
        StepVerifier.create(flux, 3)
        .expect_next(1, 2, 1)
        .then_request(2)
        .expect_next(2, 2)
        .verify_complete()
    )


def test_retry_without_attempts_left_passes_the_failure_itself():
    StepVerifier.create(Mono.error(OSError("x")).retry(2)).verify_error(OSError)


def test_cancelling_while_a_retry_waits_stops_it():
    flaky = Flaky(9)

    async def main() -> None:
        await (
            Mono.from_callable(flaky)
            .retry_when(Retry.fixed_delay(9, 60))
            .timeout(30, fallback=Mono.just(0))
        )

    VirtualTime.run(main)
    assert flaky.calls == 1


def test_an_endless_retry_lets_others_run():
    turns: list[int] = []

    async def main() -> int:
        counting = Flux.interval(0.001).do_on_next(turns.append).take(3).then(Mono.just(7))
        endless = Mono.error(OSError("always")).retry()
        return await Mono.first_with_signal(endless, counting)

    assert anyio.run(main) == 7


def test_resume_sees_only_failures_above_it():
    flux = Flux.just(1).on_error_resume(lambda _: Flux.just(0)).map(lambda _: 1 // 0)
    StepVerifier.create(flux).verify_error(ZeroDivisionError)


def test_resume_can_choose_by_type():
    failing = Flux.error(OSError("x"))
    StepVerifier.create(failing.on_error_return(1, only=KeyError)).verify_error(OSError)
    StepVerifier.create(failing.on_error_return(1, only=OSError)).expect_next(1).verify_complete()


def test_a_fallback_that_raises_is_the_failure():
    def broken(error: Exception) -> Flux[int]:
        raise KeyError("fallback") from error

    StepVerifier.create(Flux.error(OSError()).on_error_resume(broken)).verify_error(KeyError)


def test_map_keeps_the_first_error_as_the_cause():
    flux = Flux.error(OSError("first")).on_error_map(lambda _: ValueError("second"))
    (
        StepVerifier.create(flux)
        .expect_error_matches(
            lambda error: isinstance(error, ValueError) and isinstance(error.__cause__, OSError)
        )
        .verify()
    )


def test_complete_in_place_of_a_failure():
    flux = Flux.just(1).concat_with(Flux.error(OSError())).on_error_complete()
    StepVerifier.create(flux).expect_next(1).verify_complete()


def test_repeat_runs_again_after_completion():
    StepVerifier.create(Flux.just(1, 2).repeat(1)).expect_next(1, 2, 1, 2).verify_complete()


def test_errors_say_in_which_stage_they_arose():
    def parse(text: str) -> int:
        return int(text)

    for flux in (Flux.just("x").map(parse), Flux.just("x").hide().map(parse)):
        with pytest.raises(ValueError, match="invalid literal") as caught:
            flux.collect_list().block()
        assert caught.value.__notes__ == ["in map(parse)"]


def test_stop_iteration_of_a_function_is_an_error_fused_or_not():
    def stops(_: int) -> int:
        raise StopIteration

    for flux in (Flux.just(1).map(stops), Flux.just(1).hide().map(stops)):
        StepVerifier.create(flux).verify_error(RuntimeError)
