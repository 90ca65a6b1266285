import pytest

from labcore.kernel import ManualClock, SystemClock, UsageError


def test_a_manual_clock_moves_only_when_advanced():
    clock = ManualClock(10.0)
    assert clock.now_s() == 10.0
    clock.advance(2.5)
    assert clock.now_s() == 12.5


def test_a_manual_clock_never_goes_back():
    with pytest.raises(UsageError, match="cannot go back"):
        ManualClock().advance(-1)


def test_the_system_clock_never_goes_back():
    clock = SystemClock()
    assert clock.now_s() <= clock.now_s()
