"""Lay out the embeddings of videos in two dimensions with t-SNE.

Shapes: N videos, D dimensions of an embedding, K principal components.
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
    """Lay out the test videos, or all videos if none is held out.

    Args:
        videos: one embedding per video.
        seed: seed of t-SNE.

    Returns:
        One row per video, in the order of `videos`, with columns `video,label,group,split,x,y`. x and y have no unit.
        The label is empty for unlabelled videos.
    """
    shown = videos.rows(videos.held_out())
    x, y = lay_out(shown.x_ND, seed).T
    text = {"video": shown.video, "label": shown.label, "group": shown.group, "split": shown.split}
    return pd.DataFrame(text | {"x": x, "y": y})


def lay_out(x_ND: FloatArray, seed: int) -> FloatArray:
    """Map embeddings to 2-D by L2 normalisation, PCA to 50 dimensions and t-SNE (van der Maaten and Hinton, 2008).

    It uses one thread, because the order of sums on several threads changes the map from run to run.

    Args:
        x_ND: finite embeddings, at least one row and two columns.
        seed: seed of t-SNE.

    Returns:
        [N, 2], finite. The first two principal components if there are fewer than 5 videos, too few for t-SNE, or if
        all embeddings are equal, as those of a collapsed encoder.
    """
    x_ND = unit(x_ND.astype(np.float64))
    with threadpool_limits(1):
        u_NK, s_K, _ = np.linalg.svd(x_ND - x_ND.mean(axis=0), full_matrices=False)
        pca_NK = (u_NK * s_K)[:, :50]
        pca_N2 = np.zeros((len(x_ND), 2))
        pca_N2[:, : pca_NK.shape[1]] = pca_NK[:, :2]
        if len(x_ND) < 5 or s_K[0] < 1e-6:
            return pca_N2
        # Small initial coordinates, as scikit-learn uses for init="pca".
        start_N2 = 1e-4 * pca_N2 / pca_N2[:, 0].std()
        # With few videos a class has few neighbours. The default perplexity of 30 would merge the classes.
        perplexity = min(30, 5 + len(x_ND) / 20, (len(x_ND) - 1) / 3)
        tsne = TSNE(perplexity=perplexity, init=start_N2.astype(np.float32), random_state=seed)
        xy_N2: FloatArray = tsne.fit_transform(pca_NK)
    return xy_N2
