"""What a retry must do: succeed in the end, give up in the end, wait longer each time, not in step."""

from itertools import pairwise

import anyio

from labcore.learn.law import Answer, Stage, law
from labcore.reactive import Mono
from labcore.reactive.testing import StepVerifier

BOUNDS_S = ((0.1, 0.15), (0.1, 0.3), (0.2, 0.6))  # 0.1, 0.2, 0.4 s, give or take half


def dropping(times: int, begun_s: list[float]) -> Mono[str]:
    """A call that is dropped so often and then approved; notes when each attempt begins."""

    def attempt() -> Mono[str]:
        begun_s.append(anyio.current_time())
        if len(begun_s) <= times:
            return Mono.error(ConnectionError("connection reset"))
        return Mono.just("approved")

    return Mono.defer(attempt)


def waits_of(answer: Answer, times: int) -> list[float]:
    """How long it waited before each further attempt, seconds."""
    begun_s: list[float] = []
    script = StepVerifier.with_virtual_time(lambda: answer(dropping(times, begun_s)))
    script.then_await(60).expect_next("approved").verify_complete()
    return [after - before for before, after in pairwise(begun_s)]


@law("a call that is dropped twice succeeds at the third attempt")
def succeeds(answer: Answer, stage: Stage) -> None:
    """However long it takes."""
    script = stage.verifier(lambda: stage.mono(answer(dropping(2, []))))
    script.then_await(60).expect_next("approved").verify_complete()


@law("anything but a ConnectionError is passed on at once, after one attempt")
def is_choosy(answer: Answer, stage: Stage) -> None:
    """A refusal does not become a yes by asking again."""
    attempts = 0

    def refusing() -> Mono[str]:
        nonlocal attempts
        attempts += 1
        return Mono.error(PermissionError("card expired"))

    script = stage.verifier(lambda: stage.mono(answer(Mono.defer(refusing))))
    script.then_await(60).consume_error_with(lambda _: None).verify()
    stage.expect(attempts == 1, expected="1 attempt", actual=f"{attempts} attempts")


@law("after three retries it gives up with an error")
def gives_up(answer: Answer, stage: Stage) -> None:
    """Four attempts in all."""
    begun_s: list[float] = []
    script = stage.verifier(lambda: stage.mono(answer(dropping(99, begun_s))))
    script.then_await(60).consume_error_with(lambda _: None).verify()
    stage.expect(
        len(begun_s) == 4,
        expected="4 attempts: the call and 3 retries",
        actual=f"{len(begun_s)} attempts",
    )


@law("the waits are about 0.1, 0.2 and 0.4 s, give or take half")
def waits_longer(answer: Answer, stage: Stage) -> None:
    """Whatever the jitter, each within its bounds."""
    waits_s = waits_of(answer, 3)
    inside = [
        low - 1e-9 <= wait_s <= high + 1e-9
        for wait_s, (low, high) in zip(waits_s, BOUNDS_S, strict=True)
    ]
    stage.expect(
        all(inside),
        expected="about 0.1, 0.2, 0.4 s",
        actual=", ".join(f"{wait_s:.3g}" for wait_s in waits_s) + " s",
    )


@law("customers whose calls dropped together do not come back together")
def not_in_step(answer: Answer, stage: Stage) -> None:
    """Five of them."""
    moments = {round(waits_of(answer, 1)[0], 6) for _ in range(5)}
    stage.expect(
        len(moments) > 1,
        expected="5 customers at different moments",
        actual=f"all after {min(moments):g} s",
    )
