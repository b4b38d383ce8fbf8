"""Clusters hold alike videos, the most central first, and are the same in each run."""

import numpy as np
import numpy.typing as npt
import pytest

from mofore.collection.clusters import MAX_CLUSTERS, directions, find_clusters

FloatArray = npt.NDArray[np.float32]


@pytest.fixture(name="x_VD")
def kinds() -> FloatArray:
    """Four well separated kinds of 8 videos each: sqrt(32 / 2) = 4 clusters."""
    rng = np.random.default_rng(0)
    return (np.repeat(rng.normal(size=(4, 24)), 8, axis=0) + 0.05 * rng.normal(size=(32, 24))).astype(np.float32)


def test_finds_kinds(x_VD: FloatArray) -> None:
    clusters = find_clusters(directions(x_VD))
    assert sorted(sorted(cluster.rows.tolist()) for cluster in clusters) == [
        list(range(first, first + 8)) for first in (0, 8, 16, 24)
    ]
    assert all(cluster.homogeneity > 0.9 for cluster in clusters)


def test_does_not_depend_on_scale_or_shift_of_features(x_VD: FloatArray) -> None:
    scaled = x_VD * np.geomspace(0.01, 100, 24).astype(np.float32) + 5
    assert [c.rows.tolist() for c in find_clusters(directions(scaled))] == [
        c.rows.tolist() for c in find_clusters(directions(x_VD))
    ]


def test_each_video_is_in_one_cluster_and_large_ones_come_first() -> None:
    u_VD = directions(np.random.default_rng(1).normal(size=(300, 8)).astype(np.float32))
    clusters = find_clusters(u_VD)
    assert len(clusters) == 12
    assert sorted(np.concatenate([cluster.rows for cluster in clusters])) == list(range(300))
    sizes = [len(cluster) for cluster in clusters]
    assert sizes == sorted(sizes, reverse=True)
    again = find_clusters(u_VD)
    assert [cluster.rows.tolist() for cluster in again] == [cluster.rows.tolist() for cluster in clusters]


def test_most_central_first_and_homogeneity_is_the_mean_cosine_of_pairs() -> None:
    u_VD = directions(np.random.default_rng(2).normal(size=(60, 6)).astype(np.float32))
    cluster = find_clusters(u_VD)[0]
    u_nD = u_VD[cluster.rows]
    to_mean = u_nD @ u_nD.mean(axis=0)
    assert (np.diff(to_mean) <= 1e-6).all()
    pairs = (u_nD @ u_nD.T)[np.triu_indices(len(u_nD), 1)]
    assert cluster.homogeneity == pytest.approx(pairs.mean(), abs=1e-5)


@pytest.mark.parametrize("videos", [1, 2, 3])
def test_few_videos(videos: int) -> None:
    x_VD = np.random.default_rng(3).normal(size=(videos, 4)).astype(np.float32)
    clusters = find_clusters(directions(x_VD))
    assert sum(map(len, clusters)) == videos


def test_equal_videos_make_one_cluster() -> None:
    (cluster,) = find_clusters(directions(np.ones((50, 4), np.float32)))
    assert cluster.rows.tolist() == list(range(50))


def test_number_of_clusters_is_limited() -> None:
    u_VD = directions(np.random.default_rng(4).normal(size=(2 * (MAX_CLUSTERS + 20) ** 2, 2)).astype(np.float32))
    assert len(find_clusters(u_VD)) == MAX_CLUSTERS
