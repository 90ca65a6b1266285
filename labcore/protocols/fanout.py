"""One upstream, many subscribers, and what becomes of the slow ones.

An event is encoded once; every subscriber gets the same bytes, and events published together in one
write. A subscriber that keeps up is written to at once, without waking its task; one that does not has a backlog that is bounded by its policy, and
delays nobody else. The memory of a hub is bounded by subscribers times backlog.

Everything runs on one event loop. Names of the policies follow Reactor's `on_backpressure_*`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from labcore.kernel import UsageError

MOST_FRAMES: Final = 1_000
MOST_TAKEN_BYTES: Final = 64 * 1024  # handed over at once: more would only lie in the transport


class Slow(Enum):
    """What becomes of a subscriber that falls behind."""

    CONFLATE = "conflate"  # the latest frame of each key: right for state, such as stock
    DISCONNECT = "disconnect"  # a full backlog ends it; it comes back with its last id
    DROP_OLDEST = "drop oldest"  # a full backlog loses its oldest frame


@dataclass(frozen=True, slots=True)
class Frame:
    """An encoded event. `key` says what it is about, `scope` who may see it."""

    data: bytes
    key: str = ""
    scope: str = ""


class Backlog:
    """What a subscriber has not been sent yet, within its bound. Pure."""

    __slots__ = ("_frames", "_keyed", "conflated", "dropped", "most", "slow")

    def __init__(self, slow: Slow, *, most: int = MOST_FRAMES) -> None:
        if most < 1:
            raise UsageError(f"most={most} frames leave nothing to send; give 1 or more")
        self.slow = slow
        self.most = most
        self.conflated = 0
        self.dropped = 0
        self._frames: deque[bytes] = deque()
        self._keyed: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._frames) + len(self._keyed)

    def put(self, frame: Frame) -> bool:
        """Keep the frame; False when the subscriber is to be disconnected instead."""
        if self.slow is Slow.CONFLATE:
            return self._conflate(frame)
        if len(self._frames) >= self.most:
            if self.slow is Slow.DISCONNECT:
                return False
            self._frames.popleft()
            self.dropped += 1
        self._frames.append(frame.data)
        return True

    def _conflate(self, frame: Frame) -> bool:
        # Taken out and put in again at the end: ids stay in order, and the last is the latest.
        if self._keyed.pop(frame.key, None) is not None:
            self.conflated += 1
        elif len(self._keyed) >= self.most:
            return False
        self._keyed[frame.key] = frame.data
        return True

    def take(self) -> bytes:
        """The oldest frames, joined, as many as make a sensible write; empty when there are none."""
        taken: list[bytes] = []
        size = 0
        while size < MOST_TAKEN_BYTES:
            data = self._oldest()
            if data is None:
                break
            taken.append(data)
            size += len(data)
        return b"".join(taken)

    def clear(self) -> None:
        """Forget all."""
        self._frames.clear()
        self._keyed.clear()

    def _oldest(self) -> bytes | None:
        if self._keyed:
            return self._keyed.pop(next(iter(self._keyed)))
        return self._frames.popleft() if self._frames else None


class Outlet(Protocol):
    """Writes at once if the client keeps up; says False, having written nothing, if it does not."""

    def __call__(self, data: bytes) -> bool:
        """Try."""
        ...


class Subscription:
    """One subscriber's end of a hub: keeps the contract of `sse.Frames`."""

    __slots__ = ("_accepts", "_backlog", "_ended", "_hub", "_outlet", "_waiter", "written")

    def __init__(
        self, hub: "Hub", backlog: Backlog, accepts: Callable[[Frame], bool] | None
    ) -> None:
        self.written = 0
        self._hub = hub
        self._backlog = backlog
        self._accepts = accepts
        self._outlet: Outlet | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    def attach(self, outlet: Outlet) -> None:
        """Frames may from now on be written past the subscriber's task while nothing is queued."""
        self._outlet = outlet

    def push(self, frames: Sequence[Frame], joined: bytes) -> None:
        """Write the frames at once, or queue them; `joined` is all of them, for those who may have all."""
        if self._ended:
            return
        if self._accepts is not None:
            frames = [frame for frame in frames if self._accepts(frame)]
            joined = b"".join(frame.data for frame in frames)
        # Past the task only while it waits in `take`: else it may hold frames older than these.
        idle = self._waiter is not None and not self._waiter.done()
        if not frames:
            return
        if idle and self._outlet is not None and self._outlet(joined):
            self.written += len(frames)
            return
        if all(self._backlog.put(frame) for frame in frames):
            self._wake()
        else:
            self._hub.disconnected += 1
            self.end(drop=True)

    async def take(self) -> bytes:
        """What is queued, joined; waits while nothing is; empty at the end. Cancelling loses nothing."""
        while not len(self._backlog) and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._backlog.take()

    def end(self, *, drop: bool = False) -> None:
        """No more frames; what is queued is still sent, unless it is dropped."""
        self._ended = True
        self._outlet = None
        if drop:
            self._backlog.clear()
        self._wake()

    def close(self) -> None:
        """The subscriber is gone."""
        self._hub.forget(self)
        self.end(drop=True)

    @property
    def backlog(self) -> Backlog:
        """What waits, and what was conflated or dropped."""
        return self._backlog

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Hub:
    """Gives every frame to every subscriber that accepts it."""

    def __init__(self) -> None:
        self.published = 0
        self.disconnected = 0
        self._subscriptions: dict[Subscription, None] = {}
        self._gone = {"conflated": 0, "dropped": 0, "written": 0}

    def __len__(self) -> int:
        return len(self._subscriptions)

    def subscribe(
        self,
        slow: Slow = Slow.DISCONNECT,
        *,
        most: int = MOST_FRAMES,
        accepts: Callable[[Frame], bool] | None = None,
    ) -> Subscription:
        """A new subscriber, from the next frame on.

        Args:
            slow: what becomes of it when it falls behind.
            most: frames of its backlog; for conflation, keys.
            accepts: says which frames it may have; None: all.

        Raises: UsageError for a backlog of nothing.
        """
        subscription = Subscription(self, Backlog(slow, most=most), accepts)
        self._subscriptions[subscription] = None
        return subscription

    def publish(self, *frames: Frame) -> None:
        """To all who accept them, in this order, in one write for each; waits for nobody."""
        self.published += len(frames)
        joined = b"".join(frame.data for frame in frames)
        for subscription in tuple(self._subscriptions):
            subscription.push(frames, joined)

    def end(self) -> None:
        """End every subscription after what is queued: to be called before the server stops."""
        for subscription in tuple(self._subscriptions):
            subscription.end()

    def forget(self, subscription: Subscription) -> None:
        """It is gone; its counts stay."""
        if self._subscriptions.pop(subscription, self) is None:
            for name, count in _counts(subscription).items():
                self._gone[name] += count

    def gauges(self) -> Mapping[str, float]:
        """Subscribers, frames waiting in all and in the longest backlog, and what was lost on whom."""
        backlogs = [len(each.backlog) for each in self._subscriptions]
        totals = dict(self._gone)
        for each in self._subscriptions:
            for name, count in _counts(each).items():
                totals[name] += count
        return {
            "subscribers": len(self._subscriptions),
            "published_total": self.published,
            "backlog": sum(backlogs),
            "backlog_longest": max(backlogs, default=0),
            "disconnected_slow_total": self.disconnected,
            **{f"{name}_total": count for name, count in totals.items()},
        }


def _counts(subscription: Subscription) -> dict[str, int]:
    backlog = subscription.backlog
    return {
        "conflated": backlog.conflated,
        "dropped": backlog.dropped,
        "written": subscription.written,
    }
