"""Where functions are called: below publish_on, around subscribe_on, on threads of both kinds."""
# ruff: noqa: D102 - the subscriber's methods are the protocol's

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from labcore.kernel import UsageError
from labcore.reactive import (
    UNBOUNDED,
    Flux,
    Mono,
    Scope,
    SignalListener,
    SignalType,
    Sinks,
    Subscription,
)
from labcore.reactive.testing import StepVerifier, TestPublisher
from labcore.virtual import VirtualThreadExecutor, current_thread


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3, thread_name_prefix="worker") as threads:
        yield threads


class Spy:
    """A function that knows on which threads it was called."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.threads: list[str] = []

    def __call__(self, *args: Any) -> Any:
        self.threads.append(threading.current_thread().name)
        return self.function(*args)

    def must_have_moved(self) -> None:
        assert self.threads
        assert all(name.startswith("worker") for name in self.threads), self.threads


def same(value: Any) -> Any:
    return value


def add(first: Any, second: Any) -> Any:
    return first + second


# Every operator with a function that values, errors or ends call; `s` is the spied function.
CALLS: dict[str, tuple[Callable[[Any, Any], Any], Callable[..., Any]]] = {
    "map": (lambda f, s: f.map(s), same),
    "filter": (lambda f, s: f.filter(s), bool),
    "handle": (lambda f, s: f.handle(s), lambda value, emit: emit(value)),
    "scan": (lambda f, s: f.scan(s, initial=0), add),
    "take_while": (lambda f, s: f.take_while(s), bool),
    "take_until": (lambda f, s: f.take_until(s), lambda value: value > 2),
    "skip_while": (lambda f, s: f.skip_while(s), lambda value: value < 2),
    "distinct": (lambda f, s: f.distinct(s), same),
    "distinct_until_changed": (lambda f, s: f.distinct_until_changed(s), same),
    "reduce": (lambda f, s: f.reduce(s), add),
    "reduce_with": (lambda f, s: f.reduce_with(int, s), add),
    "collect": (lambda f, s: f.collect(list, s), list.append),
    "collect_map": (lambda f, s: f.collect_map(s), same),
    "any": (lambda f, s: f.any(s), lambda value: value == 2),
    "all": (lambda f, s: f.all(s), bool),
    "group_by": (lambda f, s: f.group_by(s).flat_map(lambda group: group.flux), same),
    "flat_map": (lambda f, s: f.flat_map(s), Mono.just),
    "flat_map of inner functions": (lambda f, s: f.flat_map(lambda v: Flux.just(v).map(s)), same),
    "flat_map_sequential": (lambda f, s: f.flat_map_sequential(s), Flux.just),
    "concat_map": (lambda f, s: f.concat_map(s), Flux.just),
    "switch_map": (lambda f, s: f.switch_map(s), Flux.just),
    "zip_with": (lambda f, s: Flux.just(1, 2, 3).hide().zip_with(f, s), add),
    "do_on_next": (lambda f, s: f.do_on_next(s), same),
    "do_on_complete": (lambda f, s: f.do_on_complete(s), lambda: None),
    "do_on_terminate": (lambda f, s: f.do_on_terminate(s), lambda: None),
    "do_finally": (lambda f, s: f.do_finally(s), same),
    "do_on_error": (lambda f, s: broken(f).do_on_error(s).on_error_return(0), same),
    "on_error_map": (lambda f, s: broken(f).on_error_map(s).on_error_return(0), KeyError),
    "on_error_resume": (lambda f, s: broken(f).on_error_resume(s), lambda _: Mono.just(0)),
    "on_error_continue": (lambda f, s: broken(f).on_error_continue(s), lambda *_: None),
    "tap": (lambda f, s: f.tap(lambda: Listener(s)), same),
    "Mono.map": (lambda f, s: f.next().map(s), same),
    "Mono.flat_map": (lambda f, s: f.last().flat_map(s), Mono.just),
    "behind a pause": (lambda f, s: f.delay_elements(0.001).map(s), same),
    "behind a call": (lambda f, s: f.flat_map(later).filter(s), bool),
    "behind a shared run": (lambda f, s: f.share().map(s), same),
    "behind a buffer": (lambda f, s: f.buffer(2).map(s).flat_map(Flux.from_iterable), same),
    "behind the elements put before": (lambda f, s: f.start_with(7).map(s), same),
}
# These run, below subscribe_on, where a timer or a coroutine emits: on the loop, as in Reactor.
ELSEWHERE = {"behind a pause", "behind a call"}
# And these where the demand for them came from.
ASKED_FOR = {"behind the elements put before"}


def broken(flux: Flux[int]) -> Flux[Any]:
    return flux.map(lambda value: 1 // (value - 2))


async def later(value: int) -> int:
    await anyio.lowlevel.checkpoint()
    return value


class Listener(SignalListener[Any]):
    """Calls the function at each value."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def do_on_next(self, value: Any, /) -> None:
        self.function(value)


