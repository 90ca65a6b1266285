"""Test a stream's values, their moments and its end."""

from collections.abc import Callable

from labcore.reactive import Flux
from labcore.reactive.testing import StepVerifier


def verify(flow: Callable[[], Flux[str]]) -> None:
    """Return for "packed" after 1 s, "sent" 2 s later and completion; raise for anything else."""
    # <answer>
    script = StepVerifier.with_virtual_time(flow)
    script = script.expect_no_event(0.9).then_await(0.1).expect_next("packed")
    script = script.expect_no_event(1.9).then_await(0.1).expect_next("sent")
    script.verify_complete()
    # </answer>
