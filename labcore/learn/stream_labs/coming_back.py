"""Three subscribers watch one stream while its server is killed and the network cut.

They differ in one thing: what the server sends those who come back. Real sockets, a real log in PostgreSQL, a server in
a process of its own that is killed with SIGKILL. The troubles come at numbers of events, not at times, so a
seed fixes where.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import anyio
import anyio.abc
import anyio.to_thread
import httpx
import pandas as pd
import psycopg

from labcore.kernel import PeerError, UsageError
from labcore.lanes import Child, DatabaseServer, ServiceSetting, hosted
from labcore.learn.stream_labs.board import STREAM, TARGET
from labcore.learn.stream_labs.relay import Conversation, Relay, relay
from labcore.protocols import sse
from labcore.stores import AsyncDatabase, event_log

SUBSCRIBERS: Final = {
    "from now on": "now",
    "from the beginning": "start",
    "from the last id": "last",
}
KILL, CUT = "server killed", "network cut"
START_S: Final = 30.0
END_S: Final = 20.0  # for everybody to be back and to have read to the end
TICKET_LINES: Final = 18
_LOOK_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Plan:
    """What is published, and what goes wrong meanwhile.

    `keep` is how many events retention leaves in the log, 0 for all. Raises: UsageError for numbers out of range.
    """

    events: int = 60
    interval_ms: float = 50.0
    kills: int = 1
    cuts: int = 1
    keep: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, least in (
            ("events", 10),
            ("interval_ms", 1),
            ("kills", 0),
            ("cuts", 0),
            ("keep", 0),
        ):
            if getattr(self, name) < least:
                raise UsageError(f"{name}={getattr(self, name)} must be {least} or more")
        if self.kills + self.cuts > self.events // 5:
            raise UsageError(
                f"kills={self.kills} and cuts={self.cuts} are too many for events={self.events};"
                " give at least five events for each"
            )

    def troubles(self) -> dict[int, str]:
        """What happens after which event, by the seed; spread evenly, then moved a little."""
        words = [KILL] * self.kills + [CUT] * self.cuts
        draw = random.Random(self.seed)
        draw.shuffle(words)
        stride = self.events / (len(words) + 1)
        return {
            round(stride * (place + 1) + draw.uniform(-0.2, 0.2) * stride): word
            for place, word in enumerate(words)
        }


@dataclass(frozen=True, slots=True, repr=False)
class Deliveries:
    """What reached whom.

    Attributes:
        rows: one a delivery: `subscriber`, `at_s` since the beginning, `id`, `kind` (`departure` or `gap`).
        troubles: moments in seconds, and what happened.
        published: the last id.
        reconnects: attempts to come back, by subscriber; some find nobody there.
        conversations: the first bytes of every connection.
    """

    rows: pd.DataFrame
    troubles: tuple[tuple[float, str], ...]
    published: int
    reconnects: Mapping[str, int]
    conversations: Sequence[Conversation] = field(default=())

    @property
    def table(self) -> pd.DataFrame:
        """One row a subscriber: what it received, missed, got twice, and how often it was told of a loss."""
        wanted = set(range(1, self.published + 1))
        lines = []
        for name in SUBSCRIBERS:
            mine = self.rows[self.rows.subscriber == name]
            ids = mine.id[mine.kind == "departure"]
            lines.append(
                {
                    "subscriber": name,
                    "received": len(ids),
                    "missing": len(wanted - set(ids)),
                    "repeated": int(ids.duplicated().sum()),
                    "told of a loss": int((mine.kind == "gap").sum()),
                    "tries to return": self.reconnects[name],
                }
            )
        return pd.DataFrame(lines)

    @property
    def counts(self) -> dict[str, float]:
        """`missing: …` and `repeated: …` of each subscriber, for a guess."""
        return {
            f"{what}: {row['subscriber']}": float(row[what])
            for row in self.table.to_dict(orient="records")
            for what in ("missing", "repeated")
        }

    @property
    def return_ticket(self) -> str:
        """What a subscriber said when it came back, and how the answer began, as it went over the wire."""
        for said in self.conversations:
            head = said.up.decode().split("\r\n")
            if "rule=last" in head[0] and any(_is_last_id(line) for line in head):
                asked = [head[0], *(line for line in head[1:] if _is_last_id(line))]
                answer = said.down.decode().replace("\r\n", "\n").splitlines()[:TICKET_LINES]
                return "\n".join(
                    [*(f"> {line}" for line in asked), *(f"< {line}" for line in answer)]
                )
        return "nobody had to come back"

    def __repr__(self) -> str:
        return self.table.to_string(index=False)

    def _repr_html_(self) -> str:
        html: str = self.table.to_html(index=False)
        return html


async def break_stream(plan: Plan | None = None, *, database_url: str | None = None) -> Deliveries:
    """Publish by plan, break what the plan breaks, and say who got what.

    Takes `events` times `interval_ms`, some seconds for the database and one for each kill. Nothing is left behind.

    Args:
        plan: what happens.
        database_url: an empty database for the log; default: one of its own, gone at the end.

    Raises:
        UsageError: a plan that cannot be.
        PeerError: somebody did not come back within 20 s.
    """
    plan = plan or Plan()
    if database_url is not None:
        return await _played(plan, database_url)
    server = DatabaseServer()
    await anyio.to_thread.run_sync(server.start)
    try:
        url = await anyio.to_thread.run_sync(server.create, "board")
        return await _played(plan, url)
    finally:
        await anyio.to_thread.run_sync(server.stop)


async def _played(plan: Plan, url: str) -> Deliveries:
    await anyio.to_thread.run_sync(_lay_out, url)
    async with AsyncDatabase(url, size=2) as database, relay() as network:
        return await _Run(plan, url, database, network).play()


class _Run:
    def __init__(self, plan: Plan, url: str, database: AsyncDatabase, network: Relay) -> None:
        self._plan = plan
        self._url = url
        self._database = database
        self._network = network
        self._began_s = 0.0
        self._rows: list[dict[str, object]] = []
        self._newest = dict.fromkeys(SUBSCRIBERS, 0)
        self._sources: dict[str, sse.EventSource] = {}
        self._troubles: list[tuple[float, str]] = []
        self._child: Child | None = None

    async def play(self) -> Deliveries:
        try:
            await self._serve()
            async with (
                httpx.AsyncClient(trust_env=False) as client,
                anyio.create_task_group() as all_,
            ):
                for name, rule in SUBSCRIBERS.items():
                    all_.start_soon(self._subscribe, client, name, rule)
                await self._until(self._everybody_is_there)
                self._began_s = time.monotonic()
                published = await self._publish_all()
                await self._until(lambda: all(n >= published for n in self._newest.values()))
                all_.cancel_scope.cancel()
        finally:
            if self._child is not None:
                await anyio.to_thread.run_sync(self._child.stop)
        return Deliveries(
            pd.DataFrame(self._rows, columns=["subscriber", "at_s", "id", "kind"]),
            tuple(self._troubles),
            published,
            {name: source.reconnects for name, source in self._sources.items()},
            tuple(self._network.conversations),
        )

    async def _publish_all(self) -> int:
        troubles = self._plan.troubles()
        async with anyio.create_task_group() as repairs:
            for number in range(1, self._plan.events):
                await self._publish(number)
                if number in troubles:
                    self._troubles.append((self._now_s(), troubles[number]))
                    await self._happen(troubles[number], repairs)
                await anyio.sleep(self._plan.interval_ms / 1e3)
        # The last one when all are back: without it nobody could tell a loss from a delay.
        await self._until(self._everybody_is_there)
        await self._publish(self._plan.events)
        return self._plan.events

    async def _publish(self, number: int) -> None:
        body = {"train": f"IC {100 + number}", "platform": number % 9 + 1}
        await event_log.append(self._database, STREAM, [event_log.NewEvent("departure", body)])
        if self._plan.keep:
            await event_log.retain(self._database, STREAM, keep=self._plan.keep)

    async def _happen(self, trouble: str, repairs: anyio.abc.TaskGroup) -> None:
        if trouble == CUT:
            self._network.cut()
            return
        assert self._child is not None
        await anyio.to_thread.run_sync(self._child.kill)
        repairs.start_soon(self._serve)

    async def _serve(self) -> None:
        setting = ServiceSetting(lane="structured", parameters={}, database_url=self._url, peers={})
        self._child = child = hosted(TARGET, setting, name="board")
        child.start()
        ready = await anyio.to_thread.run_sync(partial(child.wait_ready, START_S))
        self._network.target(ready["url"])

    async def _subscribe(self, client: httpx.AsyncClient, name: str, rule: str) -> None:
        self._sources[name] = source = sse.EventSource(
            client,
            f"{self._network.url}/events?rule={rule}",
            reconnection=sse.Reconnection(base_s=0.1, ceiling_s=0.5),
            idle_timeout_s=5.0,
        )
        async with aclosing(aiter(source)) as events:
            async for event in events:
                number = int(event.last_event_id)
                self._newest[name] = max(number, self._newest[name])
                self._rows.append(
                    {"subscriber": name, "at_s": self._now_s(), "id": number, "kind": event.event}
                )

    def _everybody_is_there(self) -> bool:
        states = [source.state for source in self._sources.values()]
        there = len(states) == len(self._network) == len(SUBSCRIBERS)
        return there and all(state is sse.EventSourceState.OPEN for state in states)

    async def _until(self, holds: Callable[[], bool]) -> None:
        with anyio.move_on_after(END_S):
            while not holds():  # noqa: ASYNC110 - clients and a process, none of which sets an event
                await anyio.sleep(_LOOK_S)
            return
        raise PeerError(
            f"after {END_S:g} s not every subscriber was there; the machine is too busy"
        )

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s


def _lay_out(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(event_log.SCHEMA)


def _is_last_id(line: str) -> bool:
    return line.lower().startswith("last-event-id:")
