import math

import pytest

from labcore.show.words import listed, number, span, times


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.01234, "0.0123"),
        (5.0, "5"),
        (98.76, "98.8"),
        (1234.5, "1\u202f234"),
        (1e6, "1\u202f000\u202f000"),
        (1e-7, "1e-07"),
        (math.nan, "–"),
    ],
)
def test_numbers_keep_three_digits(value: float, text: str):
    assert number(value) == text


def test_lists_end_in_and():
    assert [listed([]), listed(["a"]), listed(["a", "b"]), listed("abc")] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_ratios_near_one_keep_two_decimals():
    assert [times(14.66), times(2.06), times(1.084), times(0.473)] == [
        "14.7×",
        "2.1×",
        "1.08×",
        "0.47×",
    ]


def test_both_ends_of_an_interval_have_the_same_decimals():
    assert span(1.9, 2.149) == "1.90 to 2.15"
