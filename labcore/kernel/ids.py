"""Names for things that outlive a process: sortable by time, unique without coordination."""

import secrets
from datetime import datetime

from labcore.kernel.clock import utc_now


def new_id(prefix: str) -> str:
    """An unguessable id such as `ord_9f2c…` (80 random bits)."""
    return f"{prefix}_{secrets.token_hex(10)}"


def new_run_id(scenario: str, *, at: datetime | None = None) -> str:
    """A directory name that sorts by time: `checkout-20261122T230107-4f1a`."""
    moment = at or utc_now()
    return f"{scenario}-{moment:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
