"""Walks through the blocks of a comparison: what runs next, what is repeated, who may rest.

Blocks that a recording holds already are passed over, and what was seen at a look is seen again from
the same runs; so a comparison that was cut short goes on as if it had never stopped.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from labcore.kernel import InterruptedRunError
from labcore.measure.blocks import Slot, blocks
from labcore.measure.record import CONTROL, RunRow
from labcore.measure.run import Runner
from labcore.measure.session import counted, spoken
from labcore.measure.verdict import decided, verdicts

SPARE_SHARE: Final = 0.25  # of the planned runs: where more are void, repeating only takes longer
CUT_SHORT: Final = "Its block was cut short and has been measured again."


class Schedule:
    """One comparison under way.

    Args:
        runner: measures one arm once.
        repeats: further attempts at a run that came out void.
    """

    def __init__(self, runner: Runner, *, repeats: int) -> None:
        self._runner = runner
        self._repeats = repeats
        self._design = runner.design
        self._recording = runner.recording
        self._arms = tuple(runner.lanes)
        # A control alone is a claim of its own, beside lanes it lasts as long as any of them; a look at
        # one lane has nothing but its baseline.
        self._open = list(self._design.arms or {CONTROL} & set(self._arms) or self._arms)
        self._planned = len(self._arms) * self._design.pairs
        self._settled = 0
        earlier = self._recording.runs
        self._made = len(earlier)
        self._tries = Counter(zip(earlier["block"], earlier["arm"], strict=True))
        self._spare = int(SPARE_SHARE * self._planned) - int((earlier["attempt"] > 1).sum())
        self._pace_told = False

    def run(self) -> None:
        """Every block, until the last or until each lane is decided. Raises: as `Runner.run`."""
        self._emit("experiment_started", arms=list(self._arms), path=str(self._recording.path))
        order = blocks(self._arms, pairs=self._design.pairs, seed=self._design.seed)
        for number, block in enumerate(order):
            if number in self._design.look_points:
                self._look(number)
            if not self._open:
                return
            active = [slot for slot in block if self._is_active(slot.arm)]
            self._planned = self._settled + len(active) * (self._design.pairs - number)
            self._block(number, active)

    def _is_active(self, arm: str) -> bool:
        return arm in self._open or arm in {self._design.baseline, CONTROL}

    def _block(self, number: int, slots: Sequence[Slot]) -> None:
        """Measure a block, unless it is there whole; what is there of it in part is set aside."""
        known = [slot.arm for slot in slots if self._tries[number, slot.arm]]
        if len(known) == len(slots):
            self._settled += len(slots)
            return
        if known:
            runs = self._recording.runs
            self._recording.set_aside(runs.loc[runs["block"] == number, "run"], why=CUT_SHORT)
        began_s = time.monotonic()
        self._emit("block_started", block=number, arms=[slot.arm for slot in slots])
        for slot in slots:
            self._settle(slot)
        if not self._pace_told:
            self._project(number, time.monotonic() - began_s)

    def _settle(self, slot: Slot) -> None:
        """Measure one arm until a run is valid or patience ends."""
        again = self._repeats
        while self._attempt(slot).void and again and self._spare > 0:
            again -= 1
            self._spare -= 1
        self._settled += 1

    def _attempt(self, slot: Slot) -> RunRow:
        if self._runner.cancelled.is_set():
            raise InterruptedRunError("cancelled between two runs")
        self._made += 1
        self._tries[slot.block, slot.arm] += 1
        name, attempt = f"r{self._made:04d}", self._tries[slot.block, slot.arm]
        self._emit("run_started", run=name, block=slot.block, arm=slot.arm, attempt=attempt)
        row = self._runner.run(slot, name=name, attempt=attempt)
        self._emit("run_finished", **asdict(row))
        return row

    def _look(self, pairs: int) -> None:
        """Let the lanes rest whose every verdict is a decision after so many pairs."""
        runs = self._recording.runs
        found = verdicts(runs[runs["block"] < pairs], self._design)
        rest = [arm for arm in self._open if decided(found, arm)]
        self._open = [arm for arm in self._open if arm not in rest]
        taken = {"pairs": pairs, "decided": rest, "open": list(self._open)}
        earlier = self._recording.experiment.get("looks_taken", [])
        if taken not in earlier:
            self._recording.update(looks_taken=[*earlier, taken])
        self._emit("look", **taken)
        decisions = f"{' and '.join(rest)} decided" if rest else "nothing decided for good"
        going = f"{' and '.join(self._open)} to go on" if self._open else "no pair more needed"
        self._emit("notice", message=f"look at {pairs} pairs: {decisions}, {going}")

    def _project(self, number: int, block_s: float) -> None:
        """Say, and write down, how long it will take by the pace of this session's first block."""
        self._pace_told = True
        left = self._design.pairs - number - 1
        left_s, total_s = left * block_s, self._design.pairs * block_s
        self._recording.update(projected_s=round(total_s, 1))
        message = f"{counted(self._planned, 'run')} planned, at most about {spoken(left_s)} left"
        looks = [look for look in self._design.look_points if number + 1 < look <= number + left]
        if looks:
            soonest = spoken((looks[0] - number - 1) * block_s)
            message += f"; the look at {looks[0]} pairs, in about {soonest}, may end it sooner"
        self._emit("notice", message=message, left_s=left_s, total_s=total_s)

    def _emit(self, kind: str, **payload: Any) -> None:
        counts = {"planned": self._planned, "settled": self._settled}
        self._runner.events.emit(kind, {**payload, **counts})
