"""What a policy tells its listeners: one frozen event per decision."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

_log = logging.getLogger("labcore.resilience")


class EventKind(Enum):
    """What happened."""

    STATE_TRANSITION = "state_transition"
    CALL_PERMITTED = "call_permitted"
    CALL_REFUSED = "call_refused"
    SUCCESS = "success"
    ERROR = "error"
    IGNORED_ERROR = "ignored_error"
    SLOW_CALL = "slow_call"
    STALE_OUTCOME = "stale_outcome"
    CANCELLED = "cancelled"
    FINISHED = "finished"
    RETRY = "retry"
    RETRIES_EXHAUSTED = "retries_exhausted"
    BUDGET_EXHAUSTED = "budget_exhausted"
    TIME_LIMIT = "time_limit"
    FALLBACK = "fallback"


@dataclass(frozen=True, slots=True)
class Event:
    """One decision of one policy.

    `now_s` is monotonic; `wait_s` is the wait decided on; `attempt` counts from 1; `change` is
    `(from, to)` of a state transition. Fields that say nothing about a kind are None.
    """

    kind: EventKind
    policy: str
    now_s: float
    duration_s: float | None = None
    attempt: int | None = None
    wait_s: float | None = None
    error: Exception | None = None
    change: tuple[str, str] | None = None


Listener: TypeAlias = Callable[[Event], object]


class Listeners:
    """Who is told. A listener is called on the thread of the call, never under a policy's lock.

    Two threads may tell their events in either order; `now_s` puts them right. A listener that raises
    is logged and spoils no call.
    """

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def add(self, listener: Listener) -> Callable[[], None]:
        """Tell that listener from now on; what is returned ends it."""
        self._listeners = (*self._listeners, listener)

        def remove() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

        return remove

    def tell(self, event: Event) -> None:
        """Tell everybody."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - told to the log; no call of others may fail by it
                _log.exception("a listener of %s failed at %s", event.policy, event.kind.value)
