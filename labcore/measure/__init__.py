"""Floor 4: load, samples, pairs, statistics, verdicts. Knows no picture."""

from labcore.measure.bracket import capacity_results
from labcore.measure.capacities import (
    Capacity,
    capacity,
    capacity_async,
    resume_capacity,
    usual_ladder,
)
from labcore.measure.cells import crossover_result
from labcore.measure.connections import Limits
from labcore.measure.crossings import crossover, crossover_async, resume_crossover
from labcore.measure.decision import Decision, Standing, decide
from labcore.measure.doctor import Symptom, diagnose
from labcore.measure.driver import drive
from labcore.measure.experiment import (
    Comparison,
    compare,
    compare_async,
    look,
    look_async,
    resume_comparison,
)
from labcore.measure.judgement import RULES, Finding, Rule, findings
from labcore.measure.objective import Objective
from labcore.measure.plan import LoadPlan, LoadResult, Progress, Users
from labcore.measure.record import (
    CONTROL,
    REQUEST_COLUMNS,
    SAMPLE_COLUMNS,
    SCHEMA_VERSION,
    CapacityPoint,
    CapacityResult,
    CrossoverCell,
    CrossoverResult,
    Design,
    RunRow,
)
from labcore.measure.recording import Recording
from labcore.measure.resumption import resume, resume_async
from labcore.measure.scaling import Band, ScalingFit, fit_scaling
from labcore.measure.search import Ladder
from labcore.measure.session import beside_the_loop
from labcore.measure.stream_plan import StreamPlan, StreamResult
from labcore.measure.subscribers import Listening, listen, listening
from labcore.measure.sweep import Sweep, SweepPlan, sides
from labcore.measure.sweeping import run_sweep
from labcore.measure.verdict import METRICS, Metric, Verdict, verdicts
from labcore.measure.vitals import Vitals, take_vitals

__all__ = [
    "CONTROL",
    "METRICS",
    "REQUEST_COLUMNS",
    "RULES",
    "SAMPLE_COLUMNS",
    "SCHEMA_VERSION",
    "Band",
    "Capacity",
    "CapacityPoint",
    "CapacityResult",
    "Comparison",
    "CrossoverCell",
    "CrossoverResult",
    "Decision",
    "Design",
    "Finding",
    "Ladder",
    "Limits",
    "Listening",
    "LoadPlan",
    "LoadResult",
    "Metric",
    "Objective",
    "Progress",
    "Recording",
    "Rule",
    "RunRow",
    "ScalingFit",
    "Standing",
    "StreamPlan",
    "StreamResult",
    "Sweep",
    "SweepPlan",
    "Symptom",
    "Users",
    "Verdict",
    "Vitals",
    "beside_the_loop",
    "capacity",
    "capacity_async",
    "capacity_results",
    "compare",
    "compare_async",
    "crossover",
    "crossover_async",
    "crossover_result",
    "decide",
    "diagnose",
    "drive",
    "findings",
    "fit_scaling",
    "listen",
    "listening",
    "look",
    "look_async",
    "resume",
    "resume_async",
    "resume_capacity",
    "resume_comparison",
    "resume_crossover",
    "run_sweep",
    "sides",
    "take_vitals",
    "usual_ladder",
    "verdicts",
]
