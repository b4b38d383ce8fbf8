"""The verdict and the claims, tested with numbers on both sides of each threshold."""

import numpy as np
import pytest

from mofore.embedding.streams import StreamChoice
from mofore.report.claims import Claim, chance, claims, verdict
from mofore.report.comparisons import with_controls
from mofore.report.results import ROW_NAMES, Results
from mofore.report.training_gain import training_gain
from tests.helpers.made_results import CONTROLS, make_results, make_videos, with_intervals

TINY = 1e-9
BEATS_CONTROLS, MOTION, FORECASTS, STABLE, CLASS_CLUSTERS = range(5)  # indices in the list of claims


def claim(results: Results, index: int) -> Claim:
    return claims(results)[index]


def test_every_claim_holds_for_good_results() -> None:
    results = make_results()
    assert [one.answer for one in claims(results)] == ["yes"] * 5
    first, *rest = verdict(results)
    assert first.startswith("MoFore is clearly better than all 7 controls")
    assert "90% (88% to 92%) of 100 held-out videos" in rest[0]
    assert "by chance 50%" in rest[0]
    assert "are closer to the true future" in rest[1]


@pytest.mark.parametrize("row", CONTROLS)
@pytest.mark.parametrize("measure", ["linear", "knn"])
def test_a_control_that_wins_is_named_in_the_first_sentence(row: str, measure: str) -> None:
    results = make_results()
    scores = getattr(results, measure)[row]
    scores |= {"lead": -0.1, "lead_low": -0.2, "lead_high": -TINY}
    assert verdict(results)[0].startswith(f"MoFore is beaten by a control: {ROW_NAMES[row]} (")
    assert claim(results, BEATS_CONTROLS).answer == "no"
    scores |= {"lead_high": 0.0}
    assert verdict(results)[0].startswith(f"MoFore is not clearly better than a control: {ROW_NAMES[row]} (")
    assert claim(results, BEATS_CONTROLS).answer == "not clear"
    scores |= {"lead": 0.1, "lead_low": TINY, "lead_high": 0.2}
    assert verdict(results)[0].startswith("MoFore is clearly better")
    assert claim(results, BEATS_CONTROLS).answer == "yes"


def test_verdict_names_every_control_that_wins_and_no_undecided_one() -> None:
    results = make_results()
    results.linear["metadata"] |= {"top1": 0.97, "lead_low": -0.2, "lead_high": -0.1}
    results.knn["motion"] |= {"r_at_1": 0.96, "lead_low": -0.2, "lead_high": -0.1}
    results.knn["appearance"] |= {"lead_low": -0.2, "lead_high": 0.1}
    first = verdict(results)[0]
    assert "beaten by 2 controls" in first
    assert "file metadata (linear top-1 97% against MoFore's 90%)" in first
    assert "hand-made motion (retrieval R@1 96% against MoFore's 90%)" in first
    assert ROW_NAMES["appearance"] not in first


@pytest.mark.parametrize("lead", [-0.5, 0.5])
def test_a_control_that_is_the_same_for_all_videos_is_not_compared_with(lead: float) -> None:
    """As stills are where the input is frame differences: they are all 0."""
    results = make_results()
    for scores in (results.linear, results.knn):
        scores["mofore_still"] |= {"constant": 1.0, "lead": lead, "lead_low": lead, "lead_high": lead}
    assert "mofore_still" not in [c.row for c in with_controls(results)]
    assert verdict(results)[0].startswith("MoFore is clearly better than all 6 controls")
    motion = next(one for one in claims(results) if "goes by motion" in one.claim)
    assert motion.claim == "Retrieval goes by motion: it is worse from shuffled frames and by look alone"
    assert motion.answer == "yes"


def test_no_verdict_by_controls_if_all_are_the_same_for_all_videos() -> None:
    """As with black videos."""
    results = make_results()
    for scores in (results.linear, results.knn):
        for row in CONTROLS:
            scores[row] |= {"constant": 1.0}
    assert verdict(results)[0].startswith("No control differs from video to video")


def test_supervised_training_is_a_ceiling_not_a_control() -> None:
    results = make_results()
    assert results.linear["supervised"]["lead_high"] < 0
    assert "supervised" not in {one.row for one in with_controls(results)}
    assert verdict(results)[0].startswith("MoFore is clearly better")


@pytest.mark.parametrize(
    ("row", "counts"), [(row, row in ("mofore_shuffled", "mofore_still", "appearance")) for row in CONTROLS]
)
def test_motion_claim_compares_with_representations_without_motion(row: str, counts: bool) -> None:
    results = make_results()
    results.knn[row] |= {"lead_low": -0.2, "lead_high": -0.1}
    assert claim(results, MOTION).answer == ("no" if counts else "yes")


@pytest.mark.parametrize("name", ["skill_persistence", "skill_climatology"])
def test_forecasts_must_beat_both_references(name: str) -> None:
    results = make_results()
    for low, high, answer in ((TINY, 1.0, "yes"), (0.0, 1.0, "not clear"), (-1.0, -TINY, "no")):
        results.forecast["mofore"] |= {f"{name}_low": low, f"{name}_high": high}
        assert claim(results, FORECASTS).answer == answer


@pytest.mark.parametrize(
    ("low", "high", "words"), [(TINY, 1, "are closer"), (0, 1, "are not clearly closer"), (-1, -TINY, "are less close")]
)
def test_verdict_mentions_the_forecasts(low: float, high: float, words: str) -> None:
    results = make_results()
    results.forecast["mofore"] |= {"skill_persistence_low": low, "skill_persistence_high": high}
    assert words in verdict(results)[-1]


