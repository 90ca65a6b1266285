"""The order service: the subject of the checkout scenario.

Its lanes differ in `lane_reactive`, `lane_structured` and `lane_blocking` (run by `threads` and by
`virtual`) and in nothing else.
"""

from labcore.lanes import Lane, Parameter, Peer, Scenario
from servers.order_service.checks import CHECKS
from servers.order_service.payments import ADAPTER
from servers.order_service.statements import prepare
from servers.order_service.workload import CheckoutWorkload

_BUILD = "servers.order_service.app:build"

SCENARIO = Scenario(
    name="checkout",
    title="Checkout: reserve, pay, store",
    question="Which concurrency model places orders best while a payment provider takes its time?",
    lanes=(
        Lane(
            "reactive", "Reactive streams", "an event-loop task", "WebFlux, Reactor, R2DBC", _BUILD
        ),
        Lane(
            "threads",
            "Platform threads",
            "a blocked OS thread from a bounded pool",
            "Spring MVC on platform threads",
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
    workload=CheckoutWorkload(),
    parameters=(
        Parameter("payment_ms", 20.0, "ms", "mean latency of the simulated acquirer", 0, 60_000),
        Parameter("payment_sigma", 0.5, "", "spread of the latency's logarithm", 0, 3),
        Parameter("payment_seed", 1, "", "seed of every payment's fate", 0, 2**31 - 1),
        Parameter("decline_share", 0.0, "share", "cards declined", 0, 1),
        Parameter("failure_share", 0.0, "share", "payment attempts that fail with 503", 0, 1),
        Parameter(
            "bad_day", 0, "", "seed of the adapter's scripted bad day; 0 is none", 0, 2**31 - 1
        ),
        Parameter("bad_day_speed", 10.0, "", "how much faster than its 5 minutes", 0.1, 1_000),
        Parameter("payment_timeout_ms", 1_000.0, "ms", "time limit of one attempt", 1, 60_000),
        Parameter("retries", 2, "", "attempts after the first, transient failures only", 0, 10),
        Parameter("backoff_min_ms", 50.0, "ms", "wait before the first retry", 0, 10_000),
        Parameter("backoff_max_ms", 1_000.0, "ms", "longest wait before a retry", 0, 60_000),
        Parameter("jitter_share", 0.5, "share", "random part of each wait", 0, 1),
        Parameter(
            "retry_budget_share", 1.0, "share", "of orders that may retry; 1: no limit", 0, 1
        ),
        Parameter("breaker", True, "", "circuit breaker around the payment adapter"),
        Parameter("breaker_window", 80, "calls", "that the breaker judges by", 1, 100_000),
        Parameter("breaker_minimum_calls", 40, "calls", "before it judges", 1, 100_000),
        Parameter("breaker_failure_percent", 50.0, "%", "of failed calls opens it", 1, 100),
        Parameter("breaker_slow_ms", 60_000.0, "ms", "a longer call is slow", 1, 600_000),
        Parameter("breaker_slow_percent", 100.0, "%", "of slow calls opens it", 1, 100),
        Parameter("breaker_wait_ms", 2_000.0, "ms", "open, then trial calls", 1, 600_000),
        Parameter("breaker_trial_calls", 5, "calls", "at once while half-open", 1, 1_000),
        Parameter(
            "payment_bulkhead", 0, "calls", "to the adapter at once; 0: no limit", 0, 100_000
        ),
        Parameter("payment_rate_per_s", 0.0, "1/s", "calls to the adapter; 0: no limit", 0, 1e6),
        Parameter("line_concurrency", 4, "", "lines of one order reserved at once", 1, 20),
        Parameter("workers", 40, "threads", "pool of the lane `threads`", 1, 2_000),
        Parameter("db_pool", 10, "connections", "database pool", 1, 200),
        Parameter("max_in_flight", 512, "orders", "orders at work at once", 1, 100_000),
        Parameter("max_queue", 0, "orders", "orders in line to begin; beyond it 503", 0, 100_000),
        Parameter("max_streams", 4, "streams", "of the order history at once, then 503", 1, 1_000),
        Parameter(
            "body_timeout_ms", 5_000.0, "ms", "time for a body to arrive, then 408", 10, 60_000
        ),
        Parameter("past_orders", 0, "orders", "in the database at the start", 0, 10**7),
        Parameter("stock", 1_000_000, "pieces", "of each product at the start", 0, 10**9),
    ),
    peers=(Peer(ADAPTER, "servers.payment_adapter_service.app:build"),),
    prepare=prepare,
    checks=CHECKS,
    notebook="01_reactive_checkout.ipynb",
)

__all__ = ["SCENARIO"]
