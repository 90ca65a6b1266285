"""StepVerifier scripts for the operators that change, choose and fold values."""

from collections.abc import Callable

import pytest

from labcore.reactive import EmptyStreamError, Flux, Mono
from labcore.reactive.testing import StepVerifier, TestPublisher


def even(value: int) -> bool:
    return value % 2 == 0


def test_map_changes_each_value():
    StepVerifier.create(Flux.just(1, 2).map(str)).expect_next("1", "2").verify_complete()
    StepVerifier.create(Mono.just(1).map(str)).expect_next("1").verify_complete()


@pytest.mark.parametrize("source", [Flux.range(0, 3), Flux.range(0, 3).hide()])
def test_map_cancels_its_source_when_the_function_fails(source: Flux[int]):
    mapped = source.map(lambda value: 1 // (1 - value))
    StepVerifier.create(mapped).expect_next(1).verify_error(ZeroDivisionError)


def test_filter_asks_again_for_what_it_refused():
    script = StepVerifier.create(Flux.range(0, 100).hide().filter(even), 2).expect_next(0, 2)
    script.expect_no_event(0).then_request(1).expect_next(4).then_cancel().verify()
    StepVerifier.create(Mono.just(1).filter(even)).verify_complete()


def test_handle_emits_at_most_one_value_for_each():
    def halves(value: int, emit: Callable[[int], None]) -> None:
        if even(value):
            emit(value // 2)

    StepVerifier.create(Flux.range(0, 5).handle(halves)).expect_next(0, 1, 2).verify_complete()


def test_scan_gives_each_intermediate_result():
    source = Flux.just(1, 2, 3).scan(lambda total, value: total + value, initial=0)
    StepVerifier.create(source, 1).expect_next(0).then_request(3).expect_next(
        1, 3, 6
    ).verify_complete()


def test_index_counts_from_zero():
    source = Flux.just("a", "b").index()
    StepVerifier.create(source).expect_next((0, "a"), (1, "b")).verify_complete()


def test_take_ends_and_cancels_after_its_count():
    publisher: TestPublisher[int] = TestPublisher.create()
    script = StepVerifier.create(publisher.flux().take(2)).then(lambda: publisher.next(1, 2))
    script.expect_next(1, 2).verify_complete()
    publisher.assert_cancelled(1)


def test_take_asks_for_no_more_than_it_takes():
    publisher: TestPublisher[int] = TestPublisher.create()
    script = StepVerifier.create(publisher.flux().take(2))
    script.then(lambda: publisher.assert_max_requested(2)).then_cancel().verify()


def test_take_counts_what_a_filter_below_refuses():
    StepVerifier.create(Flux.just(1, 2, 3, 4).take(2).filter(even)).expect_next(2).verify_complete()
    StepVerifier.create(Flux.just(1).hide().take(1).filter(even)).verify_complete()


def test_take_of_nothing_completes_at_once():
    StepVerifier.create(Flux.never().take(0), 0).verify_complete()


def test_take_while_leaves_the_refused_value_out():
    source = Flux.range(0, 9).take_while(lambda value: value < 2)
    StepVerifier.create(source).expect_next(0, 1).verify_complete()


def test_take_until_keeps_the_last_value():
    source = Flux.range(0, 9).take_until(lambda value: value == 2)
    StepVerifier.create(source).expect_next(0, 1, 2).verify_complete()


def test_skip_leaves_the_beginning_out():
    StepVerifier.create(Flux.range(0, 4).skip(2), 1).expect_next(2).then_request(1).expect_next(
        3
    ).verify_complete()


def test_skip_while_stops_looking_after_the_first_it_keeps():
    source = Flux.just(1, 2, 1).skip_while(lambda value: value < 2)
    StepVerifier.create(source).expect_next(2, 1).verify_complete()


def test_distinct_gives_each_key_once():
    source = Flux.just("a", "A", "b").distinct(str.lower)
    StepVerifier.create(source).expect_next("a", "b").verify_complete()


def test_distinct_until_changed_compares_neighbours():
    source = Flux.just(1, 1, 2, 1).distinct_until_changed()
    StepVerifier.create(source).expect_next(1, 2, 1).verify_complete()


def test_distinct_remembers_for_one_subscriber_only():
    source = Flux.just(1, 1).distinct()
    for _ in range(2):
        StepVerifier.create(source).expect_next(1).verify_complete()


def test_hide_changes_nothing():
    StepVerifier.create(Flux.just(1).hide()).expect_next(1).verify_complete()
    StepVerifier.create(Mono.just(1).hide()).expect_next(1).verify_complete()


def test_default_if_empty_waits_for_demand():
    script = StepVerifier.create(Flux.empty().default_if_empty(7), 0).expect_no_event(0)
    script.then_request(1).expect_next(7).verify_complete()
    StepVerifier.create(Mono.just(1).default_if_empty(7)).expect_next(1).verify_complete()


def test_switch_if_empty_hands_the_demand_over():
    source = Flux.empty().switch_if_empty(Flux.range(0, 9))
    script = StepVerifier.create(source, 2).expect_next(0, 1).expect_no_event(0)
    script.then_cancel().verify()
    source_of_one = Mono.just(1).switch_if_empty(Mono.never())
    StepVerifier.create(source_of_one).expect_next(1).verify_complete()


def test_next_is_the_first_value_or_nothing():
    StepVerifier.create(Flux.range(5, 9).next()).expect_next(5).verify_complete()
    StepVerifier.create(Flux.empty().next()).verify_complete()


def test_last_of_nothing_is_an_error():
    StepVerifier.create(Flux.range(0, 3).last()).expect_next(2).verify_complete()
    StepVerifier.create(Flux.empty().last()).verify_error(EmptyStreamError)


def test_folds_give_one_value_at_the_end():
    StepVerifier.create(Flux.just(3, 1, 2).reduce(max)).expect_next(3).verify_complete()
    summed = Flux.just(3, 1).reduce_with(lambda: 10, lambda total, value: total + value)
    StepVerifier.create(summed).expect_next(14).verify_complete()
    collected = Flux.just(1, 2).collect(list[int], lambda box, value: box.append(-value))
    StepVerifier.create(collected).expect_next([-1, -2]).verify_complete()
    StepVerifier.create(Flux.just(1, 2).collect_list()).expect_next([1, 2]).verify_complete()
    mapped = Flux.just("a", "bb").collect_map(len)
    StepVerifier.create(mapped).expect_next({1: "a", 2: "bb"}).verify_complete()
    StepVerifier.create(Flux.range(0, 5).count()).expect_next(5).verify_complete()


def test_a_fold_asks_for_everything_and_waits_for_demand():
    script = StepVerifier.create(Flux.range(0, 5000).count(), 0).expect_no_event(0)
    script.then_request(1).expect_next(5000).verify_complete()


def test_reduce_of_nothing_is_nothing():
    StepVerifier.create(Flux.empty().reduce(max)).verify_complete()


def test_any_and_all_stop_at_the_answer():
    publisher: TestPublisher[int] = TestPublisher.create()
    script = StepVerifier.create(publisher.flux().any(even)).then(lambda: publisher.next(1, 2))
    script.expect_next(True).verify_complete()
    publisher.assert_cancelled(1)
    StepVerifier.create(Flux.just(2, 3).all(even)).expect_next(False).verify_complete()
    StepVerifier.create(Flux.just(2, 4).all(even)).expect_next(True).verify_complete()


def test_has_elements_tells():
    StepVerifier.create(Flux.just(1).has_elements()).expect_next(True).verify_complete()
    StepVerifier.create(Flux.empty().has_elements()).expect_next(False).verify_complete()


def test_a_mono_is_a_flux_of_its_value():
    StepVerifier.create(Mono.just(1).flux()).expect_next(1).verify_complete()
