"""Who holds the event loop: sleeps on it are seen at once, every other wait by looking at the stack.

Runs in the checking process, where time is virtual and nothing of the learner's has reason to take
half a second of real time.
"""

import asyncio
import sys
import threading
import time
from types import FrameType
from typing import Final, SupportsIndex

ANSWER: Final = "<answer>"  # the file name under which the learner's code runs
_LOOK_S: Final = 0.05
_LOOKS: Final = 8  # in a row at the same line: a crowded machine delays one look or two, not eight


class Stalls:
    """Stands in for `time.sleep`, and looks at the main thread now and then.

    A sleep on a virtual loop costs no real time: the loop's clock moves as far as the sleep is long while
    nothing else runs, which is exactly what blocking does.

    Attributes:
        lines: Where the learner's code held a running loop; None where the line is not theirs.
    """

    def __init__(self) -> None:
        self._sleep = time.sleep
        self._main = threading.main_thread().ident
        self.lines: list[int | None] = []

    def install(self) -> None:
        """Take the place of `time.sleep` in this process, and begin to look."""
        time.sleep = self.sleep
        threading.Thread(target=self._look, name="labcore-stalls", daemon=True).start()

    def sleep(self, seconds: float | SupportsIndex, /) -> None:
        """Note it, and let virtual time pass; off the loop, sleep."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._sleep(seconds)
            return
        self.lines.append(line_on_loop(sys._getframe(1)))  # noqa: SLF001 - the caller's frame
        advance = getattr(loop, "advance", None)  # a virtual loop's
        if advance is None:
            self._sleep(seconds)
        else:
            advance(seconds)

    def _look(self) -> None:
        line, looks = None, 0
        while True:
            self._sleep(_LOOK_S)
            frame = sys._current_frames().get(self._main or 0)  # noqa: SLF001 - the only way to look
            now = None if frame is None else line_on_loop(frame)
            looks = looks + 1 if now is not None and now == line else 0
            line = now
            if looks == _LOOKS:
                self.lines.append(line)


def line_on_loop(frame: FrameType | None) -> int | None:
    """The innermost line of the learner's that a callback of the loop is in."""
    while frame is not None and frame.f_code.co_name != "_run_once":
        if frame.f_code.co_filename == ANSWER:
            return frame.f_lineno
        frame = frame.f_back
    return None
