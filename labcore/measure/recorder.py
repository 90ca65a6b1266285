"""What happened to each request, kept raw: one slot a request in lists made before the run.

A list slot costs 29 ns to fill, a histogram's Python binding 600 to 1,000; so nothing is computed
while the load runs, and any figure can be recomputed afterwards.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labcore.measure.record import REQUEST_COLUMNS

TIMEOUT: Final = "timeout"  # no answer within the time limit, counted from the intended start
RESET: Final = "reset"  # the connection ended before the answer did
REFUSED: Final = "refused"  # no connection could be made for it
MALFORMED: Final = "malformed"  # bytes came that are not an HTTP answer
OVERLOAD: Final = "overload"  # more requests were waiting than the driver holds
UNFINISHED: Final = "unfinished"  # the run was stopped before its end
FAILURES: Final = frozenset({TIMEOUT, RESET, REFUSED, MALFORMED, OVERLOAD, UNFINISHED})
ANSWERED: Final = ""  # the workload's word for the status is put here after the run


class Recorder:
    """The stamps of a load, in monotonic nanoseconds, indexed by the request's number.

    The lists are public because the load engine writes them on its hot path; a stamp of 0 means
    *never*. `intended` is filled from the schedule. Used from one thread.
    """

    __slots__ = (
        "connection",
        "done",
        "first_byte",
        "intended",
        "issued",
        "news",
        "outcome",
        "sent",
        "settled",
        "status",
        "woke",
    )

    def __init__(self, size: int) -> None:
        self.intended: list[int] = []
        self.woke: list[int] = []
        self.sent: list[int] = []
        self.first_byte: list[int] = []
        self.done: list[int] = []
        self.status: list[int] = []
        self.outcome: list[str] = []
        self.connection: list[int] = []
        self.issued = 0  # requests handed over so far: slots below this number have begun
        self.settled = 0
        self.news: list[int] = []  # settled since the last `take_news`
        self.reserve(size)

    def reserve(self, more: int) -> None:
        """Make room for so many more requests."""
        for stamps in (self.intended, self.woke, self.sent, self.first_byte, self.done):
            stamps.extend([0] * more)
        self.status.extend([0] * more)
        self.outcome.extend([ANSWERED] * more)
        self.connection.extend([-1] * more)

    def settle(self, request: int, now_ns: int, status: int, outcome: str) -> None:
        """The one end of a request: an answer with its status, or a failure with status 0."""
        self.done[request] = now_ns
        self.status[request] = status
        self.outcome[request] = outcome
        self.settled += 1
        self.news.append(request)

    def take_news(self) -> list[int]:
        """The requests settled since the last call, for a progress display."""
        news, self.news = self.news, []
        return news

    def unsettled(self) -> list[int]:
        """Requests that have begun and not ended."""
        return [request for request in range(self.issued) if not self.done[request]]

    def stamps(self, column: str, first: int) -> NDArray[np.int64]:
        """One column of the begun requests from number `first` on, as an array."""
        values: list[int] = getattr(self, column)
        return np.array(values[first : self.issued], dtype=np.int64)

    def table(self, first: int, word: Callable[[int], str]) -> pa.Table:
        """The begun requests from number `first` on, with the columns of `REQUEST_COLUMNS`.

        Args:
            first: the first request of the recorded window.
            word: the contract's outcome for a status, asked once for each distinct status.
        """
        window = slice(first, self.issued)
        words = {status: word(status) for status in set(self.status[window])}
        outcomes = [
            outcome or words[status]
            for outcome, status in zip(self.outcome[window], self.status[window], strict=True)
        ]
        columns = {
            "intended_ns": self.intended[window],
            "woke_ns": self.woke[window],
            "sent_ns": self.sent[window],
            "first_byte_ns": self.first_byte[window],
            "done_ns": self.done[window],
            "status": self.status[window],
            "outcome": outcomes,
            "connection": self.connection[window],
        }
        schema = pa.schema(
            [(name, pa.type_for_alias(alias)) for name, alias in REQUEST_COLUMNS.items()]
        )
        return pa.table(columns, schema=schema)


def write_requests(table: pa.Table, path: Path) -> None:
    """Write the table as zstd Parquet under its final name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)
