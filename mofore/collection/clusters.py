"""Divides the videos of a collection into clusters of alike ones, without labels.

k-means on standardised embeddings scaled to length 1. The number of clusters is sqrt(V / 2), at most MAX_CLUSTERS: an
old rule of thumb (Mardia, Kent and Bibby, "Multivariate Analysis", 1979), so few that one can look at each. The
silhouette does not choose better: on real video it is highest at the most clusters tried, 50.

Shapes: V videos, D feature dimensions, C clusters, n videos of a cluster.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from mofore.embedding.geometry import fit_scale, unit

FloatArray = npt.NDArray[np.float32]
MAX_CLUSTERS = 60
STARTS = 3  # k-means is run from so many random starts, and the best result is taken
SEED = 0


@dataclass(frozen=True)
class Cluster:
    """Alike videos.

    Attributes:
        rows: int64 [n], numbers of its videos, the most central first.
        homogeneity: mean cosine similarity of two of its videos: 1 if they are all the same, 0 if they are no more
            alike than any two videos of the collection; 1 for a single video.
    """

    rows: npt.NDArray[np.int64]
    homogeneity: float

    def __len__(self) -> int:
        return len(self.rows)


def directions(x_VD: FloatArray) -> FloatArray:
    """Embeddings standardised over all videos, then scaled to length 1: [V, D].

    So a cosine similarity of 0 is that of two videos with nothing in common but the collection.
    """
    return unit(fit_scale([x_VD], np.ones(len(x_VD), bool)).apply(x_VD))


def find_clusters(u_VD: FloatArray) -> list[Cluster]:
    """Divide videos into clusters, the largest first. The same input gives the same clusters.

    Args:
        u_VD: see `directions`; at least one video.
    """
    count = min(MAX_CLUSTERS, max(1, round(math.sqrt(len(u_VD) / 2))), len(np.unique(u_VD, axis=0)))
    with threadpool_limits(1):  # with several threads, the order of sums would change the result from run to run
        cluster_V = KMeans(count, n_init=STARTS, random_state=SEED).fit_predict(u_VD)
    clusters = [_cluster(u_VD, np.flatnonzero(cluster_V == number)) for number in range(count)]
    return sorted(clusters, key=lambda cluster: (-len(cluster), cluster.rows.min()))


def _cluster(u_VD: FloatArray, rows: npt.NDArray[np.int64]) -> Cluster:
    u_nD = u_VD[rows].astype(np.float64)
    n, mean_D = len(rows), u_nD.mean(axis=0)
    # |mean|^2 is the mean cosine of all n^2 pairs; n of them are a video with itself, of cosine 1.
    homogeneity = (n * float(mean_D @ mean_D) - 1) / (n - 1) if n > 1 else 1.0
    return Cluster(rows[np.argsort(-(u_nD @ mean_D), kind="stable")], homogeneity)
