"""An operator keeps the kind of its stream and begins anew with each subscription."""

from typing import Any

from labcore.reactive import Flux, Mono
from labcore.resilience.stream import per_subscription


async def test_a_mono_stays_one_and_a_flux_too():
    same = per_subscription(lambda source: source)
    assert isinstance(same(Mono.just(1)), Mono)
    assert isinstance(same(Flux.just(1, 2)), Flux)
    assert await same(Flux.just(1, 2)).collect_list() == [1, 2]


async def test_it_is_made_anew_for_each_subscription_and_not_before():
    made: list[Any] = []

    def make(source: Any) -> Any:
        made.append(source)
        return source

    guarded = per_subscription(make)(Mono.just(1))
    assert made == []
    assert [await guarded, await guarded] == [1, 1]
    assert len(made) == 2


async def test_an_error_of_the_making_is_the_streams():
    def refuse(_: Any) -> Any:
        raise OSError("refused")

    refused = per_subscription(refuse)(Mono.just(1))
    assert await refused.on_error_return(0) == 0
