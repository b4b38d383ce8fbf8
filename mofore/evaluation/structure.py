"""Structure of an embedding space: do videos cluster by class, or by group (scene, actor, recording)?

Scores by class use all labelled videos. Scores by group are computed within each class (all unlabelled videos count as
one class) and averaged over classes, weighted by the number of videos. The reason: in UCF101 and the demo each group
belongs to one class. If all videos were compared at once, an encoder that encodes only the class would score high by
group, too (NMI near 0.8). Computed within classes, it scores near 0 by group. An encoder that encodes only the scene
scores high by group and low by class.

Embeddings are scaled to length 1; the mean is not subtracted. NMI grows with the number of clusters even for random
clusters. Silhouette and ARI do not: they are near 0 or below for embeddings without structure. Since the videos of a
group share their class, an encoder that encodes only the scene still has some ARI by class: about 0.2 with four groups
per class.

Shapes: N or V videos (V where each has its clips), K clips of a video, P pairs of clips, D dimensions.
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
from mofore.evaluation.temporal import same_video_pairs

RUNS = 5  # runs of k-means with different starts, averaged: on the demo, the ARI of one run has a std of 0.05
CHUNK_MB = 64  # memory for distances in the computation of silhouettes


def evaluate_structure(videos: Embeddings, seed: int) -> dict[str, float]:
    """Structure scores of video embeddings.

    Args:
        videos: embeddings with class and group.
        seed: of k-means, and of the subset of videos used for uniformity if there are many.

    Returns:
        silhouette_class, silhouette_group: mean silhouette with cosine distance (Rousseeuw, "Silhouettes", 1987), -1 to
            1, with its 95 % interval over groups (`_low`, `_high`). The only member of a class or group counts as 0;
        nmi_class, ari_class: agreement of the classes with the clusters of k-means (one cluster per class), mean over
            RUNS: normalised mutual information (arithmetic mean), 0 to 1, and adjusted Rand index (Hubert and Arabie,
            "Comparing partitions", 1985), at most 1;
        nmi_group, ari_group: the same for groups, with one cluster per group;
        effective_rank: RankMe, 1 to min(N, D);
        uniformity: log of the mean Gaussian potential exp(-2 distance^2) of pairs of videos, from 0 (collapsed) to
            about -4 (spread over the sphere) (Wang and Isola, 2020). Absent with a single video.

        Scores by class are absent if there are fewer than 2 classes, or as many as videos. Scores by group leave out
        each class that has fewer than 2 groups, or as many as videos; they are absent if that leaves no class.
    """
    labelled = videos.rows(videos.label != "")
    classes = [videos.rows(videos.label == label) for label in np.unique(videos.label)]
    scores = _cluster_scores("class", [(labelled, labelled.label)], seed)
    scores |= _cluster_scores("group", [(of_class, of_class.group) for of_class in classes], seed)
    scores["effective_rank"] = effective_rank(videos.x_ND)
    if len(videos.x_ND) > 1:
        scores["uniformity"] = uniformity(videos.x_ND, seed)
    return scores


def clip_alignment(clips: ClipEmbeddings, videos: Embeddings, span: int) -> dict[str, float]:
    """Alignment: mean squared distance on the unit sphere of two clips of one test video that do not overlap.

    From 0 (all clips of a video are equal) to 4 (Wang and Isola, "Understanding Contrastive Representation Learning
    through Alignment and Uniformity", 2020).

    Args:
        clips: K successive rows for each video, in the order of `videos`.
        videos: group and split of each video.
        span: video frames that a clip covers.

    Returns:
        alignment, with its 95 % interval over groups alignment_low, alignment_high; empty if every video is too short
        for two such clips.
    """
    test_V = videos.held_out()
    u_VKD = unit(clips.x_ND).reshape(len(test_V), -1, clips.x_ND.shape[1])[test_V]
    pairs = same_video_pairs(u_VKD, clips.start.reshape(len(test_V), -1)[test_V], span)
    distance_P = 2 - 2 * pairs.similarity
    return with_interval("alignment", distance_P, videos.group[test_V][pairs.video]) if len(distance_P) else {}


def _cluster_scores(kind: str, subsets: list[tuple[Embeddings, TextArray]], seed: int) -> dict[str, float]:
    """Silhouette, NMI and ARI over subsets of videos, weighted by their number of videos.

    Args:
        kind: suffix of the scores' names, `class` or `group`.
        subsets: videos, and the class or group of each. Subsets without a partition to score are left out.
        seed: of k-means.
    """
    subsets = [(videos, label_N) for videos, label_N in subsets if 2 <= len(np.unique(label_N)) < len(label_N)]
    if not subsets:
        return {}
    silhouettes = np.concatenate([_silhouettes(unit(videos.x_ND), label_N) for videos, label_N in subsets])
    group_N = np.concatenate([videos.group for videos, _ in subsets])
    nmi_ari = [_k_means_nmi_ari(unit(videos.x_ND), label_N, seed) for videos, label_N in subsets]
    nmi, ari = np.average(nmi_ari, axis=0, weights=[len(label_N) for _, label_N in subsets]).tolist()
    return with_interval(f"silhouette_{kind}", silhouettes, group_N) | {f"nmi_{kind}": nmi, f"ari_{kind}": ari}


def _silhouettes(u_ND: FloatArray, label_N: TextArray) -> npt.NDArray[np.float32]:
    with sklearn.config_context(working_memory=CHUNK_MB):
        return silhouette_samples(u_ND, label_N, metric="cosine")


def _k_means_nmi_ari(u_ND: FloatArray, label_N: TextArray, seed: int) -> tuple[float, float]:
    """NMI and ARI of the labels with the clusters of k-means, one cluster per label; means over RUNS."""
    labels, true_N = np.unique(label_N, return_inverse=True)
    nmi_ari = []
    for start in np.random.default_rng(seed).integers(2**31, size=RUNS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # equal embeddings leave some clusters empty
            cluster_N = KMeans(len(labels), n_init=1, random_state=int(start)).fit_predict(u_ND)
        nmi_ari.append((normalized_mutual_info_score(true_N, cluster_N), adjusted_rand_score(true_N, cluster_N)))
    nmi, ari = np.mean(nmi_ari, axis=0).tolist()
    return nmi, ari
