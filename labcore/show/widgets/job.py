"""One long piece of work under a panel: a thread that owns it, a flag that cancels it.

Widget callbacks run on different threads and loops from one ipykernel to the next, so they only start
and cancel a job; the work itself runs on the job's own thread and nowhere else.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from labcore.kernel import InterruptedRunError

Work = Callable[[threading.Event], None]


class State(StrEnum):
    """Where a job stands."""

    IDLE = "idle"
    RUNNING = "running"
    CANCELLING = "cancelling"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Job:
    """Runs one piece of work at a time on a thread of its own.

    `on_state` is called from that thread with the new state and, when the work failed, its error;
    errors are also kept in `error`, never lost.
    """

    def __init__(self, on_state: Callable[[State, BaseException | None], None]) -> None:
        self._on_state = on_state
        self._cancelled = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.state = State.IDLE
        self.error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether work is under way, cancelling included."""
        return self.state in {State.RUNNING, State.CANCELLING}

    def start(self, work: Work) -> bool:
        """Start the work; False when something is still running."""
        with self._lock:
            if self.busy:
                return False
            self._cancelled.clear()
            self.error = None
            self.state = State.RUNNING
            self._thread = threading.Thread(
                target=self._run, args=(work,), name="labcore-job", daemon=True
            )
        self._on_state(State.RUNNING, None)
        self._thread.start()
        return True

    def cancel(self) -> None:
        """Ask the work to stop; it stops its children and keeps what was measured."""
        with self._lock:
            if self.state is not State.RUNNING:
                return
            self.state = State.CANCELLING
            self._cancelled.set()
        self._on_state(State.CANCELLING, None)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the work has ended; False when the time passed first."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
            return not thread.is_alive()
        return True

    def _run(self, work: Work) -> None:
        state = State.DONE
        try:
            with suppress(InterruptedRunError):
                work(self._cancelled)
            if self._cancelled.is_set():
                state = State.CANCELLED
        except BaseException as exc:  # noqa: BLE001 - the supervisor reports whatever ended the work
            state, self.error = State.FAILED, exc
        with self._lock:
            self.state = state
        self._on_state(state, self.error)
