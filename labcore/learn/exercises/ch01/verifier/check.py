"""What a test must do: accept the right flow, quickly, and reject every mutant of it."""

import asyncio
from collections.abc import Callable

from labcore.learn.law import Answer, Finding, Stage, law
from labcore.reactive import Flux, Mono

Flow = Callable[[], Flux[str]]


def news(*, packed_s: float = 1, sent_s: float = 2, last: str = "sent") -> Flux[str]:
    """The parcel's news; the defaults are right."""
    packed = Mono.just("packed").delay_element(packed_s)
    return packed.concat_with(Mono.just(last).delay_element(sent_s))


MUTANTS: dict[str, Flow] = {
    "a wrong value: lost in place of sent": lambda: news(last="lost"),
    "a value is missing: it completes after packed": lambda: news().take(1),
    "a value too many: delivered after sent": lambda: news().concat_with(Flux.just("delivered")),
    "too early: packed comes at once": lambda: news(packed_s=0, sent_s=3),
    "too early: sent comes together with packed": lambda: news(sent_s=0),
    "too late: sent comes after five seconds": lambda: news(sent_s=4),
    "it never completes": lambda: news().concat_with(Flux.never()),
    "it fails in place of completing": lambda: news().concat_with(
        Flux.error(ConnectionError("the carrier is down"))
    ),
}


@law("the test accepts the right flow")
def accepts(answer: Answer, stage: Stage) -> None:
    """And lets it run in virtual time."""
    answer(lambda: stage.watch(_on_a_virtual_clock(), name="flow"))


@law("the test rejects every wrong flow")
def rejects(answer: Answer, stage: Stage) -> None:
    """Mutation testing: each mutant breaks the description in one point."""
    survivors = [name for name, flow in MUTANTS.items() if _accepted(answer, flow)]
    if survivors:
        stage.contrast(news, MUTANTS[survivors[0]], name="flow")
    stage.expect(
        not survivors,
        expected=f"all {len(MUTANTS)} wrong flows rejected",
        actual="accepted: " + "; ".join(survivors),
    )


def _accepted(answer: Answer, flow: Flow) -> bool:
    try:
        answer(flow)
    except AssertionError:  # a VerificationError is one, too
        return False
    return True


def _on_a_virtual_clock() -> Flux[str]:
    """The right flow; a verifier that does not call it on a virtual loop would take three seconds."""
    try:
        loop: object = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if not hasattr(loop, "advance"):
        raise Finding(
            expected="StepVerifier.with_virtual_time(flow), which calls flow itself",
            actual="flow() was called on the real clock: the test would take three seconds",
        )
    return news()
