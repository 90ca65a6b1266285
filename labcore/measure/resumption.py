"""Going on with whatever was cut short: the recording says which kind of experiment it is of."""

from pathlib import Path
from threading import Event
from typing import Any

from labcore.measure.capacities import resume_capacity
from labcore.measure.crossings import resume_crossover
from labcore.measure.experiment import resume_comparison
from labcore.measure.recording import Recording
from labcore.measure.run import OnEvent
from labcore.measure.session import beside_the_loop


def resume(
    path: str | Path,
    *,
    force: bool = False,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> Recording:
    """Go on with a comparison, a search or a map where it was cut short.

    Design, seeds and finished runs stay; what was half done is done again.

    Args:
        path: directory of the recording.
        force: go on though the machine or its software is another now, and record how.
        on_event: as for the verb that began it.
        cancelled: set it to stop; what was measured is kept.

    Raises:
        UsageError: no unfinished recording there, or another machine.
        InterruptedRunError: cancelled, or interrupted by the keyboard.
        PeerError: a server died, or a foreign lane breaks the contract.
        EnvironmentFault: no database, no port.
    """
    kind = Recording.open(path).kind
    if kind == "capacity":
        search = resume_capacity(path, force=force, on_event=on_event, cancelled=cancelled)
        return search.recording
    if kind == "crossover":
        return resume_crossover(path, force=force, on_event=on_event, cancelled=cancelled)
    comparison = resume_comparison(path, force=force, on_event=on_event, cancelled=cancelled)
    return comparison.recording


async def resume_async(
    path: str | Path, *, cancelled: Event | None = None, **options: Any
) -> Recording:
    """`resume` for a running event loop, cancelled as `compare_async` is."""
    return await beside_the_loop(resume, path, stop=cancelled or Event(), options=options)
