"""Which streams are embedded: agreement of neighbours across groups, without labels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mofore.embedding import streams
from mofore.embedding.streams import (
    NEIGHBOURS,
    StreamChoice,
    agreement,
    choose_streams,
    read_choice,
    read_embedded_clips,
    write_choice,
)
from tests.helpers.clip_files import write_clip_embeddings

V = 240


def embeddings(class_V: np.ndarray, seed: int, dim: int = 16) -> np.ndarray:
    """Embeddings that cluster by class."""
    rng = np.random.default_rng(seed)
    centre_CD = rng.normal(size=(class_V.max() + 1, dim))
    return (centre_CD[class_V] + 0.3 * rng.normal(size=(len(class_V), dim))).astype(np.float32)


@pytest.fixture
def groups() -> np.ndarray:
    return np.repeat([f"g{i}" for i in range(V // 4)], 4)


def slow_agreement(a: np.ndarray, b: np.ndarray, group: np.ndarray) -> float:
    """The definition, one video at a time."""

    def nearest(x: np.ndarray, v: int) -> set[int]:
        z = (x - x.mean(axis=0)) / x.std(axis=0)
        z /= np.linalg.norm(z, axis=1, keepdims=True)
        others = [u for u in range(len(x)) if group[u] != group[v]]
        return set(sorted(others, key=lambda u: -float(z[u] @ z[v]))[:NEIGHBOURS])

    common = expected = 0.0
    for v in range(len(a)):
        common += len(nearest(a, v) & nearest(b, v))
        expected += NEIGHBOURS**2 / (group != group[v]).sum()
    return common / expected


def test_agreement_is_that_of_its_definition(groups: np.ndarray) -> None:
    class_V = np.arange(V) % 6
    a, b = embeddings(class_V, 1), embeddings(class_V, 2)
    assert agreement(a, b, groups) == pytest.approx(slow_agreement(a, b, groups))


def test_streams_that_see_the_same_classes_agree_and_unrelated_ones_do_not(groups: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    motion, scene = rng.integers(8, size=V), rng.integers(8, size=V)
    assert agreement(embeddings(motion, 1), embeddings(motion, 2), groups) > 4
    assert agreement(embeddings(motion, 1), embeddings(scene, 2), groups) == pytest.approx(1, abs=0.5)


def test_videos_of_one_group_are_no_evidence(groups: np.ndarray) -> None:
    """Clips of one recording look alike and move alike."""
    group = np.unique(groups, return_inverse=True)[1]
    assert agreement(embeddings(group, 1), embeddings(group, 2), groups) == pytest.approx(1, abs=0.6)


def test_of_many_videos_a_sample_is_compared(groups: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    class_V = np.arange(V) % 6
    x_VE = np.concatenate([embeddings(class_V, 1), embeddings(class_V, 2)], axis=1)
    split = pd.Series(["train", "test"] * (V // 2))
    every = choose_streams([x_VE], pd.Series(groups), split, 0).agreement
    monkeypatch.setattr(streams, "MAX_VIDEOS", 100)
    some = choose_streams([x_VE], pd.Series(groups), split, 0).agreement
    assert some != every
    assert some == pytest.approx(every, rel=0.25)
    for block in (1, 7, 100):
        blocks = np.split(x_VE, range(block, V, block))
        assert choose_streams(blocks, pd.Series(groups), split, 0).agreement == some


@pytest.mark.parametrize("related", [True, False])
def test_the_choice_goes_by_training_videos(related: bool, groups: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    motion = rng.integers(8, size=V)
    scene = motion.copy()
    test = np.arange(V) >= V // 2
    changed = ~test if not related else test  # unrelated where it counts, or only where it does not
    scene[changed] = rng.integers(8, size=changed.sum())
    x_VE = np.concatenate([embeddings(motion, 1), embeddings(scene, 2)], axis=1)
    split = pd.Series(np.where(test, "test", "train"))
    choice = choose_streams([x_VE], pd.Series(groups), split, 0)
    assert choice.kept == ([0, 1] if related else [0])
    assert choice.select(x_VE).shape == (V, 32 if related else 16)
    assert ("both" if related else "motion alone") in str(choice)


@pytest.mark.parametrize(("videos", "enough"), [(1, False), (NEIGHBOURS, False), (30, False), (31, True)])
def test_too_few_videos_leave_motion_alone_even_if_the_streams_are_equal(videos: int, enough: bool) -> None:
    x_VD = np.random.default_rng(0).normal(size=(videos, 8)).astype(np.float32)
    group, split = pd.Series([f"g{v}" for v in range(videos)]), pd.Series(["train"] * videos)
    choice = choose_streams([np.concatenate([x_VD, x_VD], axis=1)], group, split, 0)
    assert choice.kept == ([0, 1] if enough else [0])
    assert ("too few videos to tell" in str(choice)) == (not enough)


def test_forecasts_of_both_streams_count_the_same() -> None:
    x_NP = np.array([[3, 4, 0, 0.1]], np.float32)
    np.testing.assert_allclose(StreamChoice([0, 1], 5).select_unit(x_NP), [[0.6, 0.8, 0, 1]], rtol=1e-6)
    np.testing.assert_allclose(StreamChoice([0], 1).select_unit(x_NP), [[0.6, 0.8]], rtol=1e-6)


def test_clips_are_read_with_the_chosen_streams(tmp_path: Path) -> None:
    x_VKD = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    table = pd.DataFrame({"video": ["a", "b"]})
    write_clip_embeddings(tmp_path / "mofore_clips.parquet", table, np.zeros((2, 3), np.int64), x_VKD)
    assert read_choice(tmp_path) is None
    assert (read_embedded_clips(tmp_path, "mofore").x_ND == x_VKD.reshape(6, 4)).all()
    write_choice(tmp_path, StreamChoice([0], 1.2))
    assert read_choice(tmp_path) == StreamChoice([0], 1.2)
    assert (read_embedded_clips(tmp_path, "mofore").x_ND == x_VKD.reshape(6, 4)[:, :2]).all()
