"""What every operator of this room shares: something new for each subscription, Mono or Flux alike."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, overload

from labcore.reactive import Flux, Mono

T = TypeVar("T")


class Operator(Protocol):
    """A function from stream to stream that keeps its kind and the type of its values."""

    @overload
    def __call__(self, source: Mono[T], /) -> Mono[T]: ...

    @overload
    def __call__(self, source: Flux[T], /) -> Flux[T]: ...


def per_subscription(make: Callable[[Any], Any]) -> Operator:
    """The operator that runs `make(source)` anew for each subscription."""

    def operator(source: Any) -> Any:
        kind = Mono if isinstance(source, Mono) else Flux
        return kind.defer(lambda: make(source))

    return operator
