"""What a quote must do: subtract, ask both at once, bear an empty discount, and fail honestly."""

from labcore.learn.law import Answer, Stage, law
from labcore.reactive import Mono


def price() -> Mono[int]:
    """Two seconds."""
    return Mono.just(1000).delay_element(2)


def discount() -> Mono[int]:
    """Three seconds."""
    return Mono.just(150).delay_element(3)


@law("the quote is the price less the discount")
def subtracts(answer: Answer, stage: Stage) -> None:
    """However long it takes."""
    script = stage.verifier(lambda: stage.mono(answer(price(), discount())))
    script.then_await(60).expect_next(850).verify_complete()


@law("a customer without a discount pays the price")
def bears_an_empty_discount(answer: Answer, stage: Stage) -> None:
    """The discount completes without a value."""
    script = stage.verifier(lambda: stage.mono(answer(price(), Mono.empty())))
    script.then_await(60).expect_next(1000).verify_complete()


@law("a lookup that fails, fails the quote")
def fails_honestly(answer: Answer, stage: Stage) -> None:
    """An unreachable discount table is something else than no discount."""

    def supplier() -> Mono[int]:
        return stage.mono(answer(price(), Mono.error(ConnectionError("discounts are down"))))

    stage.verifier(supplier).then_await(60).verify_error(ConnectionError)


@law("both lookups run at once: two seconds and three are three")
def at_once(answer: Answer, stage: Stage) -> None:
    """In virtual time."""
    script = stage.verifier(lambda: stage.mono(answer(price(), discount())))
    script.then_await(3).expect_next(850).verify_complete()
