"""Forecasts of pairs of clips: errors and correct answers against a slow reference, and which clips are paired."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mofore.embedding.store import ClipEmbeddings
from mofore.evaluation.forecast_pairs import MOST_CLIPS, score_pairs
from tests.helpers.forecast_world import SPAN, Floats, Ints, World, world


def by_definition(w: World) -> pd.DataFrame:
    """The table of pairs of the `vague` forecaster in plain loops, without columns that depend on a random draw."""
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
                        "moment_scored": float(not alone),
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
def test_candidates_are_futures_of_other_groups(seed: int) -> None:
    """With one pair a video nothing is random: each video of another group has one future, and all are candidates."""
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


def test_at_most_99_other_videos_are_candidates() -> None:
    assert set(world(n_videos=300, groups=30).pairs().video_chance) == {1 / 100}


def test_one_future_of_each_other_video_is_drawn() -> None:
    w = world(drift=2)
    assert set(w.pairs().video_chance) == {1 / 10}  # all 9 of other groups
    assert not w.pairs(seed=1).video_persistence.equals(w.pairs().video_persistence)
    assert w.pairs(seed=1).forecast.equals(w.pairs().forecast)


def test_a_shuffled_gap_is_that_of_another_pair() -> None:
    w = world()
    gaps: list[Ints] = []

    def recording(features_KD: Floats, context_N: Ints, gap_N: Ints) -> Floats:
        gaps.append(gap_N)
        return w.persistence(features_KD, context_N, gap_N)

    pairs = score_pairs(w.features, w.targets, w.videos, recording, SPAN, seed=0)
    true, shuffled = np.concatenate(gaps[::2]), np.concatenate(gaps[1::2])
    assert true.tolist() == pairs.gap.tolist()
    assert sorted(shuffled) == sorted(true)
    assert (shuffled != true).mean() > 0.5


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


def test_of_many_clips_a_uniform_subset_is_used() -> None:
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
