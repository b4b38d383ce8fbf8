"""Temporal stability on embeddings whose stability is known."""

import numpy as np
import pytest

from mofore.embeddings import ClipEmbeddings, Embeddings
from mofore.temporal import evaluate_temporal

SPAN, STEP, CLIPS = 5, 4, 6


def made(drift: float, n_videos: int = 40, dim: int = 16) -> tuple[ClipEmbeddings, Embeddings]:
    """Each video starts somewhere and walks away from it by `drift` a clip."""
    rng = np.random.default_rng(0)
    start = rng.normal(size=(n_videos, 1, dim))
    x = start + drift * np.cumsum(rng.normal(size=(n_videos, CLIPS, dim)), axis=1)
    name = np.array([f"v{i}" for i in range(n_videos)])
    split = np.array(["test" if i % 4 == 0 else "train" for i in range(n_videos)])
    clips = ClipEmbeddings(
        x.reshape(-1, dim).astype(np.float32), np.repeat(name, CLIPS), np.tile(np.arange(CLIPS) * STEP, n_videos)
    )
    return clips, Embeddings(x.mean(axis=1).astype(np.float32), name, name, name, split)


def test_still_embeddings_are_perfectly_stable() -> None:
    scores, table = evaluate_temporal(*made(drift=0.0), SPAN, bins=5, seed=0)
    assert scores["same_video"] == pytest.approx(1, abs=1e-5)
    assert abs(scores["other_videos"]) < 0.15
    assert scores["margin"] == pytest.approx(scores["same_video"] - scores["other_videos"])
    assert set(table.kind) == {"same video", "other videos"}


def test_drifting_embeddings_lose_similarity_with_the_gap() -> None:
    _, table = evaluate_temporal(*made(drift=0.5), SPAN, bins=5, seed=0)
    same = table[table.kind == "same video"].sort_values("gap")
    assert same.similarity.is_monotonic_decreasing
    assert same.similarity.iloc[0] > same.similarity.iloc[-1] + 0.1


def test_gaps_are_between_clips_that_do_not_overlap() -> None:
    _, table = evaluate_temporal(*made(drift=0.1), SPAN, bins=20, seed=0)
    gaps = sorted(table[table.kind == "same video"].gap)
    possible = {d * STEP - SPAN for d in range(1, CLIPS) if d * STEP >= SPAN}
    assert set(gaps) == possible


def test_an_untrained_sameness_is_taken_off() -> None:
    clips, videos = made(drift=0.3)
    plain, _ = evaluate_temporal(clips, videos, SPAN, 5, seed=0)
    clips.x_ND = clips.x_ND + np.float32(100)
    shifted, _ = evaluate_temporal(clips, videos, SPAN, 5, seed=0)
    assert shifted == pytest.approx(plain, abs=1e-3)


def test_videos_without_room_have_no_same_video_numbers() -> None:
    clips, videos = made(drift=0.1)
    clips.start[:] = 0
    scores, table = evaluate_temporal(clips, videos, SPAN, 5, seed=0)
    assert set(scores) == {"other_videos"}
    assert len(table) == 0
