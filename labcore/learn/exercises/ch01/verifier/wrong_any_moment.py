"""The values are tested and their moments are not: time passes first, and then everything is there already.

`then_await(3)` lets early and punctual values queue up alike. `expect_no_event` before a value says that it is not there yet.
"""

from collections.abc import Callable

from labcore.reactive import Flux
from labcore.reactive.testing import StepVerifier


def verify(flow: Callable[[], Flux[str]]) -> None:
    """Looks at the end only."""
    script = StepVerifier.with_virtual_time(flow).then_await(3)
    script.expect_next("packed", "sent").verify_complete()
