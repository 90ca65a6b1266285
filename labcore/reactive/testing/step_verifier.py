"""The door to scripts: `StepVerifier.create(flux)` and `StepVerifier.with_virtual_time(...)`."""

from collections.abc import Callable
from typing import TypeVar

from labcore.reactive.spec import UNBOUNDED, Publisher
from labcore.reactive.testing.script import Script
from labcore.reactive.testing.verification import Setting

T = TypeVar("T")


class StepVerifier:
    """Says what a publisher must signal, step by step, and then proves it.

        StepVerifier.create(Flux.just(1, 2)).expect_next(1, 2).verify_complete()

    Differences to Reactor: a script that cannot go on fails at once instead of hanging; elements
    beyond the demand and signals after the end fail any script; nothing is global, the clock
    belongs to the verification's own loop.

    Source: Project Reactor, `reactor-test`, `StepVerifier`.
    """

    @staticmethod
    def create(
        publisher: Publisher[T], initial_request: int = UNBOUNDED, *, name: str = ""
    ) -> Script[T]:
        """A script for that publisher on the real clock.

        Args:
            publisher: What is subscribed to at each verification.
            initial_request: Elements asked for at subscription; default: without bound.
            name: Put in front of failure messages.
        """
        return _script(lambda: publisher, initial_request, name=name, virtual=False)

    @staticmethod
    def with_virtual_time(
        supplier: Callable[[], Publisher[T]], initial_request: int = UNBOUNDED, *, name: str = ""
    ) -> Script[T]:
        """A script for what the supplier makes, on a clock that moves in `then_await` steps alone.

        The supplier is called inside the virtual loop, so that whatever reads the clock while the
        pipeline is put together reads the virtual one. Time moves in `then_await`,
        `expect_no_event`, `expect_timeout` and while an awaitable task runs, never otherwise.
        """
        return _script(supplier, initial_request, name=name, virtual=True)


def _script(
    supplier: Callable[[], Publisher[T]], initial_request: int, *, name: str, virtual: bool
) -> Script[T]:
    setting = Setting(supplier, virtual=virtual, initial_request=UNBOUNDED, name=name)
    return Script(setting).with_initial_request(initial_request)
