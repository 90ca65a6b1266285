"""A process of Locust's: `URL SECONDS USERS`, prints one JSON line. Its import patches the process."""

import json
import sys
import time
from resource import RUSAGE_SELF, getrusage

import gevent
from locust import FastHttpUser, task
from locust.env import Environment


class User(FastHttpUser):
    """Asks again at once."""

    @task
    def ask(self) -> None:
        """One request."""
        self.client.get("/")


def main(url: str, seconds: float, users: int) -> dict[str, float]:
    """Start all users, let them ask for so many seconds, and count that time only."""
    environment = Environment(user_classes=[User], host=url.rstrip("/"))
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    while runner.user_count < users or not environment.stats.total.num_requests:
        gevent.sleep(0.01)
    before, began_s = getrusage(RUSAGE_SELF), time.monotonic()
    asked = environment.stats.total.num_requests
    gevent.sleep(seconds)
    after, wall_s = getrusage(RUSAGE_SELF), time.monotonic() - began_s
    requests = environment.stats.total.num_requests - asked
    runner.quit()
    return {
        "requests": requests,
        "wall_s": wall_s,
        "user_s": after.ru_utime - before.ru_utime,
        "system_s": after.ru_stime - before.ru_stime,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201 - its answer
