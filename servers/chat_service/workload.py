"""Messages to rooms, drawn by seed: who says what where."""

import json
import random
from collections.abc import Sequence
from typing import Final

from labcore.lanes import Audience, Request, Values
from servers.chat_service.contract import ANSWERED, OUTCOMES
from servers.chat_service.doorman import LAB_WORD

MEMBERS: Final = 200
WORDS: Final = (
    "the parcel is on its way", "who has the key", "we ship on Monday", "thank you", "one moment",
    "the price is right", "it arrived broken", "please send another", "out of stock", "see you there",
)  # fmt: skip


class ChatWorkload:
    """Each request is a message of a random member, with a client id of its own."""

    def requests(self, *, seed: int, count: int, parameters: Values) -> Sequence[Request]:
        """`count` requests, the same for the same seed and number of rooms."""
        draw = random.Random(seed)
        rooms = int(parameters.get("rooms", 1))
        return [_message(f"{seed}-{number}", draw, rooms) for number in range(count)]

    def outcome(self, status: int) -> str:
        """The contract's word for a status; `failed` for one outside it."""
        return OUTCOMES.get(status, "failed")

    @property
    def answered(self) -> frozenset[str]:
        """Outcomes that are correct answers of a healthy service."""
        return ANSWERED


def audience(url: str, values: Values) -> Audience | None:  # noqa: ARG001 - a scenario's signature
    """Who listens while a load runs: all to the first room, each under the same lab word."""
    subscribers = int(values["subscribers"])
    if not subscribers:
        return None
    token = (("Authorization", f"Bearer {LAB_WORD}audience"),)
    if values["audience_socket"]:
        opening = json.dumps({"type": "resume", "last_id": None})
        path = f"/rooms/{room(0)}/socket"
        return Audience(path, subscribers, kind="websocket", headers=token, opening=opening)
    return Audience(f"/rooms/{room(0)}/events", subscribers, headers=token)


def room(number: int) -> str:
    """The name of a room of the workload."""
    return f"room-{number}"


def _message(name: str, draw: random.Random, rooms: int) -> Request:
    message = {"client_id": name, "text": draw.choice(WORDS)}
    member = draw.randrange(MEMBERS)
    return Request(
        method="POST",
        path=f"/rooms/{room(draw.randrange(rooms))}/messages",
        headers=(
            ("Content-Type", "application/json"),
            ("Authorization", f"Bearer {LAB_WORD}member-{member}"),
        ),
        body=json.dumps(message, separators=(",", ":")).encode(),
    )
