"""How many calls to the payment adapter are under way, whoever waits for them and however."""

import threading
from types import TracebackType


class Downstream:
    """A count that each call enters and leaves, as a `with` block; thread-safe."""

    __slots__ = ("_lock", "under_way")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # platform threads count here too
        self.under_way = 0

    def __enter__(self) -> None:
        with self._lock:
            self.under_way += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self.under_way -= 1
