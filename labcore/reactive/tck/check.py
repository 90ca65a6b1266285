"""What the kit is made of: a check, the subscriber it reads with, and the error it raises."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from labcore.reactive.scope import Hooks, Scope
from labcore.reactive.spec import Publisher, Subscription
from labcore.reactive.testing import VirtualTime
from labcore.reactive.testing.signals import show

SETTLING_S = 60.0  # virtual seconds given to a publisher to come to rest
_DEADLINE_S = 10.0  # real seconds of one check


class RuleBroken(AssertionError):  # noqa: N818 - the name of the finding
    """A rule of Reactive Streams was broken.

    Attributes:
        rule: The rule's number, such as `1.01`, or `P1` to `P6` for Python's own.
    """

    def __init__(self, rule: str, finding: str) -> None:
        super().__init__(f"rule {rule}: {finding}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Check:
    """One executable check of a rule.

    Attributes:
        rule: The rule's number in `RULES`.
        name: What must hold, in words.
        body: The coroutine function that proves it.
        not_applicable: Why it cannot be run against this subject; empty when it can.
    """

    rule: str
    name: str
    body: Callable[[], Awaitable[None]] = field(repr=False)
    not_applicable: str = ""

    def __str__(self) -> str:
        return f"{self.rule} {self.name}"

    def run(self) -> None:
        """Prove it on a virtual clock; works inside a running loop, too.

        Raises:
            RuleBroken: When the rule does not hold.
        """
        if self.not_applicable:
            return
        VirtualTime.run(self._main, timeout_s=_DEADLINE_S)

    async def _main(self) -> None:
        await self.body()


def _nothing(*_: object) -> None:
    """What a reader does by itself at a signal."""


class Reader:
    """A subscriber under control; it checks at every signal what always must hold.

    What an operator sends too late and the edge of the library holds back counts as sent, unless
    `expects_drops`: then the upstream misbehaves on purpose.
    """

    def __init__(self, rule: str, *, expects_drops: bool = False) -> None:
        self.rule = rule
        self._expects_drops = expects_drops
        self.values: list[Any] = []
        self.errors: list[BaseException] = []
        self.completions = 0
        self.subscriptions: list[Subscription] = []
        self.requested = 0
        self.deepest = 0
        self.when_subscribed: Callable[[], None] = _nothing
        self.when_next: Callable[[Any], None] = _nothing
        self._depth = 0
        self._broken: list[RuleBroken] = []
        self._cancelled = False

    def on_subscribe(self, subscription: Subscription) -> None:
        """Keep the subscription."""
        self.subscriptions.append(subscription)
        self.when_subscribed()

    def on_next(self, value: Any) -> None:
        """Keep the element; demand, order and the end are checked."""
        self._signal(f"next({show(value)})")
        self.values.append(value)
        if len(self.values) > self.requested:
            self._break("1.01", f"{len(self.values)} elements for a demand of {self.requested}")
        self._depth += 1
        self.deepest = max(self.deepest, self._depth)
        try:
            self.when_next(value)
        finally:
            self._depth -= 1

    def on_error(self, error: BaseException) -> None:
        """Keep the error."""
        self._signal(f"error({show(error)})")
        if not isinstance(error, Exception):
            self._break("P2", f"{type(error).__name__} was signalled as an error")
        self.errors.append(error)

    def on_complete(self) -> None:
        """Count the completion."""
        self._signal("complete")
        self.completions += 1

    def note_dropped(self, value: Any) -> None:
        """An element that came after the end or after cancel, and was held back."""
        if not self._expects_drops:
            self._break("1.08" if self._cancelled else "1.07", f"next({show(value)}) held back")

    @property
    def ended(self) -> bool:
        """Whether an end was signalled."""
        return bool(self.errors) or self.completions > 0

    def request(self, n: int) -> None:
        """Ask for elements."""
        if n > 0:
            self.requested += n
        if self.subscriptions:  # without one, rule 1.09 is broken and has been noted
            self.subscriptions[0].request(n)

    def cancel(self) -> None:
        """Cancel; any signal from now on is a broken rule."""
        self._cancelled = True
        if self.subscriptions:
            self.subscriptions[0].cancel()

    def must(self, holds: bool, finding: str) -> None:
        """Raise `RuleBroken` for this reader's rule unless it holds."""
        if not holds:
            raise RuleBroken(self.rule, f"{finding}; {self}")

    def must_have(self, n: int) -> None:
        """Exactly `n` elements have come."""
        self.must(len(self.values) == n, f"expected {n} elements, actual {len(self.values)}")

    def must_be_intact(self) -> None:
        """Raise the first broken rule seen on the way."""
        if self._broken:
            raise self._broken[0]

    def __str__(self) -> str:
        return (
            f"requested {self.requested}, elements {show(self.values)}, "
            f"errors {show(self.errors)}, completions {self.completions}"
        )

    def _signal(self, signal: str) -> None:
        if not self.subscriptions:
            self._break("1.09", f"{signal} before on_subscribe")
        if self.ended:
            self._break("1.07", f"{signal} after the end")
        elif self._cancelled:
            self._break("1.08", f"{signal} after cancel")

    def _break(self, rule: str, finding: str) -> None:
        self._broken.append(RuleBroken(rule, f"{finding}; {self}"))


@asynccontextmanager
async def reading(publisher: Publisher[Any], reader: Reader) -> AsyncIterator[Reader]:
    """Subscribe the reader in a scope of its own; what always must hold is checked at the end."""
    hooks = Hooks(next_dropped=reader.note_dropped)
    async with Scope(hooks=hooks) as scope:
        publisher.subscribe(reader, scope=scope)
        await settle()
        yield reader
        await settle()
        if reader.subscriptions and not reader.ended:
            reader.cancel()
    reader.must_be_intact()


async def settle() -> None:
    """Everything due within the next virtual minute happens."""
    await anyio.sleep(SETTLING_S)
