"""The facts of the checkout's contract, judged from outside over HTTP: any lane, any language.

Each check takes a `Site` and raises AssertionError with what was expected and what came. Checks that
break the payment adapter mend it again. They need a database seeded by `prepare`, and nobody else
buying the same products meanwhile.
"""

import json
import secrets
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import ROUND_HALF_UP, Decimal
from http.client import HTTPConnection
from urllib.parse import urlsplit

import psycopg

from labcore.lanes import Check, NotApplicableError, Site
from servers.order_service.audit import ask_again, audit, begin_bad_day, send_orders, stocks
from servers.order_service.contract import KEY_HEADER
from servers.order_service.history import SCARCE_STOCK, catalogue, discounts
from servers.order_service.malformed import malformed, strange_requests
from servers.order_service.shopper import (
    PATIENCE_S,
    Shopper,
    acquirer,
    adapter_of,
    at_once,
    expect,
    head_of,
    moved,
    names,
    opened,
    order_bytes,
    problem_in,
    regain_trust,
    shopper_at,
    some_products,
    status_of,
    trickled,
    unique,
    until,
    untouched_rarity,
)
from servers.order_service.workload import CheckoutWorkload

BUYERS = 64
REPEATS = 20
SLOW = 40
KILLED = 8
AUDITED = 300  # orders of a bad day, where nobody says how many
_BREAK_CONNECTIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
NAGLE_MS = 20.0  # half of the 40 ms that Nagle and delayed acknowledgements together cost a reply


def totals_are_exact_to_the_cent(site: Site) -> None:
    """Sums, discount and total of real orders agree with the catalogue in exact arithmetic."""
    prices = {disc.sku: disc.price_cents for disc in catalogue()}
    orders = CheckoutWorkload().requests(seed=secrets.randbits(32), count=25, parameters={})
    with shopper_at(site) as shopper:
        for order in orders:
            wanted = json.loads(order.body)
            lines = [(line["sku"], line["quantity"]) for line in wanted["lines"]]
            reply = shopper.buy(lines, customer=wanted["customer"])
            subtotal = sum(prices[sku] * quantity for sku, quantity in lines)
            share = Decimal(discounts()[wanted["customer"]]) / 10_000
            discount = int((subtotal * share).quantize(Decimal(1), ROUND_HALF_UP))
            expected = (201, subtotal, discount, subtotal - discount)
            found = reply.json()
            got = (
                reply.status_code,
                found.get("subtotal_cents"),
                found.get("discount_cents"),
                found.get("total_cents"),
            )
            expect(got == expected, f"status and cents {expected}, got {got} for {wanted}")
            again = shopper.http.get(f"{site.url}/orders/{found['id']}").json()
            expect(again == found, f"GET gives the order back: {found}, got {again}")
            charged = shopper.http.get(f"{adapter_of(site)}/payments/{found['id']}").json()
            expect(charged["amount_cents"] == expected[3], f"charge {expected[3]}, got {charged}")


def a_scarce_product_is_sold_to_the_last_and_no_further(site: Site) -> None:
    """Of 64 buyers at once for 50 in stock exactly 50 get one, and 14 are told which SKU is out."""
    with shopper_at(site) as shopper:
        sku = untouched_rarity(shopper)
        replies = at_once(BUYERS, lambda _: shopper.buy([(sku, 1)]))
        counts = Counter(reply.status_code for reply in replies)
        expected = {201: SCARCE_STOCK, 409: BUYERS - SCARCE_STOCK}
        expect(counts == expected, f"answers {expected}, got {dict(counts)}")
        named = {reply.json().get("sku") for reply in replies if reply.status_code == 409}
        expect(named == {sku}, f"409 names {sku}, got {named}")
        expect(shopper.stock(sku) == 0, f"stock 0, got {shopper.stock(sku)}")


def an_order_that_cannot_be_filled_leaves_no_line_reserved(site: Site) -> None:
    """One line out of stock gives the other lines back and charges nobody."""
    with shopper_at(site) as shopper:
        skus = some_products(3)
        before = [shopper.stock(sku) for sku in skus]
        key = unique("unfilled")
        scarce = untouched_rarity(shopper)
        lines = [*((sku, 2) for sku in skus), (scarce, SCARCE_STOCK + 1)]
        reply = shopper.buy(lines, key=key)
        expect(reply.status_code == 409, f"409, got {reply.status_code}")
        expect(reply.json().get("sku") == scarce, f"409 names {scarce}, got {reply.json()}")
        after = [shopper.stock(sku) for sku in skus]
        expect(after == before, f"stock {before} as before, got {after}")
        expect(not shopper.payments([key]), "no payment of an order that cannot be filled")


