"""Structure of an embedding space: do videos of one class lie together, and is it for their class or for their scene?

By class: all labelled videos. By group: among the videos of one class at a time (unlabelled ones count as one), then
the mean over these classes, each weighted by its videos. Groups mostly lie inside classes, as in UCF101 and the demo:
among all videos, an encoder that knows only classes would do well by group, too (an NMI near 0.8). So an encoder that
knows only the scene scores high by group and low by class; one that knows only classes, near 0 by group.

Embeddings are scaled to length 1, nothing is taken off. NMI grows with the number of clusters even by chance; the
silhouette and ARI do not, and are near 0, or below, where embeddings tell nothing. By class, scenes alone do earn a
little, as the videos of a group share their class: an ARI of about 0.2 where a class has four groups.

Shapes: N videos, D dimensions.
"""

import warnings

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_samples

from mofore.embedding.geometry import effective_rank, uniformity, unit
from mofore.embedding.store import ClipEmbeddings, Embeddings, FloatArray, TextArray
from mofore.evaluation.bootstrap import with_interval
from mofore.evaluation.temporal import same_video

RUNS = 5  # of k-means, each from a start of its own: one run's ARI is off by 0.05 on the demo (standard deviation)
CHUNK_MB = 64  # of distances at a time, for silhouettes


def evaluate_structure(videos: Embeddings, seed: int) -> dict[str, float]:
    """Structure of some videos' embeddings.

    Args:
        seed: of k-means, and of the videos drawn for uniformity where there are many.

    Returns:
        silhouette_class, silhouette_group: mean silhouette (Rousseeuw, 1987) by cosine distance, -1 to 1, with `_low`
            and `_high`: the 95 % interval over groups. The only member of a class or group counts as 0.
        nmi_class, ari_class: agreement of k-means, one cluster a class, with the classes, mean over runs: normalised
            mutual information (arithmetic mean), 0 to 1, and adjusted Rand index (Hubert and Arabie, 1985), at most 1.
        nmi_group, ari_group: the same by group, one cluster a group.
        effective_rank: RankMe, 1 to min(N, D).
        uniformity: log of the mean Gaussian potential exp(-2 distance^2) of pairs of videos, 0 (collapsed) down to
            about -4 (spread over the sphere) (Wang and Isola, 2020).
        Those by class (group) are absent where classes (groups of a class) are fewer than 2, or as many as the videos.
    """
    labelled = videos.rows(videos.label != "")
    classes = [videos.rows(videos.label == label) for label in np.unique(videos.label)]
    scores = _agreement("class", [(labelled, labelled.label)], seed)
    scores |= _agreement("group", [(of_class, of_class.group) for of_class in classes], seed)
    scores["effective_rank"] = effective_rank(videos.x_ND)
    if len(videos.x_ND) > 1:
        scores["uniformity"] = uniformity(videos.x_ND, seed)
    return scores


def clip_alignment(clips: ClipEmbeddings, videos: Embeddings, span: int) -> dict[str, float]:
    """Mean squared distance of two clips of one held-out video that do not overlap, on the unit sphere.

    0 to 4; 0: all clips of a video are alike (Wang and Isola, 2020). With the 95 % interval over groups.

    Args:
        clips: K successive rows a video, videos in the order of `videos`.
        span: video frames that a clip covers.

    Returns:
        alignment, alignment_low, alignment_high; nothing where no video has room for two such clips.
    """
    test_V = videos.held_out()
    u_VKD = unit(clips.x_ND).reshape(len(test_V), -1, clips.x_ND.shape[1])[test_V]
    pairs = same_video(u_VKD, clips.start.reshape(len(test_V), -1)[test_V], span)
    distance_P = 2 - 2 * pairs.similarity
    return with_interval("alignment", distance_P, videos.group[test_V][pairs.video]) if len(distance_P) else {}


def _agreement(name: str, parts: list[tuple[Embeddings, TextArray]], seed: int) -> dict[str, float]:
    """Silhouette, NMI and ARI of the videos of each part against their names, over all parts that have a structure."""
    parts = [(part, name_N) for part, name_N in parts if 2 <= len(np.unique(name_N)) < len(name_N)]
    if not parts:
        return {}
    silhouettes = np.concatenate([_silhouettes(unit(part.x_ND), name_N) for part, name_N in parts])
    group_N = np.concatenate([part.group for part, _ in parts])
    agreement = [_k_means_agreement(unit(part.x_ND), name_N, seed) for part, name_N in parts]
    nmi, ari = np.average(agreement, axis=0, weights=[len(name_N) for _, name_N in parts]).tolist()
    return with_interval(f"silhouette_{name}", silhouettes, group_N) | {f"nmi_{name}": nmi, f"ari_{name}": ari}


def _silhouettes(u_ND: FloatArray, name_N: TextArray) -> npt.NDArray[np.float32]:
    with sklearn.config_context(working_memory=CHUNK_MB):
        return silhouette_samples(u_ND, name_N, metric="cosine")


def _k_means_agreement(u_ND: FloatArray, name_N: TextArray, seed: int) -> tuple[float, float]:
    """NMI and ARI of k-means, a cluster a name, with the names; mean over runs."""
    names, true_N = np.unique(name_N, return_inverse=True)
    agreement = []
    for start in np.random.default_rng(seed).integers(2**31, size=RUNS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of embeddings that coincide: some clusters stay empty
            cluster_N = KMeans(len(names), n_init=1, random_state=int(start)).fit_predict(u_ND)
        agreement.append((normalized_mutual_info_score(true_N, cluster_N), adjusted_rand_score(true_N, cluster_N)))
    nmi, ari = np.mean(agreement, axis=0).tolist()
    return nmi, ari
