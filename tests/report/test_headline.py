"""The headline numbers come from the right results; numbers that a run does not have are absent."""

from mofore.report.headline import headline_metrics, score_table
from mofore.report.results import Scores
from tests.helpers.made_results import make_results

NAMES = [
    *("linear", "lin-rand", "lin-motion", "lin-shipped", "R@1", "R@1-rand", "R@1-motion", "R@1-shipped"),
    *("skill", "gap_use", "margin", "rank", "seconds", "clips/s"),
]


def test_each_number_comes_from_its_results() -> None:
    results = make_results()
    results.pretrain |= {"seconds": 71.23456, "clips_per_second": 600.0}
    results.linear["random_init"]["lead"], results.knn["motion"]["lead"] = 0.12345, -0.04
    results.linear["shipped"], results.knn["shipped"] = {"lead": 0.0056}, {"lead": -0.02}
    found = headline_metrics(results)
    assert list(found) == NAMES
    assert found["linear"] == results.linear["mofore"]["top1"]
    assert found["lin-rand"] == 0.123
    assert found["lin-shipped"] == 0.006
    assert found["R@1-shipped"] == -0.02
    assert found["R@1"] == results.knn["mofore"]["r_at_1"]
    assert found["R@1-motion"] == -0.04
    assert found["skill"] == results.forecast["mofore"]["skill_persistence"]
    assert found["gap_use"] == results.forecast["mofore"]["gap_use"]
    assert found["margin"] == results.temporal["mofore"]["margin_in_sd"]
    assert found["rank"] == results.pretrain["effective_rank"]
    assert (found["seconds"], found["clips/s"]) == (71.235, 600)


def test_leads_over_the_shipped_encoder_are_absent_after_a_random_start() -> None:
    assert not [name for name in headline_metrics(make_results()) if "shipped" in name]


def test_numbers_that_need_labels_or_pairs_are_absent_without_them() -> None:
    results = make_results()
    no_scores: Scores = {row: {} for row in results.linear}
    results.linear, results.knn, results.forecast = no_scores, no_scores, {"mofore": {}}
    assert list(headline_metrics(results)) == ["margin", "rank"]
    assert score_table(results)["measure"].tolist() == ["effective_rank"]


def test_score_table_has_every_representation_with_its_interval() -> None:
    results = make_results()
    table = score_table(results)
    linear = table[table.measure == "linear"].set_index("row")
    assert list(linear.index) == list(results.linear)
    for row, scores in results.linear.items():
        line = [float(linear[column][row]) for column in ("score", "low", "high")]
        assert line == [scores["top1"], scores["top1_low"], scores["top1_high"]]
    assert table.measure.drop_duplicates().tolist() == ["linear", "r_at_1", "skill", "effective_rank"]
    assert table[table.measure == "effective_rank"][["low", "high"]].isna().to_numpy().all()
