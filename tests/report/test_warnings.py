"""Each warning appears on one side of its threshold and not on the other."""

import numpy as np
import pandas as pd
import pytest

from mofore.report.results import ROW_NAMES, Results
from mofore.report.warnings import cautions
from tests.helpers.made_results import CONTROLS, make_results, make_videos, with_intervals

TINY = 1e-9


def titles(results: Results) -> list[str]:
    return [one.what for one in cautions(results)]


def test_good_results_give_no_warning() -> None:
    assert cautions(make_results()) == []


@pytest.mark.parametrize(("rank", "spread", "warned"), [(4.99, 0.8, True), (5, 0.25, False), (40, 0.249, True)])
def test_collapse(rank: float, spread: float, warned: bool) -> None:
    results = make_results()
    results.pretrain |= {"effective_rank": rank, "spread": spread}
    assert any("collapsed" in what for what in titles(results)) == warned


def test_videos_that_are_alike_because_all_are() -> None:
    """The warning needs all four signs; each threshold is exact."""
    half_collapsed = {"same_video": 0.9, "different_class": 0.5, "effective_rank": 39.9}
    for name, value, warned in (
        ("same_video", 0.9, True),
        ("same_video", 0.9 - TINY, False),
        ("different_class", 0.5 - TINY, False),
        ("effective_rank", 40.0, False),
    ):
        results = make_results()
        results.paper.rows["mofore"] |= half_collapsed | {name: value}
        results.paper.rows["random_init"] |= {"different_class": 0.4, "effective_rank": 40.0}
        wanted = ["Embeddings of one video are alike, but so are those of other classes"] if warned else []
        assert titles(results) == wanted
    results.paper.rows["mofore"] |= half_collapsed
    results.paper.rows["random_init"] |= {"different_class": 0.5}
    assert titles(results) == [], "before training, classes were as alike"
    del results.paper.rows["mofore"]["different_class"]
    assert titles(results) == [], "no labels"


def test_the_random_split_and_what_its_leak_is_worth() -> None:
    results = make_results()
    results.divided_groups = 12
    results.linear["mofore"] |= {"grouped_top1": 0.7}
    results.knn["mofore"] |= {"grouped_r_at_1": 0.6}
    (one,) = cautions(results)
    assert one.what == "12 recordings in train and in test: data.split is random"
    assert "linear top-1 90.0% here, 70.0% on the split that keeps recordings apart" in one.why
    assert "retrieval R@1 90.0% here, 60.0% on the split" in one.why
    del results.linear["mofore"]["grouped_top1"], results.knn["mofore"]["grouped_r_at_1"]
    (one,) = cautions(results)
    assert "same encoder" not in one.why, "no labels: nothing to compare"


def test_the_random_split_of_videos_without_groups() -> None:
    results = make_results()
    results.random_split = True
    assert titles(results) == ["data.split is random"]


@pytest.mark.parametrize(("slow", "warned"), [(25.0, False), (24.9, True), (0.0, False)])
def test_frame_rates_that_differ_by_more_than_a_fifth(slow: float, warned: bool) -> None:
    results = make_results()
    results.videos["fps"] = [slow, 30.0]
    wanted = [f"Frame rates from {slow:g} to 30 per second"] if warned else []
    assert titles(results) == wanted
    results.videos["frames"] = [0, 9]
    assert titles(results) == [], "a video that cannot be used"


@pytest.mark.parametrize("row", CONTROLS)
def test_control_that_is_better_or_may_be(row: str) -> None:
    results = make_results()
    for low, high, words in (
        (-0.2, -TINY, "is beaten by"),
        (-0.2, 0, "does not clearly beat"),
        (0, 0.2, "does not clearly beat"),
    ):
        results.knn[row] |= {"lead_low": low, "lead_high": high}
        (one,) = cautions(results)
        assert one.what == f"MoFore {words} {ROW_NAMES[row]}"
        assert "retrieval R@1" in one.why
        assert "linear" not in one.why
    results.knn[row] |= {"lead_low": TINY}
    assert titles(results) == []


def test_warning_explains_an_unbeaten_control() -> None:
    results = make_results()
    results.knn["mofore_shuffled"] |= {"lead_low": -0.1, "lead_high": 0.1}
    results.linear["mofore_still"] |= {"lead_low": -0.1, "lead_high": 0.1}
    order, motion = cautions(results)
    assert "the order of frames is not used" in order.why
    assert "motion is not used" in motion.why


def test_control_that_wins_one_score_and_is_undecided_in_another_gives_both_warnings() -> None:
    results = make_results()
    results.linear["metadata"] |= {"lead_low": -0.2, "lead_high": 0.1}
    results.knn["metadata"] |= {"lead_low": -0.2, "lead_high": -0.1}
    assert titles(results) == ["MoFore is beaten by file metadata", "MoFore does not clearly beat file metadata"]


