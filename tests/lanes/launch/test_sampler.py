import gc
import os
import threading

import anyio
import anyio.to_thread

from labcore.lanes.launch.sampler import CollectorPauses, RunDelay, Sample, Sampler

STALL_S = 0.2


async def test_a_stall_of_the_loop_is_its_lag():
    samples: list[Sample] = []
    sampler = Sampler(dict, emit=samples.append)
    sampler.start()
    threading.Event().wait(STALL_S)
    await anyio.lowlevel.checkpoint()
    while len(samples) < 2:
        await anyio.lowlevel.checkpoint()
    sampler.stop()
    # The timer was due 40 ms after the start of the stall.
    assert max(sample["loop_lag_ms"] for sample in samples) >= (STALL_S - 0.05) * 1e3
    assert samples[-1]["loop_lag_ms"] < samples[1]["loop_lag_ms"]


async def test_gauges_join_the_sample_and_the_last_one_comes_at_the_stop():
    samples: list[Sample] = []
    sampler = Sampler(lambda: {"db_pool_busy": 3.0}, emit=samples.append)
    sampler.start()
    sampler.stop()
    assert [sample["db_pool_busy"] for sample in samples] == [3.0, 3.0]
    assert sampler.latest is samples[-1]
    assert samples[0]["at_ns"] < samples[1]["at_ns"]
    assert samples[0]["tasks"] >= 1


async def test_threads_and_memory_are_those_of_this_process():
    samples: list[Sample] = []
    sampler = Sampler(dict, emit=samples.append)
    sampler.start()
    ballast = bytearray(os.urandom(64)) * (2**20)
    go = threading.Event()
    threads = [threading.Thread(target=go.wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    sampler.stop()
    go.set()
    for thread in threads:
        thread.join()
    assert samples[1]["threads"] - samples[0]["threads"] == 5
    assert samples[1]["rss_mb"] - samples[0]["rss_mb"] > len(ballast) / 2**20 * 0.9
    assert samples[1]["rss_peak_mb"] >= samples[1]["rss_mb"]


def test_pauses_of_the_collector_are_counted_once():
    pauses = CollectorPauses()
    pauses.start()
    gc.collect()
    first_ms = pauses.take_ms()
    nothing_ms = pauses.take_ms()
    pauses.stop()
    gc.collect()
    assert first_ms > 0
    assert nothing_ms == pauses.take_ms() == 0


def test_run_delay_never_goes_back_when_threads_end():
    delay = RunDelay(os.getpid())
    go = threading.Event()
    threads = [threading.Thread(target=go.wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    before_s = delay.read_s()
    go.set()
    for thread in threads:
        thread.join()
    assert delay.read_s() >= before_s > 0


def test_run_delay_of_a_process_that_ended_stands(tmp_path: object):
    pid = os.posix_spawn("/bin/cat", ["cat", "/dev/null"], {})
    os.waitpid(pid, 0)
    assert RunDelay(pid).read_s() == 0
