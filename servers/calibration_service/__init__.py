"""A service whose lanes differ by a known amount: what the instrument is judged against.

Its lanes are no concurrency models. Each does the same *simulated* work, one of them a tenth more of
it and one a hundredth more, so that a comparison has a right answer.
"""

from labcore.lanes import Lane, Parameter, Scenario
from servers.calibration_service.app import answers_at_all, is_deterministic
from servers.calibration_service.workload import CalibrationWorkload

_BUILD = "servers.calibration_service.app:build"
_WAITING = "nothing waits: the work is computation"

SCENARIO = Scenario(
    name="calibration",
    title="Calibration: a difference that is known beforehand",
    question="Does the instrument find the difference that was put there, and no other?",
    lanes=(
        Lane("exact", "The work as it is", _WAITING, "none", _BUILD),
        Lane("tenth", "A tenth more work", _WAITING, "none", _BUILD),
        Lane("hundredth", "A hundredth more work", _WAITING, "none", _BUILD),
    ),
    baseline="exact",
    workload=CalibrationWorkload(),
    parameters=(
        Parameter("work_rounds", 2_000, "rounds", "hash rounds of a request", 100, 1_000_000),
    ),
    checks=(answers_at_all, is_deterministic),
)

__all__ = ["SCENARIO"]
