"""Events reach a listener one at a time; a whole run is covered by the experiments."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock
from typing import Any

from labcore.measure.run import Events


def test_listeners_are_called_one_at_a_time_from_any_thread():
    alone = Lock()
    overlaps: list[bool] = []
    gate = Barrier(8)

    def listen(kind: str, payload: dict[str, Any]) -> None:
        entered = alone.acquire(blocking=False)
        overlaps.append(not entered)
        sum(range(2_000))
        if entered:
            alone.release()

    events = Events(listen)

    def shout(number: int) -> None:
        gate.wait()
        for _ in range(50):
            events.emit("sample", {"number": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(shout, range(8)))
    assert overlaps == [False] * 400


def test_nobody_need_listen():
    Events(None).emit("sample", {})
