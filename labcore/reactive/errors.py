"""What the operators themselves signal as errors, and how errors of user functions are labelled."""

from collections.abc import Callable
from typing import Any

from labcore.kernel import LabError, RefusedError, UsageError


class BackpressureError(RefusedError):
    """A value came although nobody had asked for it. Reactor: Exceptions.failWithOverflow."""


class RetryExhaustedError(RefusedError):
    """The attempts are used up; the last failure is the cause. Reactor: RetryExhaustedException."""


class StreamTimeoutError(RefusedError, TimeoutError):
    """Nothing was observed for too long. Reactor: the TimeoutException of `timeout`."""


class EmptyStreamError(LabError, LookupError):
    """A value was needed and the stream had none. Reactor: NoSuchElementException."""


class DisconnectedError(LabError):
    """A shared source was disconnected under its subscribers."""


def blame(error: Exception, operator: str, function: Callable[..., Any]) -> Exception:
    """The error with a note that says in which stage it arose.

    A `StopIteration` of a user function would end an iterator silently: it becomes a `RuntimeError`,
    as generators do (PEP 479).
    """
    place = f"{operator}({getattr(function, '__name__', type(function).__name__)})"
    if isinstance(error, StopIteration):
        wrapped = RuntimeError(f"{place} raised StopIteration; return or raise something else")
        wrapped.__cause__ = error
        return wrapped
    error.add_note(f"in {place}")
    return error


def attempt(
    operator: str,
    function: Callable[..., object],
    *args: object,
    failed: Callable[[Exception], object],
) -> bool:
    """Whether the user's function returned; what it raised, with its place noted, goes to `failed`.

    An error knows by its traceback the frames it came through and those that called them. None of
    them may hold it, which would be a cycle: so it is handed on here and never returned.
    """
    try:
        function(*args)
    except Exception as error:  # noqa: BLE001 - whoever is told signals or reports it
        failed(blame(error, operator, function))
        return False
    return True


def beyond(error: Exception, frames: int) -> Exception:
    """The error without so many of the outermost frames of its traceback."""
    trace = error.__traceback__
    for _ in range(frames):
        trace = trace and trace.tb_next
    return error.with_traceback(trace)


def check_positive(name: str, value: float) -> None:
    """Raise UsageError unless the value is above zero."""
    if not value > 0:
        raise UsageError(f"{name} is {value!r}; give a number > 0")


def check_not_negative(name: str, value: float) -> None:
    """Raise UsageError when the value is below zero."""
    if value < 0:
        raise UsageError(f"{name} is {value!r}; give a number >= 0")
