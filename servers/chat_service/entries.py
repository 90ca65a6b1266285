"""Events as subscribers get them: encoded once, given to all, whatever carries them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from labcore.protocols import sse
from labcore.stores.event_log import Event
from servers.chat_service.contract import compact


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, as the text of a WebSocket message and as the bytes of a server-sent event.

    `id` is the last id that the reader has been told of with it.
    """

    id: int
    text: str
    sse: bytes


def entry_of(event: Event) -> Entry:
    """A logged event."""
    document = {"type": event.kind, "id": event.id, "room": event.scope, **event.body}
    return _encoded(event.kind, event.id, document)


def gap(first: int, last: int) -> Entry:
    """Tells of ids that will not come."""
    return _encoded("gap", last, {"type": "gap", "from": first, "to": last})


def history(room: str, events: Iterable[Event]) -> dict[str, Any]:
    """The document of a page; `next_after` and `next_before` lead on."""
    messages = [
        {"id": event.id, "room": room, **event.body, "at_s": event.at_s} for event in events
    ]
    edges = (messages[0]["id"], messages[-1]["id"]) if messages else (None, None)
    return {"messages": messages, "next_before": edges[0], "next_after": edges[1]}


def _encoded(kind: str, last_id: int, document: dict[str, Any]) -> Entry:
    text = compact(document)
    return Entry(last_id, text, sse.encode(text, event=kind, event_id=str(last_id)))
