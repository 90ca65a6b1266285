"""`time.sleep` holds the event loop: while one order waits, no other order moves.

A reactive wait is a timer, and the loop goes on meanwhile. The rule itself knows how to wait: `Retry.backoff`.
"""

import time

from labcore.reactive import Mono, Retry


def patiently(call: Mono[str]) -> Mono[str]:
    """Waits with everybody else's time."""
    rule = Retry.max(3).with_filter(lambda error: isinstance(error, ConnectionError))
    return call.retry_when(
        rule.do_before_retry(lambda so_far: time.sleep(0.1 * 2**so_far.total_retries))
    )
