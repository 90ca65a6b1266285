"""A bad day of the payment provider, many orders through it, and the books afterwards, lane by lane."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import httpx
import pandas as pd

from labcore.lanes import Check, Deployment, Scenario, Stage, conform, scenario

SUMMARY = (
    "20,000 orders through a provider's bad day, then an audit: nothing oversold, doubled or lost"
)

CHECK: Final = "a_bad_day_loses_nothing"
ADAPTER: Final = "payment-adapter"
ORDERS, QUICK_ORDERS = 20_000, 1_000
SPEED, QUICK_SPEED = 3.0, 30.0  # of a day of some five minutes
WORKERS: Final = 64  # of the thread lane: as many as there are buyers


def run(*, quick: bool, lanes: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a lane: what the audit found, and what the provider and the breaker counted.

    The audit is the scenario's own check, given more orders: it sends them 64 at a time while the day
    goes on, sends again whatever was told to come again, waits until the service has settled what it
    owes, and compares the list of orders, the provider's ledger and the stock.
    """
    checkout = scenario("checkout")
    orders, speed = (QUICK_ORDERS, QUICK_SPEED) if quick else (ORDERS, SPEED)
    values = {"payment_ms": 20.0, "workers": WORKERS, "bad_day_speed": speed}
    rows = []
    with Stage(checkout, values) as stage:
        for lane in lanes or [lane.name for lane in checkout.lanes]:
            with stage.deploy(lane) as deployed:
                rows.append({"lane": lane, "orders": orders, **_judged(deployed, checkout, orders)})
    return pd.DataFrame(rows)


def _judged(deployed: Deployment, checkout: Scenario, orders: int) -> dict[str, Any]:
    site = deployed.site()
    site = replace(site, parameters={**site.parameters, "audited_orders": orders})
    began_s = time.monotonic()
    (result,) = conform(site, [_check(checkout)])
    seconds = time.monotonic() - began_s
    with httpx.Client(trust_env=False) as http:
        ledger = http.get(f"{deployed.peers[ADAPTER]}/payments?limit=0").raise_for_status().json()
        gauges = http.get(f"{deployed.url}/stats").raise_for_status().json()
    counts = ledger["counts"]
    return {
        "books": "agree" if result.passed else result.detail,
        "seconds": round(seconds, 1),
        "approved": counts.get("approved", 0),
        "voided": counts.get("voided", 0),
        "declined": counts.get("declined", 0),
        "charged_twice": ledger["charged_twice"],
        "retries": int(gauges["retries_total"]),
        "not_permitted": int(gauges["breaker_refused_total"]),
    }


def _check(checkout: Scenario) -> Check:
    return next(check for check in checkout.checks if check.__name__ == CHECK)
