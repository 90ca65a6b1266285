"""What a board must do: show everything to a quick display, the newest to a slow one, and survive."""

from labcore.learn.law import Answer, Stage, law
from labcore.reactive import Flux


def flow(answer: Answer, stage: Stage) -> Flux[int]:
    """Six prices, one a second; the price is the second."""
    ticks = Flux.interval(1).map(lambda tick: tick + 1).take(6)
    return stage.flux(answer(ticks))


@law("a display that keeps up sees every price")
def passes(answer: Answer, stage: Stage) -> None:
    """It asks for everything."""
    script = stage.verifier(lambda: flow(answer, stage)).then_await(60)
    script.expect_next(1, 2, 3, 4, 5, 6).verify_complete()


@law("a slow display gets the newest price there is, at once")
def newest(answer: Answer, stage: Stage) -> None:
    """It asks at the beginning, after 3.5 and after 5.5 seconds."""
    script = stage.verifier(lambda: flow(answer, stage), 1, at=((3.5, 1), (5.5, 1)))
    script = script.then_await(1).expect_next(1).expect_no_event(2.5)
    script = script.then_request(1).then_await().expect_next(3).expect_no_event(2)
    script.then_request(1).then_await().expect_next(5).then_cancel().verify()


@law("the board completes when the last price has been shown")
def complete(answer: Answer, stage: Stage) -> None:
    """The market closes after six seconds, the display asks after ten."""
    script = stage.verifier(lambda: flow(answer, stage), 1, at=((10.0, 1),))
    script = script.then_await(10).expect_next(1).then_request(1).then_await()
    script.expect_next(6).verify_complete()