def test_stability_must_exceed_that_before_training() -> None:
    results = make_results()
    for before, answer in ((3.0 - TINY, "yes"), (3.0, "no")):
        results.temporal["random_init"]["margin_in_sd"] = before
        assert claim(results, STABLE).answer == answer
    results = make_results()
    for low, high, answer in ((TINY, 0.1, "yes"), (0.0, 0.1, "not clear"), (-0.1, -TINY, "no")):
        results.temporal["mofore"] |= {"margin_low": low, "margin_high": high}
        assert claim(results, STABLE).answer == answer


@pytest.mark.parametrize(("rank", "spread", "answer"), [(5, 0.25, "yes"), (4.9, 0.25, "no"), (5, 0.24, "no")])
def test_a_collapsed_encoder_is_not_stable(rank: float, spread: float, answer: str) -> None:
    results = make_results()
    results.temporal["mofore"] |= {"effective_rank": rank, "spread": spread}
    assert claim(results, STABLE).answer == answer


def test_class_clusters_must_beat_random_weights_and_groups() -> None:
    results = make_results()
    mofore, random = results.structure["mofore"], results.structure["random_init"]
    for before, answer in (
        (mofore["silhouette_class_low"] - TINY, "yes"),
        (0.3, "not clear"),
        (0.4, "no"),
        (-0.1, "yes"),
    ):
        random["silhouette_class"] = before
        assert claim(results, CLASS_CLUSTERS).answer == answer
    for by_group, answer in ((0.3 - TINY, "yes"), (0.3, "no")):
        mofore["silhouette_group"] = by_group
        assert claim(results, CLASS_CLUSTERS).answer == answer
    del mofore["silhouette_group"]
    assert claim(results, CLASS_CLUSTERS).answer == "yes", (
        "the silhouette by group is absent if every group has one video"
    )


@pytest.mark.parametrize(("groups", "settled"), [(9, False), (10, True)])
def test_verdict_is_not_settled_with_few_groups(groups: int, settled: bool) -> None:
    results = make_results()
    results.embedded = make_videos(groups=groups)
    assert ("not settled" not in verdict(results)[0]) == settled


@pytest.mark.parametrize(("rank", "spread", "mentioned"), [(4.9, 0.8, True), (5, 0.25, False), (40, 0.24, True)])
def test_verdict_mentions_a_collapse(rank: float, spread: float, mentioned: bool) -> None:
    results = make_results()
    results.pretrain |= {"effective_rank": rank, "spread": spread}
    assert ("The training collapsed." in verdict(results)) == mentioned


def test_claims_about_classes_are_not_measured_without_labels() -> None:
    results = make_results()
    results.linear = {row: {} for row in results.linear}
    results.knn = {row: {} for row in results.knn}
    results.embedded.label = np.full_like(results.embedded.label, "")
    for scores in results.structure.values():
        del scores["silhouette_class"]
    assert [one.answer for one in claims(results)] == ["not measured", "not measured", "yes", "yes", "not measured"]
    assert verdict(results)[0].startswith("No verdict")
    assert chance(results.embedded) == {}


def test_claims_about_time_are_not_measured_without_pairs_of_clips() -> None:
    results = make_results()
    results.forecast = {"mofore": {}}
    for scores in results.temporal.values():
        del scores["margin"], scores["margin_in_sd"]
    assert [claim(results, index).answer for index in (FORECASTS, STABLE)] == ["not measured"] * 2
    assert verdict(results)[-1] == "Its forecasts could not be scored."


def test_chance_is_the_accuracy_of_guessing() -> None:
    videos = make_videos(classes=4, videos=400, train=800)
    train = np.flatnonzero(videos.split == "train")
    videos.label[train[: len(train) // 2]] = "class1"  # now by far the most common one
    scores = chance(videos)
    train_label, test_label = videos.labelled("train").label, videos.labelled("test").label
    rng = np.random.default_rng(0)
    guessed = rng.choice(train_label, (2000, len(test_label)))
    assert scores["r_at_1"] == pytest.approx((guessed == test_label).mean(), abs=0.005)
    assert scores["top1"] == (test_label == "class1").mean()


def test_the_verdict_says_what_training_has_made_of_the_shipped_encoder() -> None:
    results = make_results()
    results.streams = StreamChoice([0], 1.8)
    results.linear["shipped"] = with_intervals(top1=0.897, lead=0.003)
    results.knn["shipped"] = with_intervals(r_at_1=0.6, lead=0.3)
    first, second, *_, streams, _ = verdict(results)
    assert first.startswith("MoFore is clearly better than all 7 controls"), "a start is no control"
    assert second == str(training_gain(results))
    assert streams == "The embeddings have motion alone: the streams agree only 1.8 times as often as by chance."


def test_harm_by_training_comes_first() -> None:
    results = make_results()
    results.embedded = make_videos(groups=9)
    results.linear["shipped"] = with_intervals(top1=0.95, lead=-0.05)
    results.knn["shipped"] = with_intervals(r_at_1=0.6, lead=0.3)
    first, second, *_ = verdict(results)
    assert first == f"{training_gain(results)} With 9 held-out groups, that is not settled."
    assert second.startswith("MoFore is clearly better than all 7 controls")
