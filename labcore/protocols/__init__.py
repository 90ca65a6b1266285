"""Wire formats and their rules, each beside the specification it keeps.

A protocol here decides and encodes; sockets appear only in the thin doors that carry it
(`sse.EventSource`, `sse.EventStream`, `websocket.Socket`). Services bring their own events and policies.
"""

from labcore.protocols import sse, tokens, webhook, websocket
from labcore.protocols.fanout import Backlog, Frame, Hub, Slow, Subscription

__all__ = [
    "Backlog",
    "Frame",
    "Hub",
    "Slow",
    "Subscription",
    "sse",
    "tokens",
    "webhook",
    "websocket",
]
