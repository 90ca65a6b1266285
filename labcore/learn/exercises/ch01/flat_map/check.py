"""What a bounded flat_map must do: all values, quick ones first, three at once, one failure for all."""

from functools import partial

from labcore.learn.law import Answer, Stage, law, shown
from labcore.reactive import Flux, Mono

SECONDS = {"lamp": 3.0, "book": 1.0, "chair": 2.0, "pen": 1.0, "desk": 1.0}


def reserve(sku: str) -> Mono[str]:
    """A shelf that takes its time."""
    return Mono.just(sku).delay_element(SECONDS[sku])


def flow(answer: Answer, stage: Stage) -> Flux[str]:
    """The answer, on an order of five lines."""
    return stage.flux(answer(Flux.from_iterable(SECONDS), reserve))


@law("every line is reserved, and then the stream completes")
def complete(answer: Answer, stage: Stage) -> None:
    """Whatever the order and the time."""
    reserved: list[str] = []
    script = stage.verifier(lambda: flow(answer, stage)).then_await(60)
    script.record_with(lambda: reserved).then_consume_while(lambda _: True).verify_complete()
    stage.expect(
        sorted(map(str, reserved)) == sorted(SECONDS),
        expected=sorted(SECONDS),
        actual=shown(reserved),
    )


@law("at most three reservations are under way at once")
def bounded(answer: Answer, stage: Stage) -> None:
    """Counts those that have begun and not ended, at every moment."""
    open_now: set[str] = set()
    most: list[int] = []

    def counted(sku: str) -> Mono[str]:
        def begin() -> Mono[str]:
            open_now.add(sku)
            most.append(len(open_now))
            ended = partial(open_now.discard, sku)
            return reserve(sku).do_on_terminate(ended).do_on_cancel(ended)

        return Mono.defer(begin)

    def supplier() -> Flux[str]:
        return stage.flux(answer(Flux.from_iterable(SECONDS), counted))

    script = stage.verifier(supplier).then_await(60)
    script.expect_next_count(len(SECONDS)).verify_complete()
    stage.expect(max(most) <= 3, expected="at most 3 at once", actual=f"{max(most)} at once")


@law("a quick shelf does not wait for a slow one, and three are busy as long as there is work")
def prompt(answer: Answer, stage: Stage) -> None:
    """Lamp, book and chair begin together; each that ends makes room for the next."""
    script = stage.verifier(lambda: flow(answer, stage))
    script.then_await(1).expect_next("book").then_await(1).expect_next_count(2).then_await(
        1
    ).expect_next_count(2).verify_complete()


@law("a reservation that fails ends the stream and cancels the others")
def failing(answer: Answer, stage: Stage) -> None:
    """The lamp is under way when the book turns out to be sold out."""
    given_up: list[str] = []

    def sold_out(sku: str) -> Mono[str]:
        if sku == "book":
            return Mono.delay(1).flat_map(lambda _: Mono.error(LookupError("book is sold out")))
        return reserve(sku).do_on_cancel(lambda: given_up.append(sku))

    def supplier() -> Flux[str]:
        return stage.flux(answer(Flux.from_iterable(SECONDS), sold_out))

    stage.verifier(supplier).then_await(60).verify_error(LookupError)
    stage.expect(
        sorted(given_up) == ["chair", "lamp"],
        expected="chair and lamp cancelled",
        actual=f"cancelled: {sorted(given_up)}",
    )
