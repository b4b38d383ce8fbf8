"""An interval decides a comparison only if all of it is on one side."""

import pytest

from mofore.report.decide import decide, weakest

TINY = 1e-9


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [(TINY, 1, "yes"), (0, 1, "not clear"), (-1, 0, "not clear"), (-1, -TINY, "no"), (0, 0, "not clear")],
)
def test_an_interval_decides_only_if_all_of_it_is_on_one_side(low: float, high: float, answer: str) -> None:
    assert decide(low, high) == answer
    assert decide(low + 0.5, high + 0.5, threshold=0.5) == answer


def test_an_interval_that_is_not_known_decides_nothing() -> None:
    assert decide(float("nan"), float("nan")) == "not clear"


def test_the_weakest_answer() -> None:
    assert weakest(["yes", "not clear", "no"]) == "no"
    assert weakest(["yes", "not clear"]) == "not clear"
    assert weakest(["yes", "yes"]) == "yes"