def one_key_is_one_order_and_one_charge(site: Site) -> None:
    """The same key 20 times at once: one order, one charge, the same answer for all."""
    with shopper_at(site) as shopper:
        (sku,), key = some_products(1), unique("repeat")
        before = shopper.stock(sku)
        replies = at_once(REPEATS, lambda _: shopper.buy([(sku, 3)], key=key))
        replies.append(shopper.buy([(sku, 3)], key=key))
        answers = {(reply.status_code, reply.text) for reply in replies}
        expect(len(answers) == 1, f"one answer for one key, got {len(answers)}: {answers}")
        expect(replies[0].status_code == 201, f"201, got {replies[0].status_code}")
        sold = before - shopper.stock(sku)
        expect(sold == 3, f"3 sold, got {sold}")
        charges = [each["charges"] for each in shopper.payments([key])]
        expect(charges == [1], f"one payment with one charge, got {charges}")
        other = shopper.buy([(sku, 4)], key=key)
        names(other, 422, KEY_HEADER)


def declined_payments_leave_nothing_behind(site: Site) -> None:
    """402, no stock reserved, no charge; the same key is declined again."""
    _ends_without_trace(site, 402, {"decline_share": 1}, charges=0)


def failing_payments_leave_nothing_behind(site: Site) -> None:
    """An adapter that fails every attempt: 504, no stock reserved, the payment void."""
    _ends_without_trace(site, 504, {"failure_share": 1}, charges=0)


def payments_that_answer_too_late_are_voided(site: Site) -> None:
    """The card was charged but the answer came after the time limit: 504, void, no stock reserved."""
    hold_ms = 20 * float(site.parameters["payment_timeout_ms"])
    _ends_without_trace(site, 504, {"hold_ms": hold_ms}, charges=1)


def a_payment_that_cannot_be_voided_now_is_voided_later(site: Site) -> None:
    """The adapter charges, holds its answer and then goes down; when it is back the charge is voided."""
    timeout_s = float(site.parameters["payment_timeout_ms"]) / 1e3
    hold_ms = 20e3 * timeout_s
    outage = [[timeout_s / 2, 1e6]]
    with shopper_at(site) as shopper:
        regain_trust(shopper)
        (sku,), key = some_products(1), unique("outage")
        before = shopper.stock(sku)
        with acquirer(site, latency_ms=0, hold_ms=hold_ms, outages=outage):
            reply = shopper.buy([(sku, 1)], key=key)
            expect(reply.status_code == 504, f"504, got {reply.status_code}")
            expect(shopper.stock(sku) == before, f"stock {before}, got {shopper.stock(sku)}")
        until(
            lambda: [each["status"] for each in shopper.payments([key])] == ["voided"],
            "the charge of an unpaid order is voided once the adapter is back",
        )


def a_dead_adapter_is_left_in_peace_and_orders_end_quickly(site: Site) -> None:
    """An adapter that always fails is soon not asked any more; orders end with 504; once it is well they are placed again."""
    if not site.parameters["breaker"]:
        raise NotApplicableError("this site has no circuit breaker")
    calls = int(site.parameters["breaker_window"])
    with shopper_at(site) as shopper:
        (sku,) = some_products(1)
        before = shopper.stock(sku)
        with acquirer(site, latency_ms=0, failure_share=1):
            at_once(2 * calls, lambda _: shopper.buy([(sku, 1)]))
            known = len(shopper.ledger())
            replies = at_once(20, lambda _: shopper.buy([(sku, 1)]))
            asked = len(shopper.ledger()) - known
        statuses = Counter(reply.status_code for reply in replies)
        expect(statuses == {504: 20}, f"20 orders end with 504, got {dict(statuses)}")
        trials = int(site.parameters["breaker_trial_calls"])
        expect(asked <= trials, f"at most {trials} of 20 reach the adapter, got {asked}")
        until(
            lambda: shopper.buy([(sku, 1)]).status_code == 201,
            "orders are placed again once the adapter is well",
        )
        gone = before - shopper.stock(sku)
        expect(gone == 1, f"one sold in the end, got {gone}")
        regain_trust(shopper)


def payments_that_hang_are_voided(site: Site) -> None:
    """An adapter that never answers: 504 after the time limits, the payment void, no stock reserved."""
    _ends_without_trace(site, 504, {"hang_share": 1}, charges=0)


def payments_cut_by_a_reset_are_voided(site: Site) -> None:
    """The card was charged and the connection reset in mid-answer: 504, void, no stock reserved."""
    _ends_without_trace(site, 504, {"reset_share": 1}, charges=1)


