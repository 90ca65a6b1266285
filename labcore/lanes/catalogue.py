"""Which scenarios there are, and what a lane's name on a command line means.

Scenarios announce themselves under the entry-point group `labcore.scenarios`, ours and a user's
through the same door; `labcore` imports no service.
"""

import re
from importlib.metadata import EntryPoint, entry_points
from urllib.parse import urlsplit

from labcore.kernel import UsageError
from labcore.lanes.contract import ForeignLane, Scenario

GROUP = "labcore.scenarios"
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*", re.IGNORECASE)


def scenarios() -> dict[str, Scenario]:
    """Every scenario that is installed, by name, sorted. Raises: UsageError if one cannot load."""
    return {point.name: _load(point) for point in sorted(entry_points(group=GROUP))}


def scenario(name: str) -> Scenario:
    """The scenario of that name. Raises: UsageError listing those known."""
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise UsageError(f"unknown scenario {name!r}; known: {known}")
    return _load(points[name])


def parse_lane(text: str) -> str | ForeignLane:
    """A lane as a user writes it: `reactive`, `mine=http://host:port`, `mine='command {port}'`.

    Raises: UsageError saying which of the three forms was missed.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not _NAME.fullmatch(name):
        raise UsageError(f"lane {text!r} has no name of letters, digits, '-', '_' or '.'")
    if not equals:
        return name
    if value.startswith(("http://", "https://")):
        if not urlsplit(value).hostname:
            raise UsageError(f"lane {name!r}: {value!r} has no host; expected http://host:port")
        return ForeignLane(name=name, url=value.rstrip("/"))
    if "{port}" in value:
        return ForeignLane(name=name, command=value)
    raise UsageError(
        f"lane {name!r}: {value!r} is neither http://host:port nor a command with {{port}} in it"
    )


def _load(point: EntryPoint) -> Scenario:
    try:
        found = point.load()
    except (ImportError, AttributeError) as exc:
        raise UsageError(
            f"scenario {point.name!r} cannot load from {point.value!r}: {exc}"
        ) from exc
    if not isinstance(found, Scenario):
        raise UsageError(f"{point.value!r} is a {type(found).__name__}, not a Scenario")
    return found
