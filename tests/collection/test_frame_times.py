"""Times of frames are repaired, uneven ones are told, and times as text."""

import math

import pytest

from mofore.collection.frame_times import UnevenError, check_even, clock, repaired_time


def test_a_time_that_is_unknown_or_out_of_order_becomes_the_next_one() -> None:
    assert repaired_time(3.0, 2.0, 25) == 3.0
    assert repaired_time(2.0, 2.0, 25) == 2.04
    assert repaired_time(math.nan, 2.0, 25) == 2.04
    assert repaired_time(math.nan, None, 25) == 0
    assert repaired_time(0.0, None, 25) == 0


def test_frames_may_last_a_fifth_longer_or_less_long() -> None:
    check_even(10.0, 11.19, 26, 25)
    check_even(10.0, 10.84, 26, 25)
    for last_s in (11.21, 10.83):
        with pytest.raises(UnevenError):
            check_even(10.0, last_s, 26, 25)


def test_times() -> None:
    assert [clock(s) for s in (0, 7.54, 59.96, 720, 35998)] == ["0:00.0", "0:07.5", "1:00.0", "12:00.0", "9:59:58.0"]
