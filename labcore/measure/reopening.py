"""Whether a recording that was cut short may go on here and now: same machine, same versions.

Half an experiment on one machine and half on another compares the machines as well. So what decides
a measurement is compared with what was recorded, and a difference is refused unless it is forced;
then it is written down.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from labcore.kernel import UsageError, utc_now
from labcore.lanes import ForeignLane, parse_lane
from labcore.measure.design import LaneChoice
from labcore.measure.environment import fingerprint
from labcore.measure.record import Kind
from labcore.measure.recording import Recording

PASSING: Final = frozenset({"load_average_before", "changed"})  # of the moment, not of the machine


def reopen(path: str | Path, kind: Kind, *, force: bool = False) -> Recording:
    """The unfinished recording at this place, with a note that it was taken up again.

    Args:
        path: directory of the recording.
        kind: of experiment that the caller can go on with.
        force: go on though the machine or its software is another; the differences are recorded.

    Raises:
        UsageError: no recording, one of another kind, a complete one, or another machine.
    """
    recording = Recording.open(path)
    if recording.kind != kind:
        raise UsageError(
            f"{str(path)!r} is a recording of {recording.kind!r}, not of {kind!r}; "
            "resume it with its own verb, or with `labcore.resume`"
        )
    if recording.complete:
        raise UsageError(f"{str(path)!r} is complete; there is nothing to resume, measure anew")
    found = list(differences(recording.experiment["environment"], fingerprint()))
    if found and not force:
        raise UsageError(
            f"{str(path)!r} was measured under other conditions: {'; '.join(found)}; "
            "measure anew, or force it and have the difference recorded"
        )
    note = {
        "at": utc_now().isoformat(timespec="seconds"),
        "runs_before": len(recording.runs),
        "differences": found,
    }
    recording.update(resumed=[*recording.experiment.get("resumed", []), note], finished_at=None)
    return recording


def differences(
    recorded: Mapping[str, Any], present: Mapping[str, Any], *, within: str = ""
) -> Iterator[str]:
    """What differs materially between two fingerprints, one sentence each."""
    for name in sorted({*recorded, *present} - PASSING):
        before, now = recorded.get(name), present.get(name)
        label = f"{within} {name}".strip()
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from differences(before, now, within=label)
        elif before != now:
            yield f"{label} was {before!r}, is {now!r}"


def lane_texts(chosen: Mapping[str, LaneChoice]) -> dict[str, str]:
    """The lanes by name as a user would write them, for the record."""
    return {
        name: f"{name}={lane.url or lane.command}" if isinstance(lane, ForeignLane) else lane
        for name, lane in chosen.items()
    }


def recorded_lanes(recording: Recording) -> dict[str, LaneChoice]:
    """The lanes of a recording by name, the baseline first; older ones knew only our own."""
    names = (recording.design.baseline, *recording.design.arms)
    texts = recording.experiment.get("lanes", {})
    return {name: parse_lane(texts.get(name, name)) for name in names}
