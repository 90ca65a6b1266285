"""Floor 1: Flux and Mono, demand included, under the names of Project Reactor."""

from labcore.reactive.context import Context
from labcore.reactive.errors import (
    BackpressureError,
    DisconnectedError,
    EmptyStreamError,
    RetryExhaustedError,
    StreamTimeoutError,
)
from labcore.reactive.publishers import Flux, Mono
from labcore.reactive.retry import Retry, RetrySignal
from labcore.reactive.scope import Hooks, Scheduler, Scope
from labcore.reactive.spec import UNBOUNDED, Publisher, SignalType, Subscriber, Subscription

__all__ = [
    "UNBOUNDED",
    "BackpressureError",
    "Context",
    "DisconnectedError",
    "EmptyStreamError",
    "Flux",
    "Hooks",
    "Mono",
    "Publisher",
    "Retry",
    "RetryExhaustedError",
    "RetrySignal",
    "Scheduler",
    "Scope",
    "SignalType",
    "StreamTimeoutError",
    "Subscriber",
    "Subscription",
]