def payments_that_drip_are_cut_off(site: Site) -> None:
    """An answer byte by byte evades no time limit: 504, void, no stock reserved."""
    drip_ms = float(site.parameters["payment_timeout_ms"]) / 4
    _ends_without_trace(site, 504, {"drip_share": 1, "drip_ms": drip_ms}, charges=1)


def a_bad_day_loses_nothing(site: Site) -> None:
    """All through a day of outages, hangs, resets and drips nothing is oversold, charged twice or lost."""
    count = int(site.parameters.get("audited_orders", AUDITED))
    seed = secrets.randbits(32)
    with shopper_at(site) as shopper:
        regain_trust(shopper)
        before = stocks(shopper, [disc.sku for disc in catalogue()])
        known = {order["id"] for order in shopper.orders()}
        begin_bad_day(site, seed=seed, speed=float(site.parameters.get("bad_day_speed", 10)))
        answers = send_orders(shopper, count=count, seed=seed)
        with acquirer(site):
            ask_again(shopper, answers, count=count, seed=seed)
            audit(shopper, answers, before=before, known=known)
            regain_trust(shopper)


def a_failed_attempt_is_tried_again_under_the_same_key(site: Site) -> None:
    """With a third of the attempts failing most orders are paid, each charged exactly once."""
    if int(site.parameters["retries"]) == 0:
        return
    with shopper_at(site) as shopper:
        regain_trust(shopper)
        skus, keys = some_products(1), [unique("retry") for _ in range(30)]
        with acquirer(site, failure_share=1 / 3):
            replies = at_once(30, lambda index: shopper.buy([(skus[0], 1)], key=keys[index]))
        paid = [reply.json()["id"] for reply in replies if reply.status_code == 201]
        known = {each["key"]: each for each in shopper.payments(keys)}
        expect(len(paid) > 30 / 3, f"most of 30 paid, got {len(paid)}")
        expect(
            all(known[order_id]["charges"] == 1 for order_id in paid), "one charge for each order"
        )
        tried_again = sum(known[order_id]["attempts"] > 1 for order_id in paid)
        expect(tried_again > 0, "some paid orders needed a second attempt, got none")
        unpaid = [each for each in known.values() if each["key"] not in paid]
        expect(
            all(each["status"] != "approved" for each in unpaid), f"no charge left, got {unpaid}"
        )


