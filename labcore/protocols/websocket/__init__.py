"""WebSocket: lifecycle, close codes, a server's socket, a reconnecting client.

Source: RFC 6455; RFC 7692 (compression).
"""

from labcore.protocols.websocket.client import Credentials, ResumingSocket
from labcore.protocols.websocket.codes import (
    Verdict,
    check_close,
    is_sendable,
    judge_close,
    judge_handshake,
)
from labcore.protocols.websocket.lifecycle import (
    TRANSITIONS,
    Act,
    Acts,
    Event,
    Lifecycle,
    Limits,
    Role,
    State,
)
from labcore.protocols.websocket.socket import HEARTBEAT, LISTENED_TO, Socket, encode_message

__all__ = [
    "HEARTBEAT",
    "LISTENED_TO",
    "TRANSITIONS",
    "Act",
    "Acts",
    "Credentials",
    "Event",
    "Lifecycle",
    "Limits",
    "ResumingSocket",
    "Role",
    "Socket",
    "State",
    "Verdict",
    "check_close",
    "encode_message",
    "is_sendable",
    "judge_close",
    "judge_handshake",
]
