"""StepVerifier scripts for the operators that look on, and for the context."""

from labcore.reactive import Flux, Mono, SignalListener, SignalType
from labcore.reactive.testing import StepVerifier


class PlantedError(Exception):
    """What the sources fail with."""


def test_do_on_next_sees_each_value_before_it_goes_down():
    log: list[object] = []
    source = Flux.just(1, 2).do_on_next(log.append).do_on_next(lambda value: log.append(str(value)))
    StepVerifier.create(source).expect_next(1, 2).verify_complete()
    assert log == [1, "1", 2, "2"]


def test_do_on_next_fails_the_stream_with_its_error():
    source = Mono.just(0).do_on_next(lambda value: 1 // value)
    StepVerifier.create(source).verify_error(ZeroDivisionError)


def test_each_end_has_its_observer():
    log: list[str] = []

    def watched(source: Flux[int]) -> Flux[int]:
        return (
            source.do_on_subscribe(lambda: log.append("subscribe"))
            .do_on_request(lambda n: log.append(f"request {n}"))
            .do_on_error(lambda exc: log.append(f"error {exc}"))
            .do_on_complete(lambda: log.append("complete"))
            .do_on_terminate(lambda: log.append("terminate"))
            .do_on_cancel(lambda: log.append("cancel"))
        )

    StepVerifier.create(watched(Flux.just(1)), 5).expect_next(1).verify_complete()
    assert log == ["subscribe", "request 5", "complete", "terminate"]
    log.clear()
    StepVerifier.create(watched(Flux.error(PlantedError("no"))), 5).verify_error(PlantedError)
    assert log[-2:] == ["error no", "terminate"]
    log.clear()
    StepVerifier.create(watched(Flux.never()), 5).then_cancel().verify()
    assert log == ["subscribe", "request 5", "cancel"]


def test_do_finally_is_told_how_it_ended():
    ends: list[SignalType] = []
    StepVerifier.create(Flux.just(1).do_finally(ends.append)).expect_next(1).verify_complete()
    StepVerifier.create(Mono.error(PlantedError()).do_finally(ends.append)).verify_error()
    StepVerifier.create(Flux.never().do_finally(ends.append)).then_cancel().verify()
    assert ends == [SignalType.ON_COMPLETE, SignalType.ON_ERROR, SignalType.CANCEL]


def test_do_finally_runs_inside_out():
    log: list[str] = []
    source = Flux.just(1).do_finally(lambda _: log.append("inner"))
    source = source.do_finally(lambda _: log.append("outer"))
    StepVerifier.create(source).expect_next(1).verify_complete()
    assert log == ["outer", "inner"]


def test_the_context_is_seen_above_where_it_is_written():
    read = Flux.defer_contextual(lambda context: Flux.just(context.get("user", "nobody")))
    source = read.context_write({"user": "Ada"}).concat_with(read)
    StepVerifier.create(source).expect_next("Ada", "nobody").verify_complete()


def test_the_context_nearest_to_the_reader_wins():
    read = Mono.defer_contextual(lambda context: Mono.just(context["user"]))
    source = read.context_write(lambda context: context.put("user", context["user"] + "!"))
    StepVerifier.create(source.context_write({"user": "Ada"})).expect_next("Ada!").verify_complete()


def test_the_context_travels_through_inner_streams():
    read = Mono.defer_contextual(lambda context: Mono.just(context["user"]))
    source = Flux.range(0, 2).flat_map(lambda _: read).context_write({"user": "Ada"})
    StepVerifier.create(source).expect_next("Ada", "Ada").verify_complete()


def test_tap_hears_what_passes():
    class Total(SignalListener[int]):
        """Adds up what it hears."""

        total = 0

        def do_on_next(self, value: int, /) -> None:
            self.total += value

    heard: list[Total] = []

    def make() -> Total:
        heard.append(Total())
        return heard[-1]

    StepVerifier.create(Flux.range(1, 3).tap(make)).expect_next(1, 2, 3).verify_complete()
    StepVerifier.create(Mono.just(4).tap(make)).expect_next(4).verify_complete()
    assert [listener.total for listener in heard] == [6, 4]
