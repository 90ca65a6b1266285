"""Server-sent events: codec, reconnecting client, response.

Source: WHATWG HTML, section 9.2, "Server-sent events".
"""

from labcore.protocols.sse.client import EventSource, EventSourceState
from labcore.protocols.sse.codec import Decoder, ServerSentEvent, encode, encode_comment
from labcore.protocols.sse.reconnection import Answer, Reconnection, judge_answer
from labcore.protocols.sse.response import EventStream

__all__ = [
    "Answer",
    "Decoder",
    "EventSource",
    "EventSourceState",
    "EventStream",
    "Reconnection",
    "ServerSentEvent",
    "encode",
    "encode_comment",
    "judge_answer",
]