def result(stream: Any) -> Any:
    return stream.collect_list().block() if isinstance(stream, Flux) else stream.block()


@pytest.mark.parametrize("name", [name for name in CALLS if name != "zip_with"])
def test_a_function_below_publish_on_is_called_on_its_threads(name: str, pool: ThreadPoolExecutor):
    build, function = CALLS[name]
    spy = Spy(function)
    expected = result(build(Flux.range(1, 3), function))
    assert result(build(Flux.range(1, 3).publish_on(pool), spy)) == expected
    spy.must_have_moved()


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("name", sorted(CALLS.keys() - ELSEWHERE))
def test_a_function_above_subscribe_on_is_called_on_its_threads(
    name: str, pool: ThreadPoolExecutor, *, hidden: bool
):
    build, function = CALLS[name]
    spy = Spy(function)
    source = Flux.range(1, 3).hide() if hidden else Flux.range(1, 3)
    expected = result(build(source, function))
    stream = build(source, spy)
    assert result(stream.subscribe_on(pool)) == expected
    spy.must_have_moved()


@pytest.mark.parametrize("name", sorted(CALLS.keys() - ELSEWHERE - ASKED_FOR - {"zip_with"}))
def test_a_function_below_subscribe_on_is_called_on_its_threads(
    name: str, pool: ThreadPoolExecutor
):
    build, function = CALLS[name]
    spy = Spy(function)
    assert result(build(Flux.range(1, 3).hide().subscribe_on(pool), spy)) == result(
        build(Flux.range(1, 3), function)
    )
    spy.must_have_moved()


def emit_one(sink: Any, spy: Spy) -> None:
    sink.next(spy(1))
    sink.complete()


def blocking(spy: Spy) -> Iterator[int]:
    for value in range(3):
        yield spy(value)


SOURCES: dict[str, Callable[[Spy], Any]] = {
    "from_iterable": lambda s: Flux.defer(lambda: Flux.from_iterable(blocking(s))),
    "from_iterable, unfused": lambda s: Flux.from_iterable(blocking(s)).index().count(),
    "from_iterable, calls": lambda s: Flux.from_iterable(blocking(s)).flat_map(later),
    "from_callable": lambda s: Mono.from_callable(lambda: s(1)).filter(bool),
    "generate": lambda s: Flux.generate(
        lambda at: (s(at), at + 1) if at < 3 else None, state=lambda: 0
    ),
    "create": lambda s: Flux.create(lambda sink: emit_one(sink, s)),
    "defer": lambda s: Flux.defer(lambda: Flux.just(s(1))),
    "error": lambda s: Flux.error(lambda: s(KeyError())).on_error_return(0),
    "using": lambda s: Flux.using(lambda: s(1), lambda value: Flux.just(s(value)), s),
    "using_when": lambda s: Flux.using_when(Mono.just(1), lambda value: Flux.just(s(value)), later),
    "defer_contextual": lambda s: Flux.defer_contextual(lambda _: Flux.just(s(1))),
    "concat": lambda s: Flux.concat(Flux.just(0).map(s), Flux.from_iterable(blocking(s))),
    "merge": lambda s: Flux.merge(Flux.just(0).map(s), Flux.from_iterable(blocking(s))),
    "repeat": lambda s: Flux.from_iterable([1]).map(s).retry(1),
}


