"""The test leaves when it has seen the last value, so it cannot know how the stream ends.

Streams that never complete, complete late, fail at the end or say one word too many all look right until then. `verify_complete` asks for
the end itself.
"""

from collections.abc import Callable

from labcore.reactive import Flux
from labcore.reactive.testing import StepVerifier


def verify(flow: Callable[[], Flux[str]]) -> None:
    """Cancels too early to see."""
    script = StepVerifier.with_virtual_time(flow).expect_no_event(0.9).then_await(0.1)
    script = script.expect_next("packed").expect_no_event(1.9).then_await(0.1)
    script.expect_next("sent").then_cancel().verify()