def test_harm_by_training() -> None:
    results = make_results()
    results.linear["shipped"] = with_intervals(top1=0.9, lead=0.0)
    results.knn["shipped"] = with_intervals(r_at_1=0.95, lead=-0.05)
    (one,) = cautions(results)
    assert one.what == "Training on these videos has harmed the shipped encoder"
    assert "retrieval R@1 from 95.0% to 90.0%, -5.0 points (-7.0 to -3.0), worse" in one.why
    assert "mofore embed PATH --encoder shipped" in one.why
    results.knn["shipped"] |= {"lead_high": 0.0}
    assert titles(results) == [], "not beyond doubt"


@pytest.mark.parametrize(("file", "name"), [("linear", "top1"), ("knn", "r_at_1")])
def test_chance(file: str, name: str) -> None:
    results = make_results()
    scores = getattr(results, file)["mofore"]
    scores |= {f"{name}_low": 0.5}  # two classes with the same number of videos
    assert any("chance" in what for what in titles(results))
    scores |= {f"{name}_low": 0.5 + TINY}
    assert titles(results) == []


@pytest.mark.parametrize(
    ("name", "threshold", "words"),
    [
        ("skill_persistence", 0, "do not clearly beat persistence"),
        ("skill_climatology", 0, "do not clearly beat climatology"),
        ("gap_use", 0.01, "hardly uses the gap"),
    ],
)
def test_forecasts(name: str, threshold: float, words: str) -> None:
    results = make_results()
    results.forecast["mofore"] |= {f"{name}_low": threshold}
    (what,) = titles(results)
    assert words in what
    results.forecast["mofore"] |= {f"{name}_low": threshold + TINY}
    assert titles(results) == []


def test_warning_says_whether_forecasts_are_worse_or_undecided() -> None:
    results = make_results()
    for high, words in ((-TINY, "are worse than persistence"), (0, "do not clearly beat persistence")):
        results.forecast["mofore"] |= {"skill_persistence_low": -0.2, "skill_persistence_high": high}
        assert titles(results) == [f"The forecasts {words}"]


def test_silhouette_by_group_above_that_by_class() -> None:
    results = make_results()
    results.structure["mofore"] |= {"silhouette_group": 0.3 + TINY}
    assert titles(results) == ["Videos lie closer by group than by class"]
    results.structure["mofore"] |= {"silhouette_group": 0.3}
    assert titles(results) == []


def test_few_groups_and_few_videos() -> None:
    results = make_results()
    results.embedded = make_videos(groups=9)
    assert titles(results) == ["Too few groups for a claim: 9 held-out groups"]
    results.embedded = make_videos(groups=10, videos=99)
    assert titles(results) == ["Few test videos: 99"]


def test_small_lead_of_one_run() -> None:
    results = make_results()
    results.linear["motion"] |= {"lead": 0.03 - TINY, "lead_low": 0.01}
    (what,) = titles(results)
    assert "one run" in what
    results.linear["motion"] |= {"lead": 0.03}
    assert titles(results) == []
    results.linear["shipped"] = with_intervals(0.01, top1=0.88, lead=0.02)
    results.knn["shipped"] = with_intervals(0.01, r_at_1=0.8, lead=0.1)
    (one,) = cautions(results)
    assert one.why.startswith("shipped encoder: linear top-1 88.0% against MoFore's 90.0%")


def test_unlabelled_videos() -> None:
    results = make_results()
    results.embedded.label[:2] = ""
    assert titles(results) == ["2 videos without a label"]
    results.linear = {row: {} for row in results.linear}
    results.knn = {row: {} for row in results.knn}
    results.embedded.label = np.full_like(results.embedded.label, "")
    assert titles(results) == ["No labels to score with"]


def test_unusable_videos() -> None:
    results = make_results()
    results.videos["status"] = ["unreadable", "truncated"]
    results.too_short = pd.DataFrame({"video": ["c"], "frames": [3], "reason": ["short"]})
    assert titles(results) == ["1 video could not be read", "1 video could be read in part only", "1 video too short"]


def test_most_serious_warning_comes_first() -> None:
    results = make_results()
    results.videos["status"] = ["unreadable", "ok"]
    results.embedded = make_videos(groups=3)
    results.linear["metadata"] |= {"lead_low": -0.2, "lead_high": -0.1}
    results.pretrain["effective_rank"] = 1.0
    words = ["collapsed", "is beaten by", "Too few groups", "could not be read"]
    assert all(word in what for word, what in zip(words, titles(results), strict=True))
