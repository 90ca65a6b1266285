"""A long list read slowly: what the server's memory does meanwhile, lane by lane."""

import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import pandas as pd

from labcore.kernel import PeerError
from labcore.lanes import Stage, scenario

SUMMARY = "a million orders streamed to a slow reader: the server's memory over idle, MB a lane"

ORDERS: Final = 1_000_000
ROWS_PER_S: Final = 100.0
SECONDS: Final = 20.0
QUICK_ORDERS, QUICK_SECONDS = 50_000, 5.0
SETTLE_S: Final = 2.0  # of idling before, which is what memory is compared with
_REQUEST = b"GET /orders HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
_CHUNK_BYTES: Final = 4096


def run(
    *,
    quick: bool,
    lanes: Sequence[str] | None = None,
    rate: float = ROWS_PER_S,
    seconds: float = 0.0,
) -> pd.DataFrame:
    """One row a lane: rows read, and the server's peak memory over what it had when idle.

    The whole table is the answer; the reader takes `rate` rows a second for so long and leaves. What the
    kernel buffers between the two is not the server's.

    Raises: PeerError when the list does not begin or ends early.
    """
    checkout = scenario("checkout")
    seconds = seconds or (QUICK_SECONDS if quick else SECONDS)
    values = {"past_orders": QUICK_ORDERS if quick else ORDERS}
    rows = []
    with Stage(checkout, values) as stage:
        for lane in lanes or [lane.name for lane in checkout.lanes]:
            samples: list[dict[str, Any]] = []
            with stage.deploy(lane, on_sample=samples.append) as deployed:
                time.sleep(SETTLE_S)
                idle_mb = samples[-1]["rss_mb"]
                before = len(samples)
                read, longest_pause_ms = read_slowly(deployed.url, rate=rate, seconds=seconds)
                peak_mb = max(sample["rss_mb"] for sample in samples[before:])
            rows.append(
                {
                    "lane": lane,
                    "orders": values["past_orders"],
                    "read": read,
                    "idle_mb": idle_mb,
                    "peak_over_idle_mb": peak_mb - idle_mb,
                    "longest_pause_ms": longest_pause_ms,
                }
            )
    return pd.DataFrame(rows).round(1)


def read_slowly(url: str, *, rate: float, seconds: float) -> tuple[int, float]:
    """Take that many lines a second for so long: how many were taken, and the longest wait for one.

    Raises: PeerError when there is no list, or it ends early.
    """
    parts = urlsplit(url)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _CHUNK_BYTES)
        connection.settimeout(10)
        connection.connect((parts.hostname, parts.port))
        connection.sendall(_REQUEST)
        lines = _lines(connection)
        began_s, longest_s = time.monotonic(), 0.0
        for taken in range(int(rate * seconds)):
            time.sleep(max(0.0, began_s + taken / rate - time.monotonic()))
            asked_s = time.monotonic()
            next(lines)
            longest_s = max(longest_s, time.monotonic() - asked_s)
        return int(rate * seconds), longest_s * 1e3


def _lines(connection: socket.socket) -> Iterator[bytes]:
    """Lines of the body; chunk sizes are lines of their own and are left out."""
    data = b""
    while True:
        part = connection.recv(_CHUNK_BYTES)
        if not part:
            raise PeerError("the list ended before the reader did")
        *whole, data = (data + part).split(b"\n")
        yield from (line for line in whole if line.startswith(b"{"))
