"""The model's claims: what recovers, what does not, and that it counts right."""

import pytest

from labcore.kernel import UsageError
from labcore.learn import Defence, Weather, storm
from labcore.resilience import CircuitBreakerConfig, Jitter, RetryConfig

JITTERED = RetryConfig(
    max_attempts=3,
    wait_duration_s=0.5,
    multiplier=2.0,
    jitter=Jitter.FULL,
)
BREAKER = CircuitBreakerConfig(
    sliding_window_size=50, minimum_number_of_calls=20, wait_duration_in_open_state_s=3
)


def test_without_an_outage_everybody_is_answered_at_the_first_attempt():
    table = storm(Defence(JITTERED), Weather(outage_s=(0, 0), duration_s=20))
    assert (table.answered_share == 1).all()
    assert (table.attempts == table.calls).all()


def test_an_outage_alone_passes():
    table = storm(Defence())
    assert (table.answered_share[12:20] == 0).all()
    assert (table.answered_share[50:] == 1).all()


def test_retries_keep_the_provider_down_after_its_outage():
    table = storm(Defence(JITTERED))
    assert (table.answered_share[20:] == 0).all()
    assert table.backlog.iloc[-1] > table.backlog[20]


def test_a_budget_lets_it_recover():
    table = storm(Defence(JITTERED, budget_share=0.1))
    assert (table.answered_share[50:] == 1).all()
    assert table.attempts[15:].max() < 150


def test_a_breaker_lets_it_recover_sooner():
    broken, budgeted = (
        storm(defence)
        for defence in (Defence(JITTERED, breaker=BREAKER), Defence(JITTERED, budget_share=0.1))
    )
    assert (broken.answered_share[30:] == 1).all()
    assert broken.answered_share.mean() > budgeted.answered_share.mean()


def test_the_same_seed_is_the_same_storm():
    assert storm(Defence(JITTERED)).equals(storm(Defence(JITTERED)))
    assert not storm(Defence()).equals(storm(Defence(), Weather(seed=2)))


@pytest.mark.parametrize(
    "numbers",
    [{"rate_per_s": 0}, {"outage_s": (5, 4)}, {"outage_s": (5, 90)}, {"timeout_s": -1}],
)
def test_weather_that_cannot_be_is_refused(numbers: dict[str, float]):
    with pytest.raises(UsageError):
        Weather(**numbers)  # type: ignore[arg-type] # that is the point
