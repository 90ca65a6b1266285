"""The webhook dispatcher: the subject of the webhooks scenario.

Its lanes differ in `lane_reactive`, `lane_structured` and `lane_blocking` (run by `threads` and by
`virtual`) and in nothing else.
"""

from labcore.lanes import Lane, Parameter, Peer, Scenario
from servers.partner_webhook_dispatcher.checks import CHECKS
from servers.partner_webhook_dispatcher.seeding import RECEIVER
from servers.partner_webhook_dispatcher.statements import prepare
from servers.partner_webhook_dispatcher.workload import WebhookWorkload

_BUILD = "servers.partner_webhook_dispatcher.app:build"

SCENARIO = Scenario(
    name="webhooks",
    title="Partner webhooks: store, sign, deliver",
    question="Which concurrency model delivers most while some partners are slow or down?",
    lanes=(
        Lane(
            "reactive", "Reactive streams", "an event-loop task", "WebFlux, Reactor, R2DBC", _BUILD
        ),
        Lane(
            "threads",
            "Platform threads",
            "a blocked OS thread from a bounded pool",
            "a fixed thread pool",
            _BUILD,
        ),
        Lane(
            "virtual",
            "Virtual threads",
            "a parked greenlet, its carrier free",
            "newVirtualThreadPerTaskExecutor",
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
    baseline="virtual",
    workload=WebhookWorkload(),
    parameters=(
        Parameter("partners", 20, "", "endpoints of the run", 1, 1_000),
        Parameter("fanout", 1, "", "partners that each event goes to", 1, 1_000),
        Parameter("ordered_partners", 0, "", "of them want their events in order", 0, 1_000),
        Parameter("partner_ms", 20.0, "ms", "until a partner answers", 0, 60_000),
        Parameter("slow_partners", 0, "", "of them answer after", 0, 1_000),
        Parameter("slow_ms", 1_000.0, "ms", "instead", 0, 60_000),
        Parameter("hanging_partners", 0, "", "of them never answer", 0, 1_000),
        Parameter("failure_share", 0.0, "share", "of attempts answered with 503", 0, 1),
        Parameter("fault_seed", 1, "", "seed of those", 0, 2**31 - 1),
        Parameter("wait_s", 10, "s", "publishers wait for delivery; 0: for storage", 0, 60),
        Parameter("concurrency", 256, "", "deliveries in hand at once", 1, 100_000),
        Parameter("bulkheads", True, "", "a bound of its own for each partner"),
        Parameter("places", 16, "", "deliveries to one partner at once", 1, 1_000),
        Parameter("rate_per_s", 0.0, "1/s", "deliveries to one partner; 0: no limit", 0, 1e5),
        Parameter("timeout_ms", 2_000.0, "ms", "time limit of one attempt", 1, 60_000),
        Parameter("attempts", 10, "", "before a delivery is a dead letter", 1, 100),
        Parameter("retry_base_ms", 200.0, "ms", "first reach of the jittered wait", 0, 600_000),
        Parameter("retry_ceiling_ms", 10_000.0, "ms", "its longest reach", 0, 86_400_000),
        Parameter("breaker", True, "", "circuit breaker around each partner"),
        Parameter("breaker_window", 20, "calls", "that a breaker judges by", 1, 100_000),
        Parameter("breaker_failure_percent", 50.0, "%", "of failed calls opens it", 1, 100),
        Parameter("breaker_wait_ms", 1_000.0, "ms", "open, then trial calls", 1, 600_000),
        Parameter("breaker_trial_calls", 2, "calls", "at once while half-open", 1, 1_000),
        Parameter("disable_after_failures", 100, "", "in a row, and", 1, 1_000_000),
        Parameter("disable_after_s", 60.0, "s", "of only failures: disabled", 0, 1e7),
        Parameter("probe_s", 10.0, "s", "between two probes of a disabled endpoint", 0.05, 1e6),
        Parameter("give_up_s", 259_200.0, "s", "age at which a disabled one's letters die", 0, 1e8),
        Parameter("lease_s", 10.0, "s", "a claim of a dead dispatcher returns after", 0.1, 3_600),
        Parameter("workers", 64, "threads", "that deliver in the lane `threads`", 1, 2_000),
        Parameter("db_pool", 10, "connections", "database pool", 1, 200),
    ),
    peers=(Peer(RECEIVER, "servers.partner_webhook_dispatcher.receiver:build"),),
    prepare=prepare,
    checks=CHECKS,
)

__all__ = ["SCENARIO"]
