import gc
import math
import sys
import threading
import time

import pytest

from labcore.kernel import UsageError
from labcore.measure.witness import Witness


def burn(cpu_s: float) -> None:
    until_s = time.process_time() + cpu_s
    while time.process_time() < until_s:
        pass


def test_cpu_and_wall_time_of_the_window_are_seen():
    witness = Witness()
    witness.begin()
    burn(0.05)
    testimony = witness.end()
    assert testimony.cpu_s >= 0.05
    assert testimony.wall_s >= 0.05
    assert testimony.cpu_share == pytest.approx(testimony.cpu_s / testimony.wall_s)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_machine_is_seen_in_shares():
    witness = Witness()
    witness.begin()
    burn(0.05)
    testimony = witness.end()
    assert testimony.run_delay_share >= 0
    assert 0 <= testimony.steal_share <= 1
    assert not math.isnan(testimony.others_cpu_share)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_waiting_for_a_core_is_seen_as_run_queue_delay():
    """Eight busy threads around one lock and few cores must queue now and then."""
    witness = Witness()
    started = threading.Barrier(9)

    def work() -> None:
        for _ in range(3):  # begun, worked, seen: an ended thread takes its count with it
            started.wait()
            sum(hash(str(number)) & 1 for number in range(10_000))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    witness.begin()
    started.wait()
    started.wait()
    testimony = witness.end()
    started.wait()
    for thread in threads:
        thread.join()
    assert testimony.run_delay_share > 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_thread_that_ends_takes_nothing_from_the_others():
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    witness = Witness()
    witness.begin()
    ended.set()
    thread.join()
    assert witness.end().run_delay_share >= 0


def test_collections_are_counted_and_timed_and_the_callback_is_gone():
    before = len(gc.callbacks)
    witness = Witness()
    witness.begin()
    gc.collect()
    testimony = witness.end()
    assert testimony.gc_collections >= 1
    assert 0 < testimony.gc_pause_max_ms <= testimony.gc_pause_ms
    assert len(gc.callbacks) == before


def test_a_window_begun_again_forgets_what_was_before():
    witness = Witness()
    witness.begin()
    gc.collect()
    witness.begin()
    assert witness.end().gc_collections == 0
    assert witness.end() is witness.end()


def test_a_witness_that_saw_nothing_says_so():
    with pytest.raises(UsageError, match="begin"):
        Witness().end()
