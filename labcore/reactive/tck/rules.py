"""The rules of Reactive Streams 1.0.4 in our words, and what becomes of each of them here.

`kept_by` says how a rule is held: by checks of this kit, or, where nothing can be run, why not. On
one event loop several rules hold by construction; that is a reason and is written down as one.

Source: Reactive Streams 1.0.4, specification; the P rules are Python's own.
"""

from dataclasses import dataclass

CHECKED = "checked"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `number` as in the specification, `kept_by` either `CHECKED` or the reason."""

    number: str
    text: str
    kept_by: str = CHECKED

    @property
    def is_checked(self) -> bool:
        """Whether the kit has a check for it."""
        return self.kept_by == CHECKED


_ONE_LOOP = "every call is made on one event loop, so there is no second thread to race with"
_ADVICE = "advice that no run can refute"

RULES = (
    Rule("1.01", "never more elements than were requested"),
    Rule("1.02", "fewer elements than requested, then an end, are right"),
    Rule("1.03", "signals come one after the other, never one inside the other"),
    Rule("1.04", "a failure is signalled as on_error"),
    Rule("1.05", "success is signalled as on_complete, of an empty stream, too"),
    Rule("1.06", "after an end the subscription counts as cancelled"),
    Rule("1.07", "nothing is signalled after an end"),
    Rule("1.08", "nothing is signalled after cancel: here at once, on one loop there is no excuse"),
    Rule("1.09", "on_subscribe comes first and once, and subscribe returns normally"),
    Rule("1.10", "each subscriber gets a subscription of its own"),
    Rule("1.11", "a publisher may serve several subscribers, each by these rules"),
    Rule("2.01", "a subscriber signals demand to receive elements"),
    Rule("2.02", "slow work should be done elsewhere", f"{_ADVICE}; P4 bounds what a run may take"),
    Rule("2.03", "on_complete and on_error call nothing on the subscription"),
    Rule("2.04", "after an end the subscription counts as cancelled"),
    Rule("2.05", "a second subscription is cancelled"),
    Rule("2.06", "a subscription no longer needed is cancelled", "only its author knows the need"),
    Rule("2.07", "request and cancel are called one after the other", _ONE_LOOP),
    Rule(
        "2.08",
        "elements may still come after cancel",
        "cannot happen: cancel takes effect at once here (1.08)",
    ),
    Rule("2.09", "on_complete may come without demand"),
    Rule("2.10", "on_error may come without demand"),
    Rule("2.11", "signals happen before their processing", _ONE_LOOP),
    Rule("2.12", "on_subscribe is called at most once", "the publisher's duty: 1.09 checks it"),
    Rule("2.13", "handlers return normally"),
    Rule("3.01", "the subscription is used by its subscriber alone", _ADVICE),
    Rule("3.02", "request may be called inside on_subscribe and on_next"),
    Rule("3.03", "requests inside on_next do not deepen the stack"),
    Rule("3.04", "request is quick", "no call awaits: 3.16 checks that it returns, P4 how soon"),
    Rule("3.05", "cancel is quick and may be called again"),
    Rule("3.06", "request after cancel does nothing"),
    Rule("3.07", "cancel after cancel does nothing"),
    Rule("3.08", "requests add up"),
    Rule("3.09", "request(n <= 0) is signalled as an error that is a ValueError"),
    Rule("3.10", "request may send elements before it returns", "a permission, not a duty"),
    Rule("3.11", "request may end the stream before it returns", "a permission, not a duty"),
    Rule("3.12", "cancel stops an endless stream"),
    Rule("3.13", "cancel lets go of the subscriber"),
    Rule("3.14", "the last cancel may stop the publisher", "a permission; ref_count tests it"),
    Rule("3.15", "cancel returns normally"),
    Rule("3.16", "request returns normally"),
    Rule("3.17", "demand saturates at sys.maxsize, which is without bound"),
    Rule("4.01", "a processor obeys the rules of both sides"),
    Rule("4.02", "a processor's upstream error ends it, or it recovers with upstream cancelled"),
    Rule("P1", "leaving the scope waits for every task and every finally"),
    Rule("P2", "cancellation is never a signal and never swallowed"),
    Rule("P3", "StopIteration out of a user's function is an error, not a silent end"),
    Rule("P4", "an endless synchronous source lets the loop turn"),
    Rule("P5", "fused and unfused pipelines give the same signals"),
    Rule("P6", "no task and no reference is left behind after an end"),
)
