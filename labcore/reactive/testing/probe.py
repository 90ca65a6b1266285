"""`PublisherProbe`: tells whether a branch of a pipeline ran.

Source: Project Reactor, `reactor-test`, `PublisherProbe`.
"""

from typing import Any, Generic, TypeVar

from labcore.reactive.publishers import Flux, Mono
from labcore.reactive.scope import Scope
from labcore.reactive.spec import Publisher, Subscriber, Subscription

T = TypeVar("T")


class PublisherProbe(Generic[T]):
    """Passes a publisher through unchanged and remembers what was done with it."""

    def __init__(self, publisher: Publisher[T]) -> None:
        self._publisher = publisher
        self.subscribe_count = 0
        self.request_count = 0
        self.cancel_count = 0

    @staticmethod
    def of(publisher: Publisher[T]) -> "PublisherProbe[T]":
        """A probe around that publisher."""
        return PublisherProbe(publisher)

    @staticmethod
    def empty() -> "PublisherProbe[Any]":
        """A probe that completes at once, for branches whose values do not matter."""
        return PublisherProbe(Flux.empty())

    def subscribe(self, subscriber: Subscriber[T], *, scope: Scope) -> None:
        """Count, and pass on."""
        self.subscribe_count += 1
        self._publisher.subscribe(_Listener(self, subscriber), scope=scope)

    def flux(self) -> Flux[T]:
        """The probe with operators."""
        return Flux.from_publisher(self)

    def mono(self) -> Mono[T]:
        """The probe as a publisher of at most one element."""
        return Mono.from_publisher(self)

    @property
    def was_subscribed(self) -> bool:
        """Whether the branch ran."""
        return self.subscribe_count > 0

    @property
    def was_requested(self) -> bool:
        """Whether anything was asked of it."""
        return self.request_count > 0

    @property
    def was_cancelled(self) -> bool:
        """Whether it was given up before its end."""
        return self.cancel_count > 0

    def assert_was_subscribed(self) -> None:
        """The branch ran. Raises: AssertionError."""
        assert self.was_subscribed, "expected a subscription, and there was none"

    def assert_was_not_subscribed(self) -> None:
        """The branch did not run. Raises: AssertionError."""
        assert not self.was_subscribed, f"expected no subscription, got {self.subscribe_count}"

    def assert_was_requested(self) -> None:
        """Something was asked of it. Raises: AssertionError."""
        assert self.was_requested, "expected a request, and there was none"

    def assert_was_not_requested(self) -> None:
        """Nothing was asked of it. Raises: AssertionError."""
        assert not self.was_requested, f"expected no request, got {self.request_count}"

    def assert_was_cancelled(self) -> None:
        """It was given up before its end. Raises: AssertionError."""
        assert self.was_cancelled, "expected a cancellation, and there was none"

    def assert_was_not_cancelled(self) -> None:
        """It was not given up. Raises: AssertionError."""
        assert not self.was_cancelled, f"expected no cancellation, got {self.cancel_count}"


class _Listener(Generic[T]):
    """Stands between: the subscriber's signals pass, its demand and cancellation are counted."""

    def __init__(self, probe: PublisherProbe[T], subscriber: Subscriber[T]) -> None:
        self._probe = probe
        self._subscription: Subscription | None = None
        self._subscriber = subscriber
        self.on_next = subscriber.on_next
        self.on_error = subscriber.on_error
        self.on_complete = subscriber.on_complete

    def on_subscribe(self, subscription: Subscription) -> None:
        """Hand down a subscription that counts."""
        self._subscription = subscription
        self._subscriber.on_subscribe(self)

    def request(self, n: int) -> None:
        """Count and pass on."""
        assert self._subscription is not None
        self._probe.request_count += 1
        self._subscription.request(n)

    def cancel(self) -> None:
        """Count and pass on."""
        assert self._subscription is not None
        self._probe.cancel_count += 1
        self._subscription.cancel()
