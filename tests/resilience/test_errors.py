"""The drawing of the room's errors and its classes agree."""

import re

from labcore import virtual
from labcore.kernel import RefusedError
from labcore.resilience import errors


def test_the_drawing_shows_every_class():
    drawn = set(re.findall(r"── (\w+)", errors.__doc__ or ""))
    assert drawn == set(errors.__all__)


def test_every_class_is_a_refusal():
    assert all(issubclass(getattr(errors, name), RefusedError) for name in errors.__all__)


def test_a_call_is_late_in_one_way_only():
    assert errors.TimeLimitExceededError is virtual.TimeLimitExceededError
