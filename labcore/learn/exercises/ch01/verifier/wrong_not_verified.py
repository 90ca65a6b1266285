"""The script is written and never played: nothing was subscribed to, so every flow is accepted.

`expect_complete()` ends a script, `verify()` plays it; `verify_complete()` does both.
"""

from collections.abc import Callable

from labcore.reactive import Flux
from labcore.reactive.testing import StepVerifier


def verify(flow: Callable[[], Flux[str]]) -> None:
    """A script for the drawer."""
    script = StepVerifier.with_virtual_time(flow).then_await(1).expect_next("packed")
    script.then_await(2).expect_next("sent").expect_complete()
