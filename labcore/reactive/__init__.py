"""Floor 1: Flux and Mono, demand included, under the names of Project Reactor."""

from labcore.reactive.context import Context
from labcore.reactive.core import IDLE, Down
from labcore.reactive.errors import (
    BackpressureError,
    DisconnectedError,
    EmptyStreamError,
    RetryExhaustedError,
    StreamTimeoutError,
)
from labcore.reactive.operators.relay import Relay
from labcore.reactive.operators.tap import SignalListener
from labcore.reactive.publishers import Flux, Mono
from labcore.reactive.record import Mark, MarkKind, Recording
from labcore.reactive.retry import Retry, RetrySignal
from labcore.reactive.scope import Hooks, Scheduler, Scope
from labcore.reactive.sinks import EmitResult, ManySink, OneSink, Sinks
from labcore.reactive.spec import (
    UNBOUNDED,
    Overflow,
    Publisher,
    SignalType,
    Subscriber,
    Subscription,
)

__all__ = [
    "IDLE",
    "UNBOUNDED",
    "BackpressureError",
    "Context",
    "DisconnectedError",
    "Down",
    "EmitResult",
    "EmptyStreamError",
    "Flux",
    "Hooks",
    "ManySink",
    "Mark",
    "MarkKind",
    "Mono",
    "OneSink",
    "Overflow",
    "Publisher",
    "Recording",
    "Relay",
    "Retry",
    "RetryExhaustedError",
    "RetrySignal",
    "Scheduler",
    "Scope",
    "SignalListener",
    "SignalType",
    "Sinks",
    "StreamTimeoutError",
    "Subscriber",
    "Subscription",
]
