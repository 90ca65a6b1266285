import threading

import pytest

from labcore.kernel import InterruptedRunError
from labcore.show.widgets.job import Job, State


@pytest.fixture
def seen() -> list[State]:
    return []


@pytest.fixture
def job(seen: list[State]) -> Job:
    return Job(lambda state, _error: seen.append(state))


def test_work_that_returns_is_done(job: Job, seen: list[State]):
    assert job.start(lambda _cancelled: None)
    assert job.wait(5)
    assert seen == [State.RUNNING, State.DONE]


def test_cancelled_work_ends_as_cancelled_and_not_as_failed(job: Job, seen: list[State]):
    def work(cancelled: threading.Event) -> None:
        cancelled.wait()
        raise InterruptedRunError("stopped, 3 runs kept")

    job.start(work)
    job.cancel()
    assert job.wait(5)
    assert seen == [State.RUNNING, State.CANCELLING, State.CANCELLED]
    assert job.error is None


def test_an_error_is_reported_and_kept(job: Job, seen: list[State]):
    def work(_cancelled: threading.Event) -> None:
        raise ValueError("no such lane")

    job.start(work)
    assert job.wait(5)
    assert seen[-1] is State.FAILED
    assert str(job.error) == "no such lane"


def test_a_second_start_is_refused_while_work_runs(job: Job):
    release = threading.Event()

    def work(_cancelled: threading.Event) -> None:
        release.wait()

    job.start(work)
    assert not job.start(lambda _cancelled: None)
    release.set()
    assert job.wait(5)
    assert job.start(lambda _cancelled: None)
    assert job.wait(5)


def test_cancelling_an_idle_job_changes_nothing(job: Job, seen: list[State]):
    job.cancel()
    assert seen == []
    assert job.state is State.IDLE
