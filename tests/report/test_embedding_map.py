"""The embedding map keeps neighbours together and is finite for any input."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from mofore.embedding.store import Embeddings, read_embeddings
from mofore.report.embedding_map import lay_out, map_videos
from tests.helpers.synthetic_results import CLASSES, write_embeddings


@pytest.fixture
def videos(tmp_path: Path) -> Embeddings:
    write_embeddings(tmp_path / "mofore.parquet", CLASSES)
    return read_embeddings(tmp_path, "mofore")


def test_shows_the_test_videos_in_their_order(videos: Embeddings) -> None:
    points = map_videos(videos, seed=1)
    assert list(points) == ["video", "label", "group", "split", "x", "y"]
    test = videos.rows(videos.split == "test")
    assert points["video"].tolist() == test.video.tolist()
    assert points["label"].tolist() == test.label.tolist()
    assert points["group"].tolist() == test.group.tolist()


def test_shows_all_videos_if_none_is_held_out(videos: Embeddings) -> None:
    train = videos.rows(videos.split == "train")
    assert map_videos(train, seed=1)["video"].tolist() == train.video.tolist()


def test_separate_classes_stay_separate() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(6), 12)
    x_ND = rng.normal(size=(6, 20))[label] + 0.1 * rng.normal(size=(72, 20))
    x_ND *= rng.uniform(0.1, 10, size=(72, 1))  # only the direction of an embedding counts
    xy_N2 = lay_out(x_ND, seed=0)
    distance_NN = np.linalg.norm(xy_N2[:, None] - xy_N2, axis=2) + np.diag(np.full(72, np.inf))
    assert (label[distance_NN.argmin(axis=1)] == label).mean() > 0.95


def test_does_not_depend_on_the_number_of_threads() -> None:
    x_ND = np.random.default_rng(0).normal(size=(60, 16))
    first = lay_out(x_ND, seed=1)
    with threadpool_limits(1):
        assert np.array_equal(lay_out(x_ND, seed=1), first)


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(n_videos=st.integers(1, 14), scale=st.sampled_from([0.0, 1e-9, 1e-4, 1.0]), seed=st.integers(0, 9))
def test_is_finite_for_few_and_for_equal_embeddings(n_videos: int, scale: float, seed: int) -> None:
    x_ND = 1 + scale * np.random.default_rng(seed).normal(size=(n_videos, 6))
    xy_N2 = lay_out(x_ND, seed)
    assert xy_N2.shape == (n_videos, 2)
    assert np.isfinite(xy_N2).all()