@pytest.mark.parametrize("name", SOURCES)
def test_subscribe_on_runs_any_source_on_its_threads(name: str, pool: ThreadPoolExecutor):
    spy = Spy(same)
    result(SOURCES[name](spy).subscribe_on(pool))
    spy.must_have_moved()


def test_of_two_publish_on_each_moves_what_is_below_it_down_to_the_next():
    with (
        ThreadPoolExecutor(1, thread_name_prefix="first") as first,
        ThreadPoolExecutor(1, thread_name_prefix="second") as next_,
    ):
        above, between, below = Spy(same), Spy(same), Spy(same)
        flux = Flux.range(0, 9).hide().map(above).publish_on(first, prefetch=2).map(between)
        assert flux.publish_on(next_, prefetch=2).map(below).count().block() == 9
    assert set(above.threads) == {threading.current_thread().name}
    assert set(between.threads) == {"first_0"}
    assert set(below.threads) == {"second_0"}


def test_subscribe_on_moves_what_is_above_a_publish_on_and_nothing_below():
    with (
        ThreadPoolExecutor(1, thread_name_prefix="source") as one,
        ThreadPoolExecutor(1, thread_name_prefix="below") as other,
    ):
        above, below = Spy(same), Spy(same)
        flux = Flux.range(0, 5).hide().map(above).publish_on(other).map(below).subscribe_on(one)
        assert flux.count().block() == 5
    assert set(above.threads) == {"source_0"}
    assert set(below.threads) == {"below_0"}


def test_of_two_subscribe_on_the_one_nearest_the_source_rules():
    with (
        ThreadPoolExecutor(1, thread_name_prefix="near") as near,
        ThreadPoolExecutor(1, thread_name_prefix="far") as far,
    ):
        spy, between = Spy(same), Spy(same)
        flux = Flux.range(0, 5).hide().map(spy).subscribe_on(near).map(between).subscribe_on(far)
        assert flux.count().block() == 5
    assert set(spy.threads) == set(between.threads) == {"near_0"}


def test_order_is_kept_and_one_function_runs_at_a_time(pool: ThreadPoolExecutor):
    busy = threading.Lock()

    def alone(value: int) -> int:
        assert busy.acquire(blocking=False)
        busy.release()
        return value

    flux = Flux.range(0, 300).publish_on(pool, prefetch=8).map(alone).scan(add, initial=0)
    sums = [sum(range(n)) for n in range(301)]
    assert flux.collect_list().block() == sums


def test_stages_in_a_row_are_one_call(pool: ThreadPoolExecutor):
    threads: list[int] = []
    calls: list[int] = []

    class Counting(ThreadPoolExecutor):
        """Counts the trips."""

        def execute(self, task: Callable[[], None]) -> object:
            calls.append(1)
            return self.submit(task)

    with Counting(1) as counting:
        flux = (
            Flux.range(0, 10)
            .publish_on(counting)
            .map(add_one)
            .filter(bool)
            .do_on_next(lambda _: threads.append(threading.get_ident()))
        )
        assert flux.count().block() == 10
    assert len(calls) == 10
    assert threading.get_ident() not in threads


def add_one(value: int) -> int:
    return value + 1


