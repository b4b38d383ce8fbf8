"""Forecast skill: against its definition, and of forecasters whose skill is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mofore.embedding.store import ClipEmbeddings
from mofore.evaluation.forecast_skill import MOST_CLIPS, by_gap, score_pairs, summary
from tests.helpers.forecast_world import SPAN, TRAINED, Floats, Ints, P, World, world


def by_definition(w: World) -> pd.DataFrame:
    """Sample by pair, in plain loops: errors and picks among moments, of the vague forecaster."""
    split, group = (dict(zip(w.videos.video, column, strict=True)) for column in (w.videos.split, w.videos.group))
    unit_rows = [target / np.linalg.norm(target) for target in w.targets.x_ND]
    clips: dict[str, list[tuple[int, Floats]]] = {}
    for video, start, target in zip(w.targets.video, w.targets.start, unit_rows, strict=True):
        clips.setdefault(str(video), []).append((int(start), target))
    train = [target for video in clips if split[video] == "train" for _, target in clips[video]]
    mean = np.mean(train, axis=0)

    rows = []
    for video in sorted(clips):
        if split[video] != "test":
            continue
        for start, now in clips[video]:
            later = [(s, target) for s, target in clips[video] if s >= start + SPAN]
            for future_start, future in later:
                forecast = 3 * future + 2 * now
                forecast = forecast / np.linalg.norm(forecast)
                nearest = max(later, key=lambda other: float(forecast @ other[1]))[0]
                nearest_now = max(later, key=lambda other: float(now @ other[1]))[0]
                alone = len(later) == 1
                rows.append(
                    {
                        "group": group[video],
                        "gap": future_start - start - SPAN,
                        "forecast": 2 - 2 * float(forecast @ future),
                        "persistence": 2 - 2 * float(now @ future),
                        "climatology": float(((future - mean) ** 2).sum()),
                        "moment": float(nearest == future_start and not alone),
                        "moment_persistence": float(nearest_now == future_start and not alone),
                        "moment_chance": 0.0 if alone else 1 / len(later),
                        "moment_open": float(not alone),
                    }
                )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_scored_as_defined(seed: int) -> None:
    w = world(seed=seed)
    expected = by_definition(w)
    found = w.pairs()
    assert len(expected) == 12 * 10
    pd.testing.assert_frame_equal(found[list(expected)], expected, check_dtype=False, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_futures_are_picked_among_those_of_other_groups(seed: int) -> None:
    """With one pair a video, nothing is random: all videos of other groups give their only future."""
    w = world(clips=2, step=SPAN, n_videos=40, drift=2.0, seed=seed)
    found = w.pairs()
    test = np.flatnonzero(w.videos.split == "test")
    now, future = ([w.of_clip[int(v), int(w.features.start[2 * v + k])] for v in test] for k in (0, 1))
    group = w.videos.group[test]
    for row in range(len(test)):
        others = [future[other] for other in range(len(test)) if group[other] != group[row]]
        for column, guess in (("video", 3 * future[row] + 2 * now[row]), ("video_persistence", now[row])):
            assert found[column][row] == all(guess @ other < guess @ future[row] for other in others)
        assert found.video_chance[row] == 1 / (1 + len(others))
    assert 0 < found.video_persistence.mean() < 1


def test_the_other_videos_are_at_most_99() -> None:
    assert set(world(n_videos=300, groups=30).pairs().video_chance) == {1 / 100}


def test_one_future_of_each_other_video_is_taken_at_random() -> None:
    w = world(drift=2)
    assert set(w.pairs().video_chance) == {1 / 10}  # all 9 of other groups
    assert not w.pairs(seed=1).video_persistence.equals(w.pairs().video_persistence)
    assert w.pairs(seed=1).forecast.equals(w.pairs().forecast)


def test_a_wrong_gap_is_that_of_another_pair() -> None:
    w = world()
    told: list[Ints] = []

    def deaf(features_KD: Floats, context_N: Ints, gap_N: Ints) -> Floats:
        told.append(gap_N)
        return w.persistence(features_KD, context_N, gap_N)

    pairs = score_pairs(w.features, w.targets, w.videos, deaf, SPAN, seed=0)
    right, wrong = np.concatenate(told[::2]), np.concatenate(told[1::2])
    assert right.tolist() == pairs.gap.tolist()
    assert sorted(wrong) == sorted(right)
    assert (wrong != right).mean() > 0.5


def test_a_perfect_forecaster() -> None:
    pairs = world().pairs("oracle")
    scores = summary(pairs, TRAINED)
    for name in ("skill_persistence", "skill_climatology", "accuracy_videos", "accuracy_moments"):
        assert [scores[name + end] for end in ("", "_low", "_high")] == pytest.approx([1, 1, 1], abs=1e-6)
    assert scores["gap_use"] == pytest.approx(1, abs=1e-6)
    assert scores["skill_shuffled_gap"] < 0.5
    skill, picked = by_gap(pairs, 4, TRAINED)
    assert skill[skill.series != "against persistence, with a shuffled gap"].skill.to_numpy() == pytest.approx(1)
    assert picked[~picked.series.str.endswith("persistence")].share.to_numpy() == pytest.approx(1)


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
    """Of still videos, none held out: then climatology is the mean of the very futures that are scored."""
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
def test_random_forecasts_pick_at_chance(seed: int) -> None:
    w = world(n_videos=200, groups=50, seed=seed)
    rng = np.random.default_rng(seed)

    def wild(_: Floats, context_N: Ints, gap_N: Ints) -> Floats:
        return rng.normal(size=(len(gap_N), P)).astype(np.float32)

    scores = summary(score_pairs(w.features, w.targets, w.videos, wild, SPAN, seed=0), TRAINED)
    for name in ("accuracy_videos", "accuracy_moments"):
        assert scores[f"{name}_low"] < scores[f"{name}_chance"] < scores[f"{name}_high"]
    assert scores["skill_persistence"] < 0
    assert scores["skill_climatology"] < 0
    assert scores["gap_use_low"] < 0 < scores["gap_use_high"]


def test_a_forecaster_deaf_to_the_gap_is_found_out() -> None:
    """Told any gap, it forecasts the same. Then it picks one and the same for all futures of a context: chance."""
    w = world()

    def deaf(features_KD: Floats, context_N: Ints, gap_N: Ints) -> Floats:
        return w.persistence(features_KD, context_N, gap_N)[:, ::-1] + features_KD[context_N][:, :1]

    scores = summary(score_pairs(w.features, w.targets, w.videos, deaf, SPAN, seed=0), TRAINED)
    assert scores["skill_shuffled_gap"] == scores["skill_persistence"]
    assert scores["gap_use"] == scores["gap_use_low"] == scores["gap_use_high"] == 0
    assert scores["accuracy_moments"] == pytest.approx(scores["accuracy_moments_chance"])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_neither_the_order_of_rows_nor_of_videos_matters(seed: int) -> None:
    w, rng = world(), np.random.default_rng(seed)

    def mixed(clips: ClipEmbeddings) -> ClipEmbeddings:
        order = rng.permutation(len(clips.video))
        return ClipEmbeddings(clips.x_ND[order], clips.video[order], clips.start[order])

    videos = w.videos.rows(rng.permutation(len(w.videos.video)))
    found = score_pairs(mixed(w.features), mixed(w.targets), videos, w.vague, SPAN, seed=0)
    pd.testing.assert_frame_equal(found, w.pairs(), check_exact=True)


def test_clips_that_start_at_the_same_frame_count_once() -> None:
    w = world()

    def twice(clips: ClipEmbeddings) -> ClipEmbeddings:
        return ClipEmbeddings(np.repeat(clips.x_ND, 2, axis=0), np.repeat(clips.video, 2), np.repeat(clips.start, 2))

    found = score_pairs(twice(w.features), twice(w.targets), w.videos, w.vague, SPAN, seed=0)
    pd.testing.assert_frame_equal(found, w.pairs())


def test_of_many_clips_some_are_taken_all_along_the_video() -> None:
    w = world(n_videos=4, groups=4, clips=90, step=SPAN)
    pairs = w.pairs()
    assert len(pairs) == 2 * MOST_CLIPS * (MOST_CLIPS - 1) / 2
    assert pairs.gap.max() > 0.9 * 89 * SPAN
    assert len(world(clips=MOST_CLIPS, step=SPAN).pairs()) == 12 * MOST_CLIPS * (MOST_CLIPS - 1) / 2


@pytest.mark.parametrize("split", ["train", "test"])
def test_without_two_splits_all_videos_are_scored(split: str) -> None:
    w = world()
    w.videos.split[:] = split
    pairs = w.pairs()
    assert len(pairs) == 24 * 10
    mean = np.mean(list(w.of_clip.values()), axis=0)
    futures = [w.of_clip[v, s] for v, s in w.of_clip if s - w.features.start[6 * v] >= SPAN]
    worst = max(float(((future - mean) ** 2).sum()) for future in futures)
    assert pairs.climatology.max() == pytest.approx(worst, abs=1e-5)


def test_videos_without_targets_are_left_out() -> None:
    w = world()
    keep = np.isin(w.targets.video, w.videos.video[:16])
    w.targets = ClipEmbeddings(w.targets.x_ND[keep], w.targets.video[keep], w.targets.start[keep])
    pairs = score_pairs(w.features, w.targets, w.videos, w.vague, SPAN, seed=0)
    assert len(pairs) == 8 * 10
