"""Parts of the delivery proof: a network that cuts, and subscribers whose accounts are judged."""

from labcore.cli.bench.delivering.account import Account, Judgement, Logged, judged, last_ids
from labcore.cli.bench.delivering.cutting import CuttingProxy, cutting
from labcore.cli.bench.delivering.subscribers import (
    EventsSubscriber,
    SocketSubscriber,
    Subscriber,
    many_streams,
)

__all__ = [
    "Account",
    "CuttingProxy",
    "EventsSubscriber",
    "Judgement",
    "Logged",
    "SocketSubscriber",
    "Subscriber",
    "cutting",
    "judged",
    "last_ids",
    "many_streams",
]
