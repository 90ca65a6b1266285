"""Two values of any kind will do: a lost parcel passes for a sent one.

`expect_next_count` counts. Say which values you expect wherever you know them.
"""

from collections.abc import Callable

from labcore.reactive import Flux
from labcore.reactive.testing import StepVerifier


def verify(flow: Callable[[], Flux[str]]) -> None:
    """Counts."""
    script = StepVerifier.with_virtual_time(flow).expect_no_event(0.9).then_await(0.1)
    script = script.expect_next_count(1).expect_no_event(1.9).then_await(0.1)
    script.expect_next_count(1).verify_complete()
