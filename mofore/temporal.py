"""Temporal stability: how similar are the embeddings of two clips of one video, against the gap between them?

Similarities are cosines after the mean embedding of the training clips is taken off: without that, all clips of an
untrained encoder look alike. Clips that overlap are not compared. Pairs of clips of different groups show what
similarity means nothing; a collapsed encoder brings the two curves together.

Shapes: N clips, V videos, K clips a video, D dimensions.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.embeddings import ClipEmbeddings, Embeddings, unit

OTHER_PAIRS = 20_000  # random pairs of clips of different groups: standard error below 0.01


def evaluate_temporal(
    clips: ClipEmbeddings, videos: Embeddings, span: int, bins: int, seed: int
) -> tuple[dict[str, float], pd.DataFrame]:
    """Similarity against gap on the test videos (on all if none is held out).

    Args:
        clips: K successive rows a video, videos in the order of `videos`.
        span: video frames that a clip covers.
        bins: number of gap bins, with about equal numbers of pairs.
        seed: of the random pairs.

    Returns:
        Means (same_video, other_videos, and margin, their difference), and a table with columns kind ("same video",
        "other videos"), gap (video frames, mean of the bin) and similarity. Same-video numbers are absent where no
        video has room for two clips that do not overlap.
    """
    n_videos = len(videos.video)
    x_VKD = clips.x_ND.reshape(n_videos, -1, clips.x_ND.shape[1])
    start_VK = clips.start.reshape(n_videos, -1)
    test_V = videos.split == "test" if (videos.split == "test").any() else np.ones(n_videos, bool)
    train_V = videos.split == "train" if (videos.split == "train").any() else test_V
    mean_D = x_VKD[train_V].mean(axis=(0, 1))
    u_VKD = unit((x_VKD[test_V] - mean_D).reshape(-1, x_VKD.shape[2])).reshape(-1, *x_VKD.shape[1:])

    gap, similarity = _same_video(u_VKD, start_VK[test_V], span)
    other = _other_videos(u_VKD, videos.group[test_V], seed)
    scores = {}
    table = _bin(gap, similarity, bins)
    if len(other):
        scores["other_videos"] = float(other.mean())
        level = pd.DataFrame({"kind": "other videos", "gap": table.gap, "similarity": scores["other_videos"]})
        table = pd.concat([table, level])
    if len(gap):
        scores = {"same_video": float(similarity.mean()), **scores}
    if len(scores) == 2:
        scores["margin"] = scores["same_video"] - scores["other_videos"]
    return scores, table


def _same_video(
    u_VKD: npt.NDArray[np.float32], start_VK: npt.NDArray[np.int64], span: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    first, second = np.triu_indices(start_VK.shape[1], k=1)
    gap_VP = start_VK[:, second] - start_VK[:, first] - span
    similarity_VP = np.einsum("vpd,vpd->vp", u_VKD[:, first], u_VKD[:, second])
    apart_VP = gap_VP >= 0
    return gap_VP[apart_VP], similarity_VP[apart_VP]


def _other_videos(u_VKD: npt.NDArray[np.float32], group_V: npt.NDArray[np.str_], seed: int) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    n_videos, clips, _ = u_VKD.shape
    a, b = rng.integers(n_videos, size=(2, OTHER_PAIRS))
    a_clip, b_clip = rng.integers(clips, size=(2, OTHER_PAIRS))
    similarity = np.einsum("pd,pd->p", u_VKD[a, a_clip], u_VKD[b, b_clip])
    return similarity[group_V[a] != group_V[b]]


def _bin(gap: npt.NDArray[np.int64], similarity: npt.NDArray[np.float32], bins: int) -> pd.DataFrame:
    if not len(gap):
        return pd.DataFrame({"kind": [], "gap": [], "similarity": []})
    bin_of = pd.qcut(gap, bins, labels=False, duplicates="drop")
    pairs = pd.DataFrame({"gap": gap, "similarity": similarity})
    table = pairs.groupby(bin_of).mean()
    table.insert(0, "kind", "same video")
    return table
