"""Each fact is judged once; what nobody could read is unknown and never fine."""

from dataclasses import replace
from typing import Any

import pytest

from labcore.measure import Symptom, Vitals, diagnose

SOUND = Vitals(
    cores=8,
    machine_cores=8,
    shared_core_pairs=0,
    cpu_limit_cores=float("inf"),
    throttled_periods=0,
    governors=("performance",),
    turbo=False,
    runnable=0.2,
    foreign_cores=0.02,
    steal_share=0.0,
    timer_late_p50_us=20.0,
    timer_late_p99_us=60.0,
    clock_source="tsc",
    swap_used_mb=0.0,
    swapped_pages=0,
    open_files=65_536.0,
    somaxconn=4096,
    ephemeral_ports=28_232,
    waiting_ports=3,
    huge_pages="madvise",
    disk_free_mb=50_000.0,
    hypervisor=False,
)


def by_name(vitals: Vitals) -> dict[str, Symptom]:
    return {symptom.name: symptom for symptom in diagnose(vitals)}


def test_a_sound_machine_has_no_finding():
    assert {symptom.severity for symptom in diagnose(SOUND)} == {"fine"}


def test_a_fact_nobody_could_read_is_unknown():
    found = by_name(Vitals())
    living = {"Python build", "interpreter's lock"}
    assert {name for name, symptom in found.items() if symptom.severity != "unknown"} == living


@pytest.mark.parametrize(
    ("change", "name", "severity", "told"),
    [
        ({"cores": 2}, "cores", "doubtful", "2 usable of 8"),
        ({"cores": 1}, "cores", "bad", "1 usable"),
        ({"shared_core_pairs": 2}, "hardware threads", "doubtful", "2 usable ones share"),
        ({"governors": ("powersave",)}, "CPU frequency", "doubtful", "powersave"),
        ({"turbo": True}, "CPU frequency", "doubtful", "turbo on"),
        ({"cpu_limit_cores": 1.5}, "container's CPU limit", "bad", "1.5 cores"),
        ({"throttled_periods": 4}, "container's CPU limit", "bad", "throttled 4 times"),
        ({"foreign_cores": 0.7, "busiest": (("cc1", 0.6),)}, "other load", "bad", "cc1 0.6"),
        ({"foreign_cores": 0.7}, "other load", "bad", "cannot be seen"),
        ({"runnable": 3.0}, "run queue", "doubtful", "3.0"),
        ({"steal_share": 0.03}, "steal", "bad", "3.0%"),
        ({"timer_late_p99_us": 1400.0}, "timer", "bad", "1400 us"),
        ({"clock_source": "hpet"}, "clock source", "doubtful", "hpet"),
        ({"swapped_pages": 9}, "swap", "bad", "9 pages"),
        ({"open_files": 1024.0}, "open files", "doubtful", "1024"),
        ({"open_files": 256.0}, "open files", "bad", "256"),
        ({"somaxconn": 128}, "listen queue", "doubtful", "128"),
        ({"waiting_ports": 27_000}, "ephemeral ports", "bad", "27000 in TIME_WAIT"),
        ({"huge_pages": "always"}, "transparent huge pages", "doubtful", "always"),
        ({"disk_free_mb": 90.0}, "free disk", "bad", "90 MB"),
        ({"hypervisor": True}, "virtual machine", "doubtful", "yes"),
        ({"python_faults": ("a debug build",)}, "Python build", "bad", "debug build"),
        ({"free_threaded": True}, "interpreter's lock", "doubtful", "free-threaded"),
    ],
    ids=str,
)
def test_a_fault_is_named_with_its_value(
    change: dict[str, Any], name: str, severity: str, told: str
):
    found = by_name(replace(SOUND, **change))
    assert found[name].severity == severity
    assert told in found[name].value
    assert {each for each in found if found[each].severity != "fine"} == {name}


def test_every_check_says_why_and_what_helps():
    symptoms = diagnose(SOUND)
    assert all(symptom.why and symptom.remedy for symptom in symptoms)
    assert len({symptom.name for symptom in symptoms}) == len(symptoms)
