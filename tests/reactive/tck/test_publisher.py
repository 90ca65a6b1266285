"""The kit lets a right publisher pass and catches each wrong one by its rule."""
# ruff: noqa: D101, D102 - the planted parts are the protocols' methods

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from labcore.reactive import Scope, Subscriber
from labcore.reactive.tck import RULES, RuleBroken, publisher_rules
from labcore.reactive.tck.check import Reader, reading
from labcore.reactive.testing import TestPublisher, Violation, VirtualTime


class Counting:
    """A publisher of `n` numbers by the rules; `fault` names the one it breaks."""

    def __init__(self, n: int, fault: str = "") -> None:
        self.n = n
        self.fault = fault

    def subscribe(self, subscriber: Subscriber[int], *, scope: Scope) -> None:
        run = Run(self.n, self.fault, subscriber, scope)
        if self.fault == "signals before on_subscribe":
            subscriber.on_next(0)
        if self.fault == "never completes":
            run.ending = False
        subscriber.on_subscribe(run)
        if self.fault == "subscribes twice":
            subscriber.on_subscribe(run)
        if self.fault == "pushes without demand":
            run.request(self.n or 1)
        run.go_on()


class Run:
    kept: list["Run"] = []  # noqa: RUF012 - what a leaking publisher never lets go of

    def __init__(self, n: int, fault: str, subscriber: Subscriber[int], scope: Scope) -> None:
        self.n = n
        self.fault = fault
        self.subscriber: Subscriber[int] | None = subscriber
        self.scope = scope
        self.at = self.demand = 0
        self.busy = False
        self.ending = True
        if fault == "keeps its subscriber":
            self.kept.append(self)
        if fault == "leaves a task":
            asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="left")

    def request(self, n: int) -> None:
        if self.subscriber is None and self.fault != "answers after cancel":
            return
        if n <= 0 and self.fault != "accepts any demand":
            self.end(ValueError(f"request({n})"))
            return
        self.demand = n if self.fault == "forgets earlier demand" else self.demand + n
        if self.fault == "forgets earlier demand" and self.demand == 1:
            return
        self.go_on()

    def cancel(self) -> None:
        if self.fault == "raises on cancel":
            raise RuntimeError("planted")
        if self.fault == "completes on cancel" and self.subscriber is not None:
            self.subscriber.on_complete()
        if self.fault not in {"answers after cancel", "keeps its subscriber"}:
            self.subscriber = None

    def go_on(self) -> None:
        if self.busy and self.fault != "recurses":
            return
        self.busy = True
        while self.subscriber is not None and self.demand > 0 and self.at < self.n:
            self.demand -= 1
            self.at += 1
            self.subscriber.on_next(self.at - 1)
        self.busy = False
        if self.at == self.n and self.subscriber is not None and self.ending:
            self.end(None)

    def end(self, error: Exception | None) -> None:
        last, self.subscriber = self.subscriber, None
        if self.fault == "keeps its subscriber":
            self.subscriber, self.ending = last, False
        assert last is not None
        if error is not None:
            last.on_error(error)
        else:
            last.on_complete()
        if self.fault == "completes twice":
            last.on_complete()


def broken(make: Callable[[int], Any], **options: Any) -> set[str]:
    """The numbers of the rules found broken."""
    found: set[str] = set()
    for check in publisher_rules(make, **options):
        try:
            check.run()
        except RuleBroken as exc:
            found.add(exc.rule)
        except (AssertionError, RuntimeError):  # the planted part fell over
            found.add(check.rule)
    return found


def test_a_right_publisher_passes():
    assert broken(Counting) == set()


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("pushes without demand", "1.01"),
        ("never completes", "1.05"),
        ("completes twice", "1.07"),
        ("completes on cancel", "1.08"),
        ("answers after cancel", "1.08"),
        ("signals before on_subscribe", "1.09"),
        ("subscribes twice", "1.09"),
        ("recurses", "1.03"),
        ("recurses", "3.03"),
        ("forgets earlier demand", "3.08"),
        ("accepts any demand", "3.09"),
        ("keeps its subscriber", "3.13"),
        ("keeps its subscriber", "P6"),
        ("raises on cancel", "3.15"),
        ("leaves a task", "P1"),
        ("leaves a task", "P6"),
    ],
)
def test_a_wrong_publisher_is_caught_by_its_rule(fault: str, rule: str):
    try:
        assert rule in broken(lambda n: Counting(n, fault))
    finally:
        Run.kept.clear()


def test_a_failure_signalled_as_an_end_is_caught():
    assert "1.04" in broken(Counting, failed=lambda: Counting(0))


def test_checks_that_need_more_elements_say_why_they_do_not_apply():
    checks = publisher_rules(Counting, max_elements=1)
    assert any("at most 1" in check.not_applicable for check in checks)


def test_checks_that_need_a_failing_publisher_say_so():
    reasons = {check.not_applicable for check in publisher_rules(Counting) if check.rule == "1.04"}
    assert reasons == {"needs a publisher that fails, and none was given"}


async def test_checks_run_inside_a_running_loop():
    for check in publisher_rules(Counting)[:3]:
        check.run()


def test_every_check_names_a_rule_of_the_table():
    known = {rule.number for rule in RULES}
    assert {check.rule for check in publisher_rules(Counting)} <= known


def test_an_element_that_the_edge_holds_back_counts_as_sent():
    late: TestPublisher[int] = TestPublisher.create_noncompliant(Violation.DEFER_CANCELLATION)

    class SendsLate:
        """Behind the library's guard, and wrong all the same."""

        def subscribe(self, subscriber: Subscriber[int], *, scope: Scope) -> None:
            late.flux().do_on_cancel(lambda: late.next(1)).subscribe(subscriber, scope=scope)

    async def main() -> None:
        async with reading(SendsLate(), Reader("1.08")) as reader:
            reader.request(5)
            reader.cancel()

    with pytest.raises(RuleBroken, match="held back"):
        VirtualTime.run(main)
