"""What a time limit must do: let verdicts and refusals through, end silence, give the call up."""

from labcore.learn.law import Answer, Stage, law
from labcore.learn.result import Status
from labcore.reactive import Mono

LIMIT_S = 2.0


class CardRefusedError(Exception):
    """The provider says no."""


def verdict_after(seconds: float) -> Mono[str]:
    """A provider that takes so long."""
    return Mono.just("approved").delay_element(seconds)


@law("a verdict in time passes through")
def passes(answer: Answer, stage: Stage) -> None:
    """After one second."""
    script = stage.verifier(lambda: stage.mono(answer(verdict_after(1), LIMIT_S)))
    script.then_await(60).expect_next("approved").verify_complete()


@law("silence becomes pending when the limit has passed, and not before")
def ends_silence(answer: Answer, stage: Stage) -> None:
    """The provider would take nine seconds."""
    script = stage.verifier(lambda: stage.mono(answer(verdict_after(9), LIMIT_S)))
    script.expect_no_event(1.9).then_await(0.1).expect_next("pending").verify_complete()


@law("a refusal stays an error")
def refuses(answer: Answer, stage: Stage) -> None:
    """Within the limit."""

    def supplier() -> Mono[str]:
        refused: Mono[str] = Mono.error(CardRefusedError("card expired"))
        return stage.mono(answer(Mono.delay(1).flat_map(lambda _: refused), LIMIT_S))

    stage.verifier(supplier).then_await(60).verify_error(CardRefusedError)


@law("the call that was too late is cancelled", breach=Status.SWALLOWS_CANCELLATION)
def gives_up(answer: Answer, stage: Stage) -> None:
    """Nine seconds would have been needed."""
    cancelled: list[bool] = []

    def supplier() -> Mono[str]:
        call = stage.watch(
            verdict_after(9).do_on_cancel(lambda: cancelled.append(True)), name="call"
        )
        return stage.mono(answer(call, LIMIT_S))

    stage.verifier(supplier).then_await(60).expect_next("pending").verify_complete()
    stage.expect(
        bool(cancelled),
        expected=f"the call cancelled after {LIMIT_S:g} s",
        actual="it went on to its end, and its connection with it",
    )