def the_list_of_orders_has_each_once_and_resumes(site: Site) -> None:
    """`GET /orders` streams every order once, in the order of their ids; `after` continues; a customer sees only theirs."""
    with shopper_at(site) as shopper:
        sku = some_products(1)[0]
        customer = secrets.choice(sorted(discounts()))
        placed = {shopper.buy([(sku, 1)], customer=customer).json()["id"] for _ in range(3)}
        theirs = shopper.orders(customer=customer)
        ids = [order["id"] for order in theirs]
        expect(placed <= set(ids), f"{placed} among the orders of customer {customer}, got {ids}")
        expect({order["customer"] for order in theirs} == {customer}, "nobody else's orders")
        every = shopper.orders()
        known = [order["id"] for order in every]
        expect(known == sorted(set(known)), "each order once, in the order of their ids")
        expect(placed <= set(known), "the placed orders among all")
        middle = known[len(known) // 2]
        rest = [order["id"] for order in shopper.orders(after=middle)]
        expect(rest == known[len(known) // 2 + 1 :], f"after {middle} the rest, got {len(rest)}")
        again = shopper.http.get(f"{site.url}/orders/{ids[0]}").json()
        expect(again == theirs[0], f"a line is the order's document {again}, got {theirs[0]}")
        names(shopper.http.get(f"{site.url}/orders?after=x"), 422, "after")
        names(shopper.http.get(f"{site.url}/orders?customer=0"), 422, "customer")


def malformed_requests_are_refused_by_name(site: Site) -> None:
    """Each malformed request gets 422 and a problem document that names the field; none breaks anything."""
    with shopper_at(site) as shopper:
        for field, key, body in malformed():
            headers = {"Content-Type": "application/json", **({KEY_HEADER: key} if key else {})}
            reply = shopper.http.post(f"{site.url}/orders", content=body, headers=headers)
            names(reply, 422, field)
        for method, path, status in strange_requests():
            reply = shopper.http.request(method, f"{site.url}{path}")
            problem_in(reply, status)
        _still_sells(shopper)


def oversized_requests_are_refused_unread(site: Site) -> None:
    """1 MiB is refused with 413, announced or chunked, long before all of it was sent."""
    announced = b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n"
    chunked = b"POST /orders HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    part = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    for name, data in (("announced", announced), ("chunked", chunked + part + part)):
        with opened(site) as connection:
            connection.sendall(data)
            status = status_of(head_of(connection))
            expect(status == 413, f"413 for an {name} MiB of which little was sent, got {status}")
    with shopper_at(site) as shopper:
        _still_sells(shopper)


def slow_requests_harm_nobody(site: Site) -> None:
    """Forty requests that trickle in, a byte at a time, are cut off; others are served meanwhile."""
    head = b"POST /orders HTTP/1.1\r\nHost: x\r\n"
    body = head + b"Content-Length: 60000\r\n\r\n{"
    slow = [opened(site) for _ in range(SLOW)]
    try:
        for index, connection in enumerate(slow):
            connection.sendall(body if index % 2 else head)
        with shopper_at(site) as shopper:
            _still_sells(shopper)
        statuses = Counter(status_of(head) for head in trickled(slow))
    finally:
        for connection in slow:
            connection.close()
    expect(set(statuses) <= {0, 408}, f"each is closed or told 408, got {dict(statuses)}")
    expect(statuses[408] >= SLOW // 2, f"a slow body is told 408, got {dict(statuses)}")


def keep_alive_replies_are_not_held_back(site: Site) -> None:
    """Replies on one kept connection come at once: the median is nowhere near Nagle's 40 ms."""
    parts = urlsplit(site.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    times_ms = []
    try:
        for _ in range(21):
            began_s = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            times_ms.append((time.perf_counter() - began_s) * 1e3)
    finally:
        connection.close()
    median_ms = statistics.median(times_ms)
    expect(median_ms < NAGLE_MS, f"a median under {NAGLE_MS:g} ms, got {median_ms:.1f} ms")


def a_full_service_sheds_with_retry_after(site: Site) -> None:
    """Orders beyond those at work and in line are refused at once with 503 and Retry-After, then all is well."""
    limit, extra = int(site.parameters["max_in_flight"]) + int(site.parameters["max_queue"]), 16
    latency_ms = float(site.parameters["payment_timeout_ms"]) / 2
    skus = [disc.sku for disc in catalogue()]
    with acquirer(site, latency_ms=latency_ms, sigma=0):
        connections = [opened(site) for _ in range(limit + extra)]
        try:
            for index, connection in enumerate(connections):
                connection.sendall(order_bytes(skus[index % len(skus)]))
            heads = [head_of(connection) for connection in connections]
        finally:
            for connection in connections:
                connection.close()
    statuses = Counter(status_of(head) for head in heads)
    expect(set(statuses) <= {201, 503}, f"201 or 503, got {dict(statuses)}")
    expect(statuses[503] >= 1, f"at least one of {limit + extra} is shed, got {dict(statuses)}")
    shed = [head.lower() for head in heads if status_of(head) == 503]
    expect(all(b"retry-after:" in head for head in shed), "each 503 carries Retry-After")
    with shopper_at(site) as shopper:
        _still_sells(shopper)


def an_order_survives_a_lost_database(site: Site) -> None:
    """All database connections break while a payment is under way: the same key still gets its order."""
    if site.database_url is None:
        raise NotApplicableError("the database of this site is out of our reach")
    with shopper_at(site) as shopper, ThreadPoolExecutor(1) as buyer:
        (sku,), key = some_products(1), unique("lost")
        before = shopper.stock(sku)
        hold_ms = float(site.parameters["payment_timeout_ms"]) / 2
        with acquirer(site, latency_ms=0, hold_ms=hold_ms):
            first = buyer.submit(shopper.buy, [(sku, 1)], key=key)
            until(lambda: len(shopper.payments([key])) == 1, "the payment is under way")
            with psycopg.connect(site.database_url, autocommit=True) as connection:
                connection.execute(_BREAK_CONNECTIONS)
            status = first.result().status_code
        expect(status in {201, 503}, f"201 or 503, got {status}")
        until(
            lambda: shopper.buy([(sku, 1)], key=key).status_code == 201,
            "the order is placed in the end",
        )
        expect(before - shopper.stock(sku) == 1, f"one sold, got {before - shopper.stock(sku)}")
        ledger = [(each["status"], each["charges"]) for each in shopper.payments([key])]
        expect(ledger == [("approved", 1)], f"one approved payment, got {ledger}")


def a_server_killed_after_the_charge_completes_the_order(site: Site) -> None:
    """Killed between payment and commit: after a restart the charged orders are there, once each."""
    hold_ms = float(site.parameters["payment_timeout_ms"]) * 0.9
    _killed(site, {"latency_ms": 0, "hold_ms": hold_ms}, state="approved", status=201, sold=KILLED)


def a_server_killed_before_the_charge_releases_the_stock(site: Site) -> None:
    """Killed while the payment is under way: after a restart nothing is reserved and nobody charged."""
    slow = {"latency_ms": 60_000, "sigma": 0}
    _killed(site, slow, state="processing", status=504, sold=0)


def _killed(
    site: Site, settings: Mapping[str, float], *, state: str, status: int, sold: int
) -> None:
    """Kill the server when all payments are in that state, restart it, and judge what became of the orders."""
    if site.restart is None:
        raise NotApplicableError("this server is not ours to kill")
    restart = site.restart
    site = moved(site, restart())  # an earlier check may have moved it
    (sku,), keys = some_products(1), [unique("killed") for _ in range(KILLED)]
    with shopper_at(site) as shopper, ThreadPoolExecutor(KILLED) as buyers:
        before = shopper.stock(sku)
        with acquirer(site, **settings):
            for key in keys:
                buyers.submit(shopper.buy, [(sku, 1)], key=key)  # ends with a broken connection
            expected = [state] * KILLED
            until(
                lambda: [each["status"] for each in shopper.payments(keys)] == expected,
                f"{KILLED} payments {state}",
            )
            site = moved(site, restart())
    with shopper_at(site) as shopper:
        replies = [shopper.buy([(sku, 1)], key=key) for key in keys]
        statuses = Counter(reply.status_code for reply in replies)
        expect(statuses == {status: KILLED}, f"{KILLED} times {status}, got {dict(statuses)}")
        gone = before - shopper.stock(sku)
        expect(gone == sold, f"{sold} sold, got {gone}")
        ledger = Counter((each["status"], each["charges"]) for each in shopper.payments(keys))
        wanted = {("approved", 1): KILLED} if sold else {("voided", 0): KILLED}
        expect(ledger == wanted, f"payments {wanted}, got {dict(ledger)}")


def _ends_without_trace(
    site: Site, status: int, settings: Mapping[str, float], *, charges: int
) -> None:
    """Five orders at once under these settings: that status, no stock reserved, no charge left."""
    with shopper_at(site) as shopper:
        regain_trust(shopper)
        skus, keys = some_products(2), [unique("ends") for _ in range(5)]
        before = [shopper.stock(sku) for sku in skus]
        with acquirer(site, **settings):
            replies = at_once(5, lambda n: shopper.buy([(sku, 2) for sku in skus], key=keys[n]))
            replies.append(shopper.buy([(sku, 2) for sku in skus], key=keys[0]))
        for reply in replies:
            problem_in(reply, status)
        after = [shopper.stock(sku) for sku in skus]
        expect(after == before, f"stock {before} as before, got {after}")
        known = shopper.payments(keys)
        expect(len(known) == 5, f"5 payments known to the adapter, got {len(known)}")
        left = [each for each in known if each["status"] == "approved"]
        expect(not left, f"no charge without an order, got {left}")
        taken = {each["charges"] for each in known}
        expect(taken == {charges}, f"each charged {charges} times before, got {taken}")


def _still_sells(shopper: Shopper) -> None:
    reply = shopper.buy([(some_products(1)[0], 1)])
    expect(reply.status_code == 201, f"a good order is placed (201), got {reply.status_code}")


CHECKS: tuple[Check, ...] = (
    totals_are_exact_to_the_cent,
    a_scarce_product_is_sold_to_the_last_and_no_further,
    an_order_that_cannot_be_filled_leaves_no_line_reserved,
    one_key_is_one_order_and_one_charge,
    declined_payments_leave_nothing_behind,
    failing_payments_leave_nothing_behind,
    payments_that_answer_too_late_are_voided,
    a_payment_that_cannot_be_voided_now_is_voided_later,
    payments_that_hang_are_voided,
    payments_cut_by_a_reset_are_voided,
    payments_that_drip_are_cut_off,
    a_bad_day_loses_nothing,
    a_dead_adapter_is_left_in_peace_and_orders_end_quickly,
    a_failed_attempt_is_tried_again_under_the_same_key,
    the_list_of_orders_has_each_once_and_resumes,
    malformed_requests_are_refused_by_name,
    oversized_requests_are_refused_unread,
    slow_requests_harm_nobody,
    keep_alive_replies_are_not_held_back,
    a_full_service_sheds_with_retry_after,
    an_order_survives_a_lost_database,
    a_server_killed_after_the_charge_completes_the_order,
    a_server_killed_before_the_charge_releases_the_stock,
)
