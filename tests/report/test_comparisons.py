"""One rule decides all comparisons, and which rows it is applied to."""

import pytest

from mofore.report.comparisons import decide, weakest, with_controls, with_shipped
from tests.helpers.made_results import CONTROLS, make_results, with_intervals

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


def test_controls_and_the_shipped_encoder_are_compared_with_separately() -> None:
    results = make_results()
    assert with_shipped(results) == []
    results.linear["shipped"] = with_intervals(top1=0.8, lead=0.1)
    results.knn["shipped"] = with_intervals(r_at_1=0.7, lead=0.2)
    linear, knn = with_shipped(results)
    assert str(linear) == ("linear top-1 80.0% against MoFore's 90.0%, a lead of +10.0 points (+8.0 to +12.0)")
    assert (knn.measure, knn.control, knn.mofore, knn.answer) == ("retrieval R@1", 0.7, 0.9, "yes")
    assert [c.row for c in with_controls(results)] == [row for row in CONTROLS for _ in range(2)]
