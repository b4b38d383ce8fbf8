"""Temporal stability: how similar are the embeddings of two clips of one video, and how fast do they change?

All scores are of the test videos (of all videos if the split has no test videos). Similarity is the cosine after the
mean embedding of the training clips is subtracted, because without that all clips of an untrained encoder are similar.
Clips that overlap are not compared. Similarities of clips of different groups, of the same class and of other classes,
are reported for comparison.

Stability alone is no merit, because a collapsed encoder is stable, too. Four scores detect collapse: `margin`, the
similarity within videos above that of other videos (0 if all clips are alike); `margin_in_sd` (at most about 1 if the
embeddings use few directions); `effective_rank` (low in that case); and `spread` (near 0 if all embeddings lie in a
narrow cone).

Shapes: V videos, K clips of a video, N clips, D dimensions, G groups, R resamples, P pairs.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from mofore.embedding.geometry import effective_rank, spread
from mofore.embedding.store import ClipEmbeddings, Embeddings, FloatArray, TextArray
from mofore.evaluation.across_groups import (
    Integers,
    Reals,
    means_of,
    sum_across_groups,
    sums_by_class,
    with_intervals,
)
from mofore.evaluation.bootstrap import group_interval, with_interval
from mofore.splits import these_or_all

ROUNDING = 1e-6  # relative rounding error of float32
MIN_STD = 1e-3  # lower bound of the standard deviation of similarities; smaller values are rounding errors


@dataclass
class TemporalScores:
    """Scores of one encoder, the table of similarity by gap, and the table of speed by position.

    similarity: columns kind ("same video", "same class", "other class"; "other videos" instead of the last two if there
        are fewer than two classes), gap (video frames, mean of the bin), similarity, low, high. Clips of different
        videos have no gap, so their similarity is repeated for all gaps.
    speed: columns position (in the video, 0 first frame, 1 last frame, mean of the bin), speed (degrees per video
        frame), low, high. Each bin has steps of all videos, whatever their length.
    """

    scores: dict[str, float]
    similarity: pd.DataFrame
    speed: pd.DataFrame


class ClipPairs(NamedTuple):
    """P pairs of clips of one video: index of the video, gap in video frames, cosine similarity."""

    video: Integers
    gap: Integers
    similarity: Reals


class Steps(NamedTuple):
    """P steps from one clip of a video to the next; the clips may overlap.

    Index of the video, index of the step in the video, position of the middle of the step (0 to 1 in the video), speed
    in degrees per video frame.
    """

    video: Integers
    step: Integers
    position: Reals
    speed: Reals


def evaluate_temporal(clips: ClipEmbeddings, videos: Embeddings, span: int, bins: int) -> TemporalScores:
    """Temporal stability of one encoder, and scores that detect collapse.

    Args:
        clips: K successive rows for each video, in the order of `videos`.
        videos: label, group and split of each video.
        span: video frames that a clip covers.
        bins: number of bins of gap, and of position, with about equal numbers of pairs.

    Returns:
        Two tables, and these scores. A score is absent if there are no such pairs. Those up to `speed` have a 95 %
        interval over groups (`_low`, `_high`).
        same_video: mean cosine of two clips of one video, -1 to 1;
        other_videos: mean cosine of two clips of different groups;
        same_class, other_class: the same for labelled videos of one class, and of two classes. Absent if there are
            fewer than two classes;
        margin: same_video - other_videos, -2 to 2;
        speed: mean angle from one clip to the next, in degrees per video frame;
        margin_in_sd: margin divided by the standard deviation of the cosines of clips of different groups;
        effective_rank, spread: of the clip embeddings without subtraction of the mean, see `embedding.geometry`.
    """
    x_VKD = clips.x_ND.reshape(len(videos.video), -1, clips.x_ND.shape[1])
    test_V = videos.held_out()
    train_V = these_or_all(videos.split == "train")
    mean_D = x_VKD[train_V].mean(axis=(0, 1), dtype=np.float64)
    x_VKD, start_VK = x_VKD[test_V], clips.start.reshape(len(videos.video), -1)[test_V]
    label_V, group_V = videos.label[test_V], np.unique(videos.group[test_V], return_inverse=True)[1]

    u_VKD = _centred(x_VKD, mean_D)
    pairs = same_video_pairs(u_VKD, start_VK, span)
    scores = _mean_similarities(pairs, u_VKD.mean(axis=1, dtype=np.float64), label_V, group_V)
    if "margin" in scores:
        scores["margin_in_sd"] = scores["margin"] / max(_std_across_groups(u_VKD, group_V), MIN_STD)
    steps = _steps(u_VKD, start_VK, span)
    if len(steps.speed):
        scores |= with_interval("speed", steps.speed, group_V[steps.video])
    x_ND = x_VKD.reshape(-1, x_VKD.shape[2])
    scores |= {"effective_rank": effective_rank(x_ND), "spread": spread(x_ND)}

    by_gap = pd.DataFrame({"gap": pairs.gap, "similarity": pairs.similarity, "group": group_V[pairs.video]})
    by_position = pd.DataFrame({"position": steps.position, "speed": steps.speed, "group": group_V[steps.video]})
    similarity = _add_other_videos(_bin_means(by_gap, pairs.gap, bins), scores)
    return TemporalScores(scores, similarity, _bin_means(by_position, steps.step, bins))


def same_video_pairs(u_VKD: FloatArray, start_VK: Integers, span: int) -> ClipPairs:
    """All pairs of clips of one video that do not overlap.

    Args:
        u_VKD: clip embeddings of length 1.
        start_VK: first video frame of each clip, ascending within a video.
        span: video frames that a clip covers.
    """
    first, second = np.triu_indices(start_VK.shape[1], k=1)
    gap_VP = start_VK[:, second] - start_VK[:, first] - span
    similarity_VP = (u_VKD @ u_VKD.transpose(0, 2, 1))[:, first, second]
    apart_VP = gap_VP >= 0
    return ClipPairs(np.nonzero(apart_VP)[0], gap_VP[apart_VP], similarity_VP[apart_VP].astype(np.float64))


def _centred(x_VKD: FloatArray, mean_D: Reals) -> FloatArray:
    """Subtract the mean and scale to length 1. Differences as small as rounding errors stay shorter, down to 0."""
    difference_VKD = x_VKD - mean_D.astype(np.float32)
    min_length = max(ROUNDING * float(np.linalg.norm(mean_D)), 1e-12)
    difference_VKD /= np.maximum(np.linalg.norm(difference_VKD, axis=2, keepdims=True), min_length)
    return difference_VKD


def _mean_similarities(pairs: ClipPairs, mean_VD: Reals, label_V: TextArray, group_V: Integers) -> dict[str, float]:
    """Mean similarity of each kind of pair, and the margin, with 95 % intervals over groups, see `across_groups`.

    Args:
        pairs: pairs of clips of one video.
        mean_VD: mean unit vector of each video; mean_a @ mean_b is the mean cosine of all clips of a with all of b.
        label_V: class of each video; empty if unlabelled.
        group_V: group of each video, numbered from 0.
    """
    groups = int(group_V.max()) + 1
    two_classes = len(np.unique(label_V[label_V != ""])) > 1
    sum_G = np.bincount(group_V[pairs.video], pairs.similarity, groups)
    count_G = np.bincount(group_V[pairs.video], minlength=groups)

    def means(weight_RG: Reals) -> dict[str, Reals]:
        """Mean similarities [R] with each group counted weight_RG times."""
        total_2R = {"same_video": np.stack([sum_G, count_G]) @ weight_RG.T}
        total_2R["other_videos"] = sum_across_groups(mean_VD, group_V, weight_RG)
        if two_classes:
            same_2R, other_2R = sums_by_class(mean_VD, label_V, group_V, weight_RG)
            total_2R |= {"same_class": same_2R, "other_class": other_2R}
        mean_R = means_of(total_2R)
        return mean_R | {"margin": mean_R["same_video"] - mean_R["other_videos"]}

    return with_intervals(means, groups)


def _std_across_groups(u_VKD: FloatArray, group_V: Integers) -> float:
    """Standard deviation of the similarities of all pairs of clips of different groups."""
    moments = _moments(u_VKD) - np.sum([_moments(u_VKD[group_V == group]) for group in np.unique(group_V)], axis=0)
    number, total, squares = moments
    return float(np.sqrt(max(squares / number - (total / number) ** 2, 0)))


def _moments(u_VKD: FloatArray) -> Reals:
    """Number of all pairs of clips, sum of their similarities, and sum of the squared similarities: [3]."""
    u_ND = u_VKD.reshape(-1, u_VKD.shape[2])
    # [D, D] and [N, N] have the same sum of squares; take the smaller.
    gram = u_ND.T @ u_ND if len(u_ND) > u_ND.shape[1] else u_ND @ u_ND.T
    total = np.square(u_ND.sum(axis=0, dtype=np.float64)).sum()
    return np.array([len(u_ND) ** 2, total, np.square(gram).sum(dtype=np.float64)])


def _steps(u_VKD: FloatArray, start_VK: Integers, span: int) -> Steps:
    """All steps between successive clips with different starts."""
    frames_VP = np.diff(start_VK, axis=1)
    chord_VP = np.linalg.norm(np.diff(u_VKD, axis=1), axis=2).astype(np.float64)
    degrees_VP = np.degrees(2 * np.arcsin(np.minimum(chord_VP / 2, 1)))
    halfway_VP = (start_VK[:, 1:] + start_VK[:, :-1] + span) / 2
    position_VP = halfway_VP / (start_VK[:, -1:] + span)  # the last clip ends with the video
    moved_VP = frames_VP > 0  # in a short video, successive clips can be the same
    video, step = np.nonzero(moved_VP)
    return Steps(video, step, position_VP[moved_VP], degrees_VP[moved_VP] / frames_VP[moved_VP])


def _bin_means(pairs: pd.DataFrame, by_P: Integers, bins: int) -> pd.DataFrame:
    """Means of x and y in bins of `by`, with 95 % intervals of y over groups: columns x, y, low, high.

    Args:
        pairs: three columns: x, y and group.
        by_P: value of each pair that decides its bin.
        bins: number of bins with about equal numbers of pairs. Pairs with equal `by` are in the same bin.
    """
    x, y, _ = pairs.columns
    edges = np.quantile(by_P, np.linspace(0, 1, bins + 1)[1:-1]) if len(by_P) else np.empty(0)
    bin_P = np.searchsorted(edges, by_P, side="right")
    rows = [(part[x].mean(), *group_interval(part[y], part.group)) for _, part in pairs.groupby(bin_P)]
    return pd.DataFrame(rows, columns=[x, y, "low", "high"])


def _add_other_videos(same_video: pd.DataFrame, scores: dict[str, float]) -> pd.DataFrame:
    """Add rows with the similarity of clips of other videos, the same at each gap, to the table of same-video pairs."""
    names = ("same_class", "other_class") if "other_class" in scores else ("other_videos",)
    tables = [same_video.assign(kind="same video")]
    for name in names:
        if name in scores:
            mean = {"similarity": scores[name], "low": scores[f"{name}_low"], "high": scores[f"{name}_high"]}
            tables.append(same_video[["gap"]].assign(kind=name.replace("_", " "), **mean))
    return pd.concat(tables)[["kind", "gap", "similarity", "low", "high"]]
