import urllib.request

import numpy as np

from labcore.lanes import Child
from labcore.measure import reference

MS = 1_000_000


def test_waiting_is_the_rest_of_the_stall_and_nothing_outside_of_it():
    intended = np.array([0, 50, 100, 120, 149, 150, 199, 210]) * MS
    waits = reference.true_latency_ns(intended, began_ns=0, stall_s=0.05, period_s=0.1)
    # The first period has no stall; from then on, the first half of each.
    assert (waits / MS).tolist() == [0, 0, 50, 30, 1, 0, 0, 40]


def test_the_server_answers_and_stops():
    with Child(reference.TARGET, {"delay_s": 0.01}, name="reference") as child:
        ready = child.wait_ready(10)
        with urllib.request.urlopen(ready["url"], timeout=5) as response:
            assert response.status == 200
            assert response.read() == b'{"ok":true}'
    assert child.exit_code == 0
