"""Whoever holds the event loop is found, and the line named; whoever waits elsewhere is not."""

import anyio
import pytest

from labcore.learn import Status, check
from labcore.learn.stalls import Stalls
from labcore.reactive.testing import VirtualTime

HEAD = "import threading, time, anyio; from time import sleep\nfrom labcore.reactive import *\n"
QUOTE = "    return price.zip_with(discount.default_if_empty(0), lambda cents, off: cents - off)\n"


@pytest.mark.parametrize(
    "wait",
    ["sleep(1)", "threading.Event().wait(0.8)", "while time.process_time() < 2: pass"],
    ids=["sleep", "event", "computation"],
)
def test_a_held_loop_is_found_and_the_line_named(wait: str):
    result = check("zip", f"{HEAD}def quote(price, discount):\n    {wait}\n{QUOTE}", limit_s=30)
    assert result.status is Status.BLOCKS, str(result)
    assert result.line == 4


def test_a_wait_in_a_thread_holds_nothing():
    waiting = "    none = Mono.from_callable(lambda: anyio.to_thread.run_sync(sleep, 0.6))\n"
    quote = QUOTE.replace("discount.default_if_empty(0)", "discount.switch_if_empty(none)")
    quote = quote.replace("cents - off", "cents - (off or 0)")
    assert check("zip", f"{HEAD}def quote(price, discount):\n{waiting}{quote}").passed


def test_a_sleep_on_a_virtual_loop_moves_its_clock_and_takes_no_time():
    stalls = Stalls()

    async def main() -> float:
        stalls.sleep(3600)
        return anyio.current_time()

    assert VirtualTime.run(main) == 3600
    assert stalls.lines == [None]


def test_a_sleep_off_the_loop_is_nobody_s_business():
    stalls = Stalls()
    stalls.sleep(0)
    assert stalls.lines == []
