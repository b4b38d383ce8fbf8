"""Which rows MoFore is compared with, and in what words."""

from mofore.report.comparisons import with_controls, with_shipped
from tests.helpers.made_results import CONTROLS, make_results, with_intervals


def test_controls_and_the_shipped_encoder_are_compared_with_separately() -> None:
    results = make_results()
    assert with_shipped(results) == []
    results.linear["shipped"] = with_intervals(top1=0.8, lead=0.1)
    results.knn["shipped"] = with_intervals(r_at_1=0.7, lead=0.2)
    linear, knn = with_shipped(results)
    assert str(linear) == ("linear top-1 80.0% against MoFore's 90.0%, a lead of +10.0 points (+8.0 to +12.0)")
    assert (knn.measure, knn.control, knn.mofore, knn.answer) == ("retrieval R@1", 0.7, 0.9, "yes")
    assert [c.row for c in with_controls(results)] == [row for row in CONTROLS for _ in range(2)]