def test_a_failure_on_a_thread_is_the_failure_of_the_stream(pool: ThreadPoolExecutor):
    flux = Flux.range(0, 9).publish_on(pool).map(lambda v: 1 // (3 - v))
    StepVerifier.create(flux).expect_next(0, 0, 1).verify_error(ZeroDivisionError)


def test_stop_iteration_on_a_thread_is_an_error(pool: ThreadPoolExecutor):
    def stops(_: int) -> int:
        raise StopIteration

    StepVerifier.create(Flux.range(0, 9).publish_on(pool).map(stops)).verify_error(RuntimeError)
    StepVerifier.create(Mono.from_callable(lambda: stops(1)).subscribe_on(pool)).verify_error(
        StopIteration
    )


def test_a_failure_is_dropped_on_a_thread_as_on_the_loop(pool: ThreadPoolExecutor):
    told: list[int] = []
    flux = Flux.range(1, 3).publish_on(pool).map(add_one).map(lambda v: 1 // (v - 3)).filter(bool)
    lenient = flux.on_error_continue(lambda _, value: told.append(value))
    assert lenient.collect_list().block() == [-1, 1]
    assert told == [3]


def test_publish_on_asks_in_windows(pool: ThreadPoolExecutor):
    asked: list[int] = []
    flux = Flux.range(0, 20).hide().do_on_request(asked.append).publish_on(pool, prefetch=8)
    assert flux.map(add_one).count().block() == 20
    assert asked[:3] == [8, 6, 6]


def test_a_blocking_iterator_is_pulled_no_further_than_asked(pool: ThreadPoolExecutor):
    spy = Spy(same)

    def endless() -> Iterator[int]:
        value = 0
        while True:
            yield spy(value)
            value += 1

    flux = Flux.defer(lambda: Flux.from_iterable(endless())).subscribe_on(pool)
    assert flux.take(5).collect_list().block() == [0, 1, 2, 3, 4]
    assert len(spy.threads) == 5


@pytest.mark.parametrize("stages", [False, True])
def test_a_generator_is_closed_on_a_thread_before_the_stream_is_left(
    pool: ThreadPoolExecutor, *, stages: bool
):
    closed: list[str] = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(threading.current_thread().name)

    source = Flux.from_iterable(endless())
    flux = (source.map(add_one) if stages else source.index()).subscribe_on(pool)
    assert flux.take(3).count().block() == 3
    assert closed[0].startswith("worker")


class Gate:
    """A blocking function that says when it is in, and waits to be let out."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.calls = 0

    def __call__(self, value: Any) -> Any:
        self.calls += 1
        self.entered.set()
        self.leave.wait(10)
        return value


class Reader:
    """Notes what it gets."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.subscription: Subscription | None = None

    def on_subscribe(self, subscription: Subscription, /) -> None:
        self.subscription = subscription
        subscription.request(UNBOUNDED)

    def on_next(self, value: Any, /) -> None:
        self.seen.append(value)

    def on_error(self, error: Exception, /) -> None:
        raise error

    def on_complete(self) -> None:
        self.seen.append("complete")


BLOCKED: dict[str, Callable[[Flux[int], Any, Any], Flux[Any]]] = {
    "publish_on": lambda f, pool, gate: f.publish_on(pool).map(gate),
    "publish_on, deep": lambda f, pool, gate: (
        f.publish_on(pool).flat_map(lambda v: Flux.just(v).map(gate)).scan(add, initial=0)
    ),
    "subscribe_on": lambda f, pool, gate: f.hide().map(gate).subscribe_on(pool),
    "subscribe_on, fused": lambda f, pool, gate: f.map(gate).subscribe_on(pool),
    "subscribe_on of a shared run": lambda f, pool, gate: f.share().map(gate).subscribe_on(pool),
}


@pytest.mark.parametrize("name", BLOCKED)
async def test_the_loop_goes_on_while_a_function_blocks(name: str, pool: ThreadPoolExecutor):
    gate = Gate()
    reader = Reader()
    async with Scope() as scope:
        BLOCKED[name](Flux.range(1, 2), pool, gate).subscribe(reader, scope=scope)
        while not gate.entered.is_set():
            await anyio.lowlevel.checkpoint()
        before = list(reader.seen)
        gate.leave.set()
    assert before in ([], [0])
    assert reader.seen[-2:] in ([2, "complete"], [3, "complete"])


@pytest.mark.parametrize("name", BLOCKED)
async def test_cancelling_waits_for_the_function_and_drops_its_result(
    name: str, pool: ThreadPoolExecutor
):
    gate = Gate()
    reader = Reader()
    async with Scope() as scope:
        BLOCKED[name](Flux.range(1, 9), pool, gate).subscribe(reader, scope=scope)
        while not gate.entered.is_set():
            await anyio.lowlevel.checkpoint()
        seen = list(reader.seen)
        assert reader.subscription is not None
        reader.subscription.cancel()
        threading.Timer(0.01, gate.leave.set).start()
    assert gate.leave.is_set()
    assert reader.seen == seen
    assert gate.calls == 1


async def test_a_function_that_blocks_for_one_subscriber_leaves_the_others_alone(
    pool: ThreadPoolExecutor,
):
    source: TestPublisher[int] = TestPublisher.create()
    shared = Flux.from_publisher(source).share()
    gate, slow, quick = Gate(), Reader(), Reader()
    async with Scope() as scope:
        shared.map(gate).subscribe_on(pool).subscribe(slow, scope=scope)
        shared.subscribe(quick, scope=scope)
        source.next(1, 2)
        assert quick.seen == [1, 2]
        while not gate.entered.is_set():
            await anyio.lowlevel.checkpoint()
        assert slow.subscription is not None
        slow.subscription.cancel()
        source.next(3)
        gate.leave.set()
        source.complete()
    assert quick.seen == [1, 2, 3, "complete"]
    assert slow.seen == []


async def test_a_sink_feeds_functions_on_threads(pool: ThreadPoolExecutor):
    sink = Sinks.many().multicast().on_backpressure_buffer()
    spy, reader = Spy(same), Reader()
    async with Scope() as scope:
        sink.as_flux().publish_on(pool).map(spy).subscribe(reader, scope=scope)
        for value in range(3):
            sink.try_emit_next(value).or_throw()
        sink.try_emit_complete().or_throw()
    assert reader.seen == [0, 1, 2, "complete"]
    spy.must_have_moved()


def test_cancelling_from_within_delivers_what_was_taken(pool: ThreadPoolExecutor):
    spy = Spy(same)
    flux = Flux.range(0, 9).publish_on(pool).take(2).map(spy).map(spy)
    assert flux.collect_list().block() == [0, 1]
    spy.must_have_moved()


def test_what_demand_and_cancellation_call_stays_on_the_loop(pool: ThreadPoolExecutor):
    asked, cancelled = Spy(same), Spy(lambda: None)
    flux = Flux.never().publish_on(pool).do_on_request(asked).do_on_cancel(cancelled)
    StepVerifier.create(flux, 2).expect_subscription().then_request(2).then_cancel().verify()
    assert {*asked.threads, *cancelled.threads} == {threading.current_thread().name}


def test_an_asynchronous_source_needs_no_thread_and_keeps_its_place(pool: ThreadPoolExecutor):
    async def numbers() -> AsyncIterator[int]:
        for value in range(3):
            yield value
            await anyio.lowlevel.checkpoint()

    spy = Spy(same)
    flux = Flux.from_async_iterable(numbers).map(spy).subscribe_on(pool)
    assert flux.collect_list().block() == [0, 1, 2]
    assert not any(name.startswith("worker") for name in spy.threads)


@pytest.mark.parametrize("share", [lambda f: f.publish(), lambda f: f.replay()])
def test_connecting_below_a_switch_of_threads_is_refused(
    share: Callable[[Any], Any], pool: ThreadPoolExecutor
):
    for flux in (Flux.just(1).publish_on(pool), Flux.just(1).subscribe_on(pool)):
        with pytest.raises(UsageError, match="auto_connect"):
            share(flux)


@pytest.mark.parametrize("build", [CALLS["map"][0], CALLS["flat_map of inner functions"][0]])
def test_virtual_threads_serve_as_well(build: Callable[[Any, Any], Any]):
    names: list[object] = []

    def spy(value: int) -> int:
        names.append(current_thread())
        return value

    with VirtualThreadExecutor(name="virtual") as executor:
        assert result(build(Flux.range(0, 3).publish_on(executor), spy)) == [0, 1, 2]
        assert result(build(Flux.range(0, 3).hide(), spy).subscribe_on(executor)) == [0, 1, 2]
    assert len(names) == 6
    assert None not in names


def test_the_end_is_told_on_a_thread_and_after_the_values(pool: ThreadPoolExecutor):
    log: list[object] = []
    flux = Flux.range(0, 2).publish_on(pool).do_on_next(log.append)
    kinds: list[SignalType] = []
    assert flux.do_on_complete(lambda: log.append("end")).do_finally(kinds.append).count().block()
    assert log == [0, 1, "end"]
    assert kinds == [SignalType.ON_COMPLETE]


def test_what_runs_no_tasks_is_refused():
    with pytest.raises(UsageError, match="submit"):
        Flux.just(1).publish_on(object())  # type: ignore[arg-type]  # on purpose
    with pytest.raises(UsageError, match="submit"):
        Mono.just(1).subscribe_on(None)  # type: ignore[arg-type]  # on purpose
