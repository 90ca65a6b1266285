"""What a verification leaves to be asserted: its duration, and what never reached the subscriber.

*Dropped* is a value or error that came after the end; *discarded* is a value that an operator held or
refused and threw away (a cancelled queue, a filter). They are different things, and each is asserted
on its own.

Source: Project Reactor, `StepVerifier.Assertions`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from labcore.reactive.testing.failure import VerificationError
from labcore.reactive.testing.signals import show


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verification that held; each assertion returns the outcome, so that they chain."""

    duration_s: float
    dropped: Sequence[Any]
    discarded: Sequence[Any]
    dropped_errors: Sequence[BaseException]

    def has_dropped_elements(self) -> "Outcome":
        """At least one element was dropped."""
        return self._must(bool(self.dropped), "dropped elements", "none")

    def has_not_dropped_elements(self) -> "Outcome":
        """No element was dropped."""
        return self._must(not self.dropped, "no dropped element", show(list(self.dropped)))

    def has_dropped(self, *values: Any) -> "Outcome":
        """These elements were dropped, perhaps among others."""
        return self._contains("dropped", self.dropped, values)

    def has_dropped_exactly(self, *values: Any) -> "Outcome":
        """These elements were dropped, in any order, and no others."""
        return self._equals("dropped", self.dropped, values)

    def has_discarded_elements(self) -> "Outcome":
        """At least one element was discarded."""
        return self._must(bool(self.discarded), "discarded elements", "none")

    def has_not_discarded_elements(self) -> "Outcome":
        """No element was discarded."""
        return self._must(not self.discarded, "no discarded element", show(list(self.discarded)))

    def has_discarded(self, *values: Any) -> "Outcome":
        """These elements were discarded, perhaps among others."""
        return self._contains("discarded", self.discarded, values)

    def has_discarded_exactly(self, *values: Any) -> "Outcome":
        """These elements were discarded, in any order, and no others."""
        return self._equals("discarded", self.discarded, values)

    def has_dropped_errors(self, count: int | None = None) -> "Outcome":
        """Errors were dropped: exactly `count`, or at least one."""
        found = len(self.dropped_errors)
        expected = "dropped errors" if count is None else f"{count} dropped errors"
        holds = found > 0 if count is None else found == count
        return self._must(holds, expected, show(list(self.dropped_errors)))

    def has_not_dropped_errors(self) -> "Outcome":
        """No error was dropped."""
        return self.has_dropped_errors(0)

    def has_dropped_error_of_type(self, error_type: type[BaseException]) -> "Outcome":
        """An error of that type was dropped."""
        return self.has_dropped_error_matching(lambda exc: isinstance(exc, error_type))

    def has_dropped_error_with_message(self, message: str) -> "Outcome":
        """An error whose text is exactly that was dropped."""
        return self.has_dropped_error_matching(lambda exc: str(exc) == message)

    def has_dropped_error_matching(self, predicate: Callable[[BaseException], bool]) -> "Outcome":
        """An error for which the predicate holds was dropped."""
        holds = any(predicate(exc) for exc in self.dropped_errors)
        return self._must(holds, "a matching dropped error", show(list(self.dropped_errors)))

    def took_less_than(self, seconds: float) -> "Outcome":
        """The script ended within that time on its loop's clock."""
        return self._must(
            self.duration_s < seconds, f"less than {seconds:g} s", f"{self.duration_s:g} s"
        )

    def took_more_than(self, seconds: float) -> "Outcome":
        """The script took longer than that on its loop's clock."""
        return self._must(
            self.duration_s > seconds, f"more than {seconds:g} s", f"{self.duration_s:g} s"
        )

    def _contains(self, what: str, found: Sequence[Any], values: Sequence[Any]) -> "Outcome":
        missing = [value for value in values if value not in found]
        expected = f"{what}, among others: {show(list(values))}"
        return self._must(not missing, expected, show(list(found)))

    def _equals(self, what: str, found: Sequence[Any], values: Sequence[Any]) -> "Outcome":
        return self._must(
            _same(found, values), f"{what} exactly: {show(list(values))}", show(list(found))
        )

    def _must(self, holds: bool, expected: str, actual: str) -> "Outcome":
        if not holds:
            raise VerificationError(None, expected=expected, actual=actual)
        return self


def _same(left: Sequence[Any], right: Sequence[Any]) -> bool:
    try:
        return Counter(left) == Counter(right)
    except TypeError:  # unhashable elements: count by equality
        rest = list(right)
        for value in left:
            if value not in rest:
                return False
            rest.remove(value)
        return not rest
