"""The chat service: rooms, messages delivered at least once, acknowledgements, presence.

Its lanes differ in `lane_reactive`, `lane_structured` and `lane_blocking` (run by `threads` and by
`virtual`) and in nothing else.
"""

from labcore.lanes import Lane, Parameter, Scenario
from servers.chat_service.checks import CHECKS
from servers.chat_service.statements import prepare
from servers.chat_service.workload import ChatWorkload, audience

_BUILD = "servers.chat_service.app:build"

SCENARIO = Scenario(
    name="chat",
    title="Chat: send, deliver, acknowledge",
    question="Which concurrency model holds most listeners while rooms are talking?",
    lanes=(
        Lane("reactive", "Reactive streams", "an event-loop task", "WebFlux, Reactor", _BUILD),
        Lane(
            "threads",
            "Platform threads",
            "a blocked OS thread from a bounded pool",
            "a thread per connection",
            _BUILD,
        ),
        Lane(
            "virtual",
            "Virtual threads",
            "a parked greenlet, its carrier free",
            "virtual threads",
            _BUILD,
        ),
        Lane(
            "structured",
            "async/await in task groups",
            "an event-loop task",
            "structured concurrency",
            _BUILD,
        ),
    ),
    baseline="reactive",
    workload=ChatWorkload(),
    parameters=(
        Parameter("rooms", 4, "", "that the load talks in", 1, 10_000),
        Parameter("subscribers", 0, "", "that listen to the first room during a run", 0, 10_000),
        Parameter("audience_socket", False, "", "they listen over WebSocket instead of SSE"),
        Parameter("lab_tokens", True, "", "anybody may have a token; never outside a lab"),
        Parameter("heartbeat_s", 15.0, "s", "of silence, then a sign of life", 0.01, 3_600),
        Parameter("presence_s", 30.0, "s", "without a beat, then a tab is gone", 0.05, 3_600),
        Parameter("recent", 1_000, "events", "of each followed room in memory", 1, 1_000_000),
        Parameter("most_behind", 5_000, "events", "then a subscriber is slow", 1, 10_000_000),
        Parameter("max_streams", 20_000, "streams", "at once", 1, 1_000_000),
        Parameter("streams_per_member", 20_000, "streams", "of one member", 1, 1_000_000),
        Parameter("workers", 256, "threads", "that listen in the lane `threads`", 1, 4_000),
        Parameter("db_pool", 10, "connections", "database pool", 1, 200),
    ),
    prepare=prepare,
    checks=CHECKS,
    audience=audience,
)

__all__ = ["SCENARIO"]
