"""The test would take three real seconds each time it runs, and a suite of a thousand such tests an hour.

`StepVerifier.create(flow())` plays on the real clock. `with_virtual_time(flow)` takes the function, not the flow: it calls it inside
a loop whose clock is a number.
"""

from collections.abc import Callable

from labcore.reactive import Flux
from labcore.reactive.testing import StepVerifier


def verify(flow: Callable[[], Flux[str]]) -> None:
    """Waits."""
    StepVerifier.create(flow()).expect_next("packed", "sent").verify_complete()
