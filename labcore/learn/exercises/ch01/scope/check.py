"""What a scope must do: the right price, all at once, failing fast, and no orphans. Time is virtual."""

from concurrent.futures import CancelledError

import anyio

from labcore.learn.law import Answer, Stage, law
from labcore.learn.result import Status
from labcore.reactive.testing import VirtualTime
from labcore.virtual import VirtualThreadExecutor, sleep

PRICES = {"swift": (1, 900), "snail": (4, 350), "train": (2, 500)}  # seconds, cents


class CarrierDownError(Exception):
    """It does not answer."""


class Desk:
    """Where carriers are asked; remembers who began, who ended, and who was told to stop."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.ended: list[str] = []
        self.stopped: list[str] = []

    def ask(self, carrier: str) -> int:
        """Blocking code, on whatever thread it runs."""
        seconds, cents = PRICES[carrier]
        try:
            sleep(seconds)
        except BaseException:
            self.stopped.append(carrier)
            raise
        if carrier == self.failing:
            raise CarrierDownError(f"{carrier} does not answer")
        self.ended.append(carrier)
        return cents


def asked(answer: Answer, desk: Desk) -> tuple[object, float]:
    """What the answer returned or raised, and after how many virtual seconds."""

    def outcome() -> object:
        try:
            return answer(executor, desk.ask, list(PRICES))
        except (CarrierDownError, CancelledError) as exc:
            return exc

    async def main() -> tuple[object, float]:
        result = await executor.call(outcome)
        took_s = anyio.current_time()
        await anyio.sleep(10)  # whoever still asks comes to an end, and is seen
        return result, took_s

    executor = VirtualThreadExecutor(name="desk")
    return VirtualTime.run(main)


@law("the lowest price is returned")
def lowest(answer: Answer, stage: Stage) -> None:
    """350 cents, by snail."""
    result, _ = asked(answer, Desk())
    stage.expect(result == 350, expected="350", actual=f"{result!r:.80}")


@law("all carriers are asked at once: it takes as long as the slowest")
def at_once(answer: Answer, stage: Stage) -> None:
    """Four seconds, not seven."""
    _, took_s = asked(answer, Desk())
    stage.expect(took_s <= 4, expected="after 4 s", actual=f"after {took_s:g} s")


@law("a failure is raised at once, not when the others have ended")
def fails_fast(answer: Answer, stage: Stage) -> None:
    """The swift one fails after a second."""
    result, took_s = asked(answer, Desk(failing="swift"))
    failed = isinstance(result, CarrierDownError)
    stage.expect(failed, expected="CarrierDownError", actual=f"{result!r:.80}")
    stage.expect(took_s <= 1, expected="after 1 s", actual=f"after {took_s:g} s")


@law("nobody is still asking when the answer is there", breach=Status.SWALLOWS_CANCELLATION)
def no_orphans(answer: Answer, stage: Stage) -> None:
    """Those under way are interrupted where they are parked."""
    desk = Desk(failing="swift")
    asked(answer, desk)
    stage.expect(
        not desk.ended,
        expected="snail and train interrupted",
        actual=f"{' and '.join(sorted(desk.ended))} went on to the end, for nobody",
    )
