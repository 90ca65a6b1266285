"""What a peer did and what it cost."""

import math
from dataclasses import dataclass

from labcore.kernel import EnvironmentFault


class Missing(EnvironmentFault):
    """A peer is not installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Requests answered in a time, and the CPU the client used for them."""

    requests: int
    wall_s: float
    user_s: float
    system_s: float
    lateness_p50_us: float = math.nan  # of an open loop only
    lateness_p99_us: float = math.nan

    def row(self, driver: str) -> dict[str, float | str]:
        """As a line of the table."""
        cpu_s = self.user_s + self.system_s
        return {
            "driver": driver,
            "requests_per_s": self.requests / self.wall_s,
            "cpu_us_per_request": cpu_s / self.requests * 1e6,
            "system_us_per_request": self.system_s / self.requests * 1e6,
            "cpu_share": cpu_s / self.wall_s,
            "lateness_p50_us": self.lateness_p50_us,
            "lateness_p99_us": self.lateness_p99_us,
        }
