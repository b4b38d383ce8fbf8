"""A 2-D map of videos: the neighbours in the embedding space, laid out on paper.

Shapes: N videos, D dimensions of an embedding.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from mofore.embedding.geometry import unit
from mofore.embedding.store import Embeddings

FloatArray = npt.NDArray[np.floating]


def map_videos(videos: Embeddings, seed: int) -> pd.DataFrame:
    """Lay out the test videos (all videos where none is held out).

    Args:
        videos: one embedding a video.
        seed: of t-SNE.

    Returns:
        One row a video shown, in the order of `videos`, columns `video,label,group,split,x,y`. x and y have no unit;
        label is empty for unlabelled videos.
    """
    shown = videos.rows(videos.held_out())
    x, y = lay_out(shown.x_ND, seed).T
    text = {"video": shown.video, "label": shown.label, "group": shown.group, "split": shown.split}
    return pd.DataFrame(text | {"x": x, "y": y})


def lay_out(x_ND: FloatArray, seed: int) -> FloatArray:
    """Put nearby directions near one another: L2 norm, PCA to 50 dimensions, t-SNE (van der Maaten and Hinton, 2008).

    Runs on one thread: with several, the order of their sums would change the map from run to run.

    Args:
        x_ND: finite, one embedding a row, at least one row and two columns.
        seed: of t-SNE.

    Returns:
        [N, 2], finite. Fewer than 5 videos get their principal components, which t-SNE's neighbourhoods do not suit;
        so do a collapsed encoder's embeddings, all of them equal.
    """
    x_ND = unit(x_ND.astype(np.float64))
    with threadpool_limits(1):
        u_NK, s_K, _ = np.linalg.svd(x_ND - x_ND.mean(axis=0), full_matrices=False)
        pca_NK = (u_NK * s_K)[:, :50]
        first_N2 = np.zeros((len(x_ND), 2))
        first_N2[:, : pca_NK.shape[1]] = pca_NK[:, :2]
        if len(x_ND) < 5 or s_K[0] < 1e-6:
            return first_N2
        # A small start lets t-SNE sort out the neighbours first (its own default for init="pca").
        start_N2 = 1e-4 * first_N2 / first_N2[:, 0].std()
        # Few videos, few neighbours of each class: t-SNE's usual 30 would blur them into one cloud.
        perplexity = min(30, 5 + len(x_ND) / 20, (len(x_ND) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init=start_N2.astype(np.float32), random_state=seed)
        xy_N2: FloatArray = tsne.fit_transform(pca_NK)
    return xy_N2
