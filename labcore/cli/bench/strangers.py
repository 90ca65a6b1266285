"""Clients of others at our streams: what each receives, whether it comes back, and where it continues.

Our own client judging our own server proves that both share one understanding; these share none.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pandas as pd

from labcore.cli.bench.delivering import Logged, cutting
from labcore.cli.bench.delivery import read_log
from labcore.cli.bench.foreign import NODE, PYTHON, Client, npm_installed
from labcore.lanes import Deployment, Stage, scenario

SUMMARY = "strangers: other people's clients at our streams, through a kill of the server"

LANE: Final = "structured"
BATCH, QUICK_BATCH = 200, 20
CALL_AGAIN_S: Final = 0.2
PATIENCE_S: Final = 30.0


@dataclass(slots=True)
class Meeting:
    """What a stranger heard, and how often it had to be started again with the last id it had said."""

    heard: list[int] = field(default_factory=list)
    called_again: int = 0
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, event_id: int) -> None:
        """One event more."""
        self.heard.append(event_id)
        self._more.set()

    async def until_more(self) -> None:
        """Wait for an event."""
        self._more.clear()
        await self._more.wait()

    def row(self, client: Client, due: Sequence[int]) -> dict[str, Any]:
        """A row of the table: `exact` says whether it was given all that was due, once and in order."""
        return {
            "client": client.name,
            "protocol": client.protocol,
            "of": "npm" if client.node else "Python",
            "due": len(due),
            "received": len(self.heard),
            "repeated": len(self.heard) - len(set(self.heard)),
            "came_back": "started again" if self.called_again else "by itself",
            "exact": self.heard == list(due),
        }


def run(*, quick: bool) -> pd.DataFrame:
    """One row a client: half of its events before the server is killed, half while it looks for it.

    Installs the clients of npm into a folder of its own where there is npm; where there is none they are
    left out.
    """
    batch = QUICK_BATCH if quick else BATCH
    with tempfile.TemporaryDirectory() as folder, Stage(scenario("inventory"), {}) as stage:
        modules = npm_installed(Path(folder)) if shutil.which("npm") else None
        clients = (*PYTHON, *(NODE if modules else ()))
        with stage.deploy(LANE) as deployed:
            rows = asyncio.run(meet(deployed, clients, batch=batch, modules=modules))
    return pd.DataFrame(rows)


async def meet(
    deployed: Deployment, clients: Sequence[Client], *, batch: int, modules: Path | None = None
) -> list[dict[str, Any]]:
    """Let strangers hear one batch, kill the server, let them hear another; a row for each.

    The second batch is in the log before the restarted server can be reached, so only who resumes hears
    it whole. A stranger that has not heard the last event within half a minute is not waited for any
    longer.
    """
    meetings = [Meeting() for _ in clients]
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        cutting(mean_bytes=0, seed=1) as proxy,
        anyio.create_task_group() as group,
    ):
        proxy.target(deployed.url)
        ground = await _ground(http, deployed)
        for client, meeting in zip(clients, meetings, strict=True):
            group.start_soon(partial(_keep, client, meeting, proxy.url, ground, modules=modules))
        await _publish(http, deployed, ground, batch)
        await _until_heard(meetings, await _due(deployed, ground))
        await asyncio.to_thread(deployed.restart)
        await _publish(http, deployed, ground, batch)
        proxy.target(deployed.url)
        due = await _due(deployed, ground)
        await _until_heard(meetings, due)
        group.cancel_scope.cancel()
    return [meeting.row(client, due) for client, meeting in zip(clients, meetings, strict=True)]


@dataclass(frozen=True, slots=True)
class _Ground:
    """One product of one warehouse, and the right to it."""

    token: str
    warehouse: str
    sku: str


async def _ground(http: httpx.AsyncClient, deployed: Deployment) -> _Ground:
    wish = {"subject": "stranger", "scope": ["stock:*"], "ttl_s": 600}
    answer = await http.post(f"{deployed.url}/tokens", json=wish)
    token = answer.raise_for_status().json()["token"]
    answer = await http.get(f"{deployed.url}/stock", headers=_bearer(token))
    first = answer.raise_for_status().json()["stock"][0]
    return _Ground(token, first["warehouse"], first["sku"])


async def _publish(
    http: httpx.AsyncClient, deployed: Deployment, ground: _Ground, count: int
) -> None:
    url = f"{deployed.url}/stock/{ground.sku}/changes"
    change = {"warehouse": ground.warehouse, "delta": 1}
    for _ in range(count):
        answer = await http.post(url, json=change, headers=_bearer(ground.token))
        answer.raise_for_status()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _due(deployed: Deployment, ground: _Ground) -> list[int]:
    log: list[Logged] = await asyncio.to_thread(read_log, deployed)
    return [event.id for event in log if event.warehouse == ground.warehouse]


async def _until_heard(meetings: Sequence[Meeting], due: Sequence[int]) -> None:
    with anyio.move_on_after(PATIENCE_S):
        for meeting in meetings:
            while not meeting.heard or meeting.heard[-1] < due[-1]:
                await meeting.until_more()


async def _keep(
    client: Client, meeting: Meeting, url: str, ground: _Ground, *, modules: Path | None
) -> None:
    """The stranger at work, started again with its last id whenever it has ended."""
    while True:
        await _listen(client, meeting, url, ground, modules=modules)
        await anyio.sleep(CALL_AGAIN_S)
        meeting.called_again += 1


async def _listen(
    client: Client, meeting: Meeting, url: str, ground: _Ground, *, modules: Path | None
) -> None:
    """One process of the stranger, until it ends or we do."""
    task = {
        "client": client.name,
        "events_url": f"{url}/stock/events?warehouse={ground.warehouse}&slow=disconnect",
        "socket_url": f"{url.replace('http:', 'ws:')}/stock/socket",
        "token": ground.token,
        "warehouse": ground.warehouse,
        "last_id": str(meeting.heard[-1]) if meeting.heard else "0",
        "modules": str(modules),
    }
    process = await asyncio.create_subprocess_exec(
        *client.command(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # tracebacks of clients that lose a server are no news
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(task).encode() + b"\n")
        async for line in process.stdout:
            meeting.hear(int(line))
    except asyncio.CancelledError:
        process.kill()  # never one that has ended: asking it would reap it before asyncio does
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await process.wait()
