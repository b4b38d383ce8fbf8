"""Forecast skill: forecasters whose skill is known, gap bins, intervals, and scores that are not defined."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mofore.evaluation.bootstrap import RESAMPLES, group_interval
from mofore.evaluation.forecast_pairs import COLUMNS, score_pairs
from mofore.evaluation.forecast_skill import ACCURACY_SERIES, SKILL_SERIES, by_gap, gap_bins, ratios, summary
from tests.helpers.forecast_world import SPAN, TRAINED, Floats, Ints, P, world


def test_a_perfect_forecaster() -> None:
    pairs = world().pairs("oracle")
    scores = summary(pairs, TRAINED)
    for name in ("skill_persistence", "skill_climatology", "accuracy_videos", "accuracy_moments"):
        assert [scores[name + end] for end in ("", "_low", "_high")] == pytest.approx([1, 1, 1], abs=1e-6)
    assert scores["gap_use"] == pytest.approx(1, abs=1e-6)
    assert scores["skill_shuffled_gap"] < 0.5
    skill, accuracy = by_gap(pairs, 4, TRAINED)
    assert skill[skill.series != "against persistence, with a shuffled gap"].skill.to_numpy() == pytest.approx(1)
    assert accuracy[~accuracy.series.str.endswith("persistence")].share.to_numpy() == pytest.approx(1)


def test_persistence_as_the_forecaster() -> None:
    pairs = world().pairs("persistence")
    scores = summary(pairs, TRAINED)
    for name in ("skill_persistence", "skill_shuffled_gap", "gap_use"):
        assert [scores[name + end] for end in ("", "_low", "_high")] == pytest.approx([0, 0, 0], abs=1e-6)
    assert scores["accuracy_videos"] == scores["accuracy_videos_persistence"]
    assert pairs.moment.equals(pairs.moment_persistence)


@pytest.mark.slow
@given(st.lists(st.floats(-1, 1), min_size=P, max_size=P).filter(lambda x: max(map(abs, x)) > 0.1))
@settings(max_examples=25, deadline=None)
def test_no_constant_beats_climatology(constant: list[float]) -> None:
    """For still videos, all of them in train: then the climatology is the mean of the futures that are scored."""
    w = world(drift=0, clips=2, step=SPAN)
    w.videos.split[:] = "train"

    def always(_: Floats, context_N: Ints, gap_N: Ints) -> Floats:
        return np.tile(np.array(constant, np.float32), (len(gap_N), 1))

    pairs = score_pairs(w.features, w.targets, w.videos, always, SPAN, seed=0)
    assert summary(pairs, TRAINED)["skill_climatology"] <= 1e-6


def test_climatology_has_no_skill_against_itself() -> None:
    pairs = world().pairs()
    scores = summary(pairs.assign(forecast=pairs.climatology), TRAINED)
    assert [scores["skill_climatology" + end] for end in ("", "_low", "_high")] == pytest.approx([0, 0, 0])


@pytest.mark.parametrize("seed", range(3))
def test_random_forecasts_have_accuracy_at_chance(seed: int) -> None:
    w = world(n_videos=200, groups=50, seed=seed)
    rng = np.random.default_rng(seed)

    def random(_: Floats, context_N: Ints, gap_N: Ints) -> Floats:
        return rng.normal(size=(len(gap_N), P)).astype(np.float32)

    scores = summary(score_pairs(w.features, w.targets, w.videos, random, SPAN, seed=0), TRAINED)
    for name in ("accuracy_videos", "accuracy_moments"):
        assert scores[f"{name}_low"] < scores[f"{name}_chance"] < scores[f"{name}_high"]
    assert scores["skill_persistence"] < 0
    assert scores["skill_climatology"] < 0
    assert scores["gap_use_low"] < 0 < scores["gap_use_high"]


def test_a_forecaster_that_ignores_the_gap_has_no_gap_use() -> None:
    """It ignores the gap, so it makes the same forecast for all futures of a context: accuracy is at chance."""
    w = world()

    def ignoring(features_KD: Floats, context_N: Ints, gap_N: Ints) -> Floats:
        return w.persistence(features_KD, context_N, gap_N)[:, ::-1] + features_KD[context_N][:, :1]

    scores = summary(score_pairs(w.features, w.targets, w.videos, ignoring, SPAN, seed=0), TRAINED)
    assert scores["skill_shuffled_gap"] == scores["skill_persistence"]
    assert scores["gap_use"] == scores["gap_use_low"] == scores["gap_use_high"] == 0
    assert scores["accuracy_moments"] == pytest.approx(scores["accuracy_moments_chance"])


def test_series_are_in_order_of_the_gap_and_within_their_intervals() -> None:
    skill, accuracy = by_gap(world(n_videos=200, groups=50).pairs(), 5, TRAINED)
    rising = skill[skill.series == "against persistence"]
    assert rising.gap.is_monotonic_increasing
    assert (rising.low <= rising.skill).all()
    assert (rising.skill <= rising.high).all()
    for series in ACCURACY_SERIES:
        assert accuracy[accuracy.series == series].gap.tolist() == rising.gap.tolist()
    assert list(skill.series.unique()) == list(SKILL_SERIES)
    assert list(accuracy.series.unique()) == list(ACCURACY_SERIES)


def test_scores_by_gap_are_ratios_of_means_in_the_bins() -> None:
    pairs = world().pairs()
    bin_N = gap_bins(pairs.gap.to_numpy(), 4, TRAINED)
    skill, accuracy = by_gap(pairs, 4, TRAINED)
    means = pairs.groupby(bin_N).mean(numeric_only=True)
    expected = 1 - means.forecast / means.persistence
    assert skill[skill.series == "against persistence"].skill.to_numpy() == pytest.approx(expected.to_numpy())
    moments = accuracy[accuracy.series == "among other moments of the video"]
    scored = pairs[pairs.moment_scored == 1].groupby(bin_N[pairs.moment_scored == 1]).mean(numeric_only=True)
    assert moments.share.to_numpy() == pytest.approx(scored.moment.to_numpy())
    assert moments.chance.to_numpy() == pytest.approx(scored.moment_chance.to_numpy())


def test_videos_too_short_for_two_clips_give_no_scores() -> None:
    w = world(clips=1)
    pairs = w.pairs()
    assert list(pairs) == ["group", "gap", *COLUMNS]
    assert summary(pairs, TRAINED) == {}
    skill, accuracy = by_gap(pairs, 10, TRAINED)
    assert len(skill) == len(accuracy) == 0
    assert list(skill) == ["series", "gap", "skill", "low", "high", "trained"]
    assert list(accuracy) == ["series", "gap", "share", "low", "high", "chance", "trained"]


def test_one_group_has_no_other_videos_and_no_spread() -> None:
    w = world()
    w.videos.group[:] = "all"
    w.videos.split[:] = "test"
    pairs = w.pairs()
    scores = summary(pairs, TRAINED)
    assert not any(name.startswith("accuracy_videos") for name in scores)
    assert scores["skill_persistence_low"] == pytest.approx(scores["skill_persistence"])
    assert scores["accuracy_moments_high"] == pytest.approx(scores["accuracy_moments"])
    accuracy = by_gap(pairs, 4, TRAINED)[1]
    assert not accuracy.series.str.contains("other videos").any()


@pytest.mark.parametrize("rounding", [0, 1e-7])
def test_equal_targets_give_no_skill_and_accuracy_at_chance(rounding: float) -> None:
    w = world()
    x_ND = 1 + rounding * np.random.default_rng(0).normal(size=w.targets.x_ND.shape)
    w.targets = replace(w.targets, x_ND=x_ND.astype(np.float32))
    w.__post_init__()
    pairs = w.pairs()
    scores = summary(pairs, TRAINED)
    assert not any(name.startswith(("skill", "gap_use")) for name in scores)
    for name in ("accuracy_videos", "accuracy_moments"):
        assert scores[name] == pytest.approx(scores[f"{name}_chance"])
    assert len(by_gap(pairs, 4, TRAINED)[0]) == 0


@given(
    gaps=st.lists(st.integers(0, 40), min_size=1, max_size=200),
    bins=st.integers(1, 20),
    ends=st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted),
)
def test_gap_bins_are_in_order_and_never_cross_the_range_of_training(
    gaps: list[int], bins: int, ends: list[int]
) -> None:
    gap_N, (low, high) = np.array(gaps), ends
    bin_N = gap_bins(gap_N, bins, replace(TRAINED, gap_min=low, gap_max=high))
    assert set(bin_N) == set(range(bin_N.max() + 1))
    assert bin_N.max() + 1 <= bins + 2
    in_order = bin_N[np.argsort(gap_N, kind="stable")]
    assert (np.diff(in_order) >= 0).all()
    trained = (gap_N >= low) & (gap_N <= high)
    for number in set(bin_N):
        assert len(set(trained[bin_N == number])) == 1
    for gap in set(gaps):
        assert len(set(bin_N[gap_N == gap])) == 1


def test_gap_bins_hold_about_equal_numbers() -> None:
    rng = np.random.default_rng(0)
    wide = replace(TRAINED, gap_min=0, gap_max=10_000)
    assert np.bincount(gap_bins(rng.permutation(1000), 10, wide)).tolist() == pytest.approx([100] * 10, abs=1)
    halves = gap_bins(rng.permutation(1000), 10, replace(TRAINED, gap_min=0, gap_max=699))
    assert np.bincount(halves).tolist() == pytest.approx([100] * 10, abs=1)


def test_bins_of_gaps_that_training_had_are_marked() -> None:
    skill, accuracy = by_gap(world(clips=10).pairs(), 6, TRAINED)
    for table in (skill, accuracy):
        assert set(table.trained) == {True, False}
        assert (table.trained == table.gap.between(TRAINED.gap_min, TRAINED.gap_max)).all()
    pairs = world(clips=10).pairs()
    assert summary(pairs, TRAINED)["trained"] == pytest.approx(((pairs.gap >= 2) & (pairs.gap <= 12)).mean())


def test_ratios_are_those_of_a_plain_bootstrap_over_groups() -> None:
    rng = np.random.default_rng(0)
    top, bottom = rng.random((2, 60, 2))
    group, bin_of = rng.integers(0, 7, 60), rng.integers(0, 2, 60)
    found = ratios(top, bottom, bin_of, group.astype(str))
    draws = np.random.default_rng(0).multinomial(7, np.full(7, 1 / 7), size=RESAMPLES)
    for b in range(2):
        for s in range(2):
            rows = [i for i in range(60) if bin_of[i] == b]
            drawn = []
            for times in draws:
                above = sum(times[group[i]] * top[i, s] for i in rows)
                drawn.append(above / sum(times[group[i]] * bottom[i, s] for i in rows))
            expected = [top[rows, s].sum() / bottom[rows, s].sum(), *np.quantile(drawn, (0.025, 0.975))]
            assert found[b, s] == pytest.approx(expected)


def test_a_mean_is_a_ratio_with_denominators_one() -> None:
    rng = np.random.default_rng(1)
    value, group = rng.random(50), rng.integers(0, 9, 50).astype(str)
    found = ratios(value[:, None], np.ones((50, 1)), np.zeros(50, int), group)
    assert found[0, 0] == pytest.approx(group_interval(value, group))


def test_a_ratio_with_denominator_zero_is_not_defined() -> None:
    """In the first bin always; in the second bin only in resamples that drew group a alone."""
    top, bottom = np.ones((4, 1)), np.array([[0.0], [0.0], [0.0], [2.0]])
    found = ratios(top, bottom, np.array([0, 0, 1, 1]), np.array(["a", "b", "a", "b"]))
    assert np.isnan(found[0, 0]).all()
    assert found[1, 0].tolist() == [1, 0.5, 1]


def test_the_use_of_the_gap_is_not_scored_where_the_predictor_does_not_get_it() -> None:
    pairs = pd.DataFrame({"group": ["a", "b"] * 10, "gap": np.arange(20)}).assign(
        **{column: np.linspace(0.1, 1, 20) for column in COLUMNS}
    )
    for conditioning, scored in (("gap", True), ("shuffled", True), ("none", False)):
        trained = replace(TRAINED, gap_conditioning=conditioning)
        found = summary(pairs, trained)
        assert {name in found for name in ("gap_use", "gap_use_low", "skill_shuffled_gap")} == {scored}
        assert "skill_persistence" in found
        skill, _ = by_gap(pairs, 3, trained)
        assert ("against persistence, with a shuffled gap" in set(skill.series)) == scored
