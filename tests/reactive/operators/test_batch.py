"""Lists and groups."""

import pytest

from labcore.reactive import Flux
from labcore.reactive.testing import StepVerifier, TestPublisher


def test_buffer_asks_for_as_many_values_as_its_lists_hold():
    asked: list[int] = []
    flux = Flux.range(0, 10).do_on_request(asked.append).buffer(3)
    (
        StepVerifier.create(flux, 2)
        .expect_next([0, 1, 2], [3, 4, 5])
        .then_request(2)
        .expect_next([6, 7, 8], [9])
        .verify_complete()
    )
    assert asked == [6, 6]


def test_a_refused_list_is_replaced():
    flux = Flux.range(0, 10).buffer(2).filter(lambda box: sum(box) > 5)
    StepVerifier.create(flux, 1).expect_next([4, 5]).then_cancel().verify()


def test_a_failure_loses_the_list_that_was_begun():
    flux = Flux.range(0, 3).concat_with(Flux.error(OSError())).buffer(2)
    StepVerifier.create(flux).expect_next([0, 1]).verify_error(OSError)


def test_groups_get_the_values_of_their_keys():
    flux = Flux.range(0, 9).group_by(lambda v: v % 3)
    lists = flux.flat_map(lambda group: group.flux.collect_list().map(lambda x: (group.key, x)))
    assert lists.collect_list().block() == [(0, [0, 3, 6]), (1, [1, 4, 7]), (2, [2, 5, 8])]


def test_a_key_that_fails_ends_everything():
    flux = Flux.range(0, 2).group_by(lambda v: 1 // v).flat_map(lambda group: group.flux)
    StepVerifier.create(flux).verify_error(ZeroDivisionError)


@pytest.mark.parametrize("take", [1, 2])
def test_leaving_groups_closes_the_source(take: int):
    source: TestPublisher[int] = TestPublisher.create()
    flux = Flux.from_publisher(source).group_by(lambda v: v % 2).flat_map(lambda g: g.flux)
    (
        StepVerifier.create(flux.take(take))
        .then(lambda: source.next(*range(take)))
        .expect_next_count(take)
        .verify_complete()
    )
    source.assert_cancelled()


def test_buffer_timeout_waits_for_demand_instead_of_overflowing():
    flux = Flux.interval(1).take(6).on_backpressure_buffer().buffer_timeout(3, 1.5)
    (
        StepVerifier.with_virtual_time(lambda: flux, 0)
        .expect_no_event(2.9)
        .then_request(9)
        .then_await(4)
        .expect_next([0, 1], [2, 3], [4, 5])
        .verify_complete()
    )
