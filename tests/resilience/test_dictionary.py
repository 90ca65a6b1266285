"""The document is made from the code, and names every setting once."""

from pathlib import Path

from labcore.resilience.dictionary import renewed, settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "resilience.md"


def test_the_document_is_the_codes():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == renewed(text), "renew it with labcore.resilience.dictionary.renewed"


def test_settings_carry_resilience4js_names_and_defaults():
    rows = {row.labcore: row for row in settings()}
    window = rows["CircuitBreakerConfig.sliding_window_size"]
    assert (window.resilience4j, window.default) == (
        "CircuitBreakerConfig.slidingWindowSize",
        "100",
    )
    wait = rows["CircuitBreakerConfig.wait_duration_in_open_state_s"]
    assert (wait.resilience4j, wait.default) == (
        "CircuitBreakerConfig.waitDurationInOpenState",
        "60",
    )
    assert rows["RetryConfig.max_attempts"].default == "3"
    assert rows["RateLimiterConfig.limit_refresh_period_s"].default == "5e-07"
    assert rows["RetryConfig.retry_after"].resilience4j == ""


def test_no_setting_is_named_twice():
    names = [row.resilience4j for row in settings() if row.resilience4j]
    assert len(names) == len(set(names))
