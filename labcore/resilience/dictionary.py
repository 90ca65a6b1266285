"""The dictionary Resilience4j -> labcore and the breaker's diagram, read off the code so that they agree."""

import math
from dataclasses import MISSING, Field, dataclass, fields
from enum import Enum
from typing import Any

from labcore.resilience.breaker import TRANSITIONS, CircuitBreakerConfig
from labcore.resilience.bulkhead import BulkheadConfig
from labcore.resilience.limiter import RateLimiterConfig
from labcore.resilience.retry import RetryConfig
from labcore.resilience.time_limiter import TimeLimiterConfig

_CONFIGS: tuple[type, ...] = (
    *(CircuitBreakerConfig, BulkheadConfig, RateLimiterConfig, TimeLimiterConfig, RetryConfig),
)
# Where snake case is not the whole difference.
_RENAMED = {
    "CircuitBreakerConfig.record_exception": "recordException(Predicate)",
    "CircuitBreakerConfig.ignore_exception": "ignoreException(Predicate)",
    "CircuitBreakerConfig.record_result": "recordResult(Predicate)",
    "CircuitBreakerConfig.wait_interval_in_open_state": "waitIntervalFunctionInOpenState",
    "BulkheadConfig.queue_capacity": "ThreadPoolBulkheadConfig.queueCapacity",
    "RetryConfig.multiplier": "exponentialBackoffMultiplier",
    "RetryConfig.max_wait_duration_s": "exponentialMaxWaitDuration",
    "RetryConfig.retry_on_exception": "retryOnException(Predicate)",
    "RetryConfig.retry_on_result": "retryOnResult(Predicate)",
}
_OURS = frozenset(
    f"RetryConfig.{name}" for name in ("jitter", "retry_after", "max_retry_after_s", "random")
)
_BEGIN, _END = "<!-- made from the code: begin -->", "<!-- made from the code: end -->"


@dataclass(frozen=True, slots=True)
class Row:
    """One setting; `resilience4j` is empty where labcore alone has it."""

    resilience4j: str
    labcore: str
    default: str


def settings() -> list[Row]:
    """Every field of every configuration, in their order."""
    return [_row(config, field) for config in _CONFIGS for field in fields(config)]


def _row(config: type, field: "Field[Any]") -> Row:
    ours = f"{config.__name__}.{field.name}"
    theirs = _RENAMED.get(ours) or f"{config.__name__}.{_camel(field.name)}"
    if "." not in theirs:
        theirs = f"{config.__name__}.{theirs}"
    return Row("" if ours in _OURS else theirs, ours, _shown(field.default))


def _camel(name: str) -> str:
    first, *others = name.removesuffix("_s").split("_")
    return first + "".join(word.capitalize() for word in others)


def _shown(default: object) -> str:
    if default is MISSING:
        return ""
    if isinstance(default, Enum):
        return default.name
    if isinstance(default, tuple):
        return ", ".join(one.__name__ for one in default) or "none"
    if isinstance(default, float):
        return "unbounded" if math.isinf(default) else f"{default:g}"
    return getattr(default, "__name__", str(default))


def as_markdown() -> str:
    """The table of settings."""
    rows = "\n".join(
        f"| {f'`{row.resilience4j}`' if row.resilience4j else '–'} | `{row.labcore}` | {row.default} |"
        for row in settings()
    )
    return f"| Resilience4j | labcore | default |\n|---|---|---|\n{rows}\n"


def as_mermaid() -> str:
    """The breaker's diagram."""
    moves = "\n".join(
        f"    {state.name} --> {after.name}: {trigger.value}"
        for (state, trigger), after in TRANSITIONS.items()
    )
    return f"```mermaid\nstateDiagram-v2\n    [*] --> CLOSED\n{moves}\n```\n"


def renewed(text: str) -> str:
    """The document with its made part made anew."""
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    made = (
        f"## The breaker's states\n\n{as_mermaid()}\n"
        f"## Settings\n\nRates are percent, `…_s` seconds.\n\n{as_markdown()}"
    )
    return f"{before}{_BEGIN}\n\n{made}\n{_END}{after}"
