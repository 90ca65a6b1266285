"""What an export must do: everything in order, one write at a time, a small window, few requests."""

from labcore.learn.law import Answer, Stage, law
from labcore.learn.result import Status
from labcore.reactive import Flux, Mono

ORDERS = 24
WINDOW = 8


def write(order: int) -> Mono[int]:
    """The partner takes a second."""
    return Mono.just(order).delay_element(1)


def flow(answer: Answer, stage: Stage) -> Flux[int]:
    """The answer between a watched database and the partner."""
    database = stage.watch(Flux.range(1, ORDERS), name="database", demand=True)
    return stage.flux(answer(database, write))


@law("every order is written, in order, and then the export completes")
def complete(answer: Answer, stage: Stage) -> None:
    """However long it takes."""
    script = stage.verifier(lambda: flow(answer, stage)).then_await(60)
    script.expect_next_sequence(range(1, ORDERS + 1)).verify_complete()


@law("one write at a time")
def one_at_a_time(answer: Answer, stage: Stage) -> None:
    """One more each second."""
    script = stage.verifier(lambda: flow(answer, stage))
    for order in (1, 2, 3):
        script = script.expect_no_event(0.9).then_await(0.1).expect_next(order)
    script.then_cancel().verify()


@law("at most 8 orders are asked for ahead", breach=Status.IGNORES_DEMAND)
def bounded(answer: Answer, stage: Stage) -> None:
    """Asked for and not delivered yet, at any moment."""
    stage.verifier(lambda: flow(answer, stage)).then_await(60).expect_next_count(
        ORDERS
    ).verify_complete()
    most = stage.tracks[0].most_open_demand()
    stage.expect(most <= WINDOW, expected="at most 8 open", actual=_told(most))


@law("a reader who stops reading stops the database", breach=Status.IGNORES_DEMAND)
def stops(answer: Answer, stage: Stage) -> None:
    """Two orders are asked for, and then nothing for a minute."""
    script = stage.verifier(lambda: flow(answer, stage), 2).then_await(60)
    script.expect_next(1, 2).then_cancel().verify()
    read = stage.tracks[0].values()
    stage.expect(
        read <= 2 + WINDOW,
        expected=f"at most {2 + WINDOW} orders read for 2 written",
        actual=f"{read} orders read",
    )


@law("orders are asked for in batches, not one by one")
def in_batches(answer: Answer, stage: Stage) -> None:
    """A request is a round trip."""
    stage.verifier(lambda: flow(answer, stage)).then_await(60).expect_next_count(
        ORDERS
    ).verify_complete()
    requests = stage.tracks[0].requests()
    stage.expect(
        requests <= ORDERS // 2,
        expected=f"at most {ORDERS // 2} requests for {ORDERS} orders",
        actual=f"{requests} requests",
    )


def _told(demand: int) -> str:
    return f"{demand} open" if demand < ORDERS * 100 else "everything asked for at once"
