"""Temporal stability: how alike are the embeddings of two clips of one video, and how fast do they change along it?

All is measured on the held-out videos (on all, if none is held out). Similarities are cosines after the mean embedding
of the training clips is taken off: without that, all clips of an untrained encoder look alike. Clips that overlap are
not compared. Pairs of clips of different groups, of the same and of another class, show what similarity means nothing.

Stability alone proves nothing: a collapsed encoder has it, too. So it stands beside what collapse cannot have: a
`margin` over other videos (0 if all clips are alike), `margin_in_sd` (at most about 1 if few directions are left),
`effective_rank` (low then), and `spread` (near 0 if all embeddings lie within a narrow cone).

Shapes: V videos, K clips a video, N clips, D dimensions, G groups, R resamples, P pairs.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.embedding.geometry import effective_rank, spread
from mofore.embedding.store import ClipEmbeddings, Embeddings, FloatArray, TextArray
from mofore.evaluation.bootstrap import group_interval, resamples, with_interval

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
ROUNDING = 1e-6  # of float32, relative
LEAST_DEVIATION = 1e-3  # of similarities; less is rounding, too


@dataclass
class TemporalScores:
    """Scores of one encoder, and how they run over gap and position.

    similarity: columns kind ("same video", "same class", "other class"; instead of the last two "other videos", where
        there are no two classes), gap (video frames, mean of the bin), similarity, low, high. Two videos have no gap
        between them: the similarity of their clips is the same at all gaps.
    speed: columns position (0 to 1, first to last frame of a video, mean of the bin), speed (degrees a video frame),
        low, high. A bin has steps of all videos, long and short: their speeds differ.
    """

    scores: dict[str, float]
    similarity: pd.DataFrame
    speed: pd.DataFrame


class ClipPairs(NamedTuple):
    """Two clips of one video, P times: number of the video, gap in video frames, cosine similarity."""

    video: Integers
    gap: Integers
    similarity: Reals


class Steps(NamedTuple):
    """From one clip of a video to the next, P times, which may overlap.

    Number of the video and of the step, position halfway (0 to 1 along the video), speed in degrees a video frame.
    """

    video: Integers
    step: Integers
    position: Reals
    speed: Reals


def evaluate_temporal(clips: ClipEmbeddings, videos: Embeddings, span: int, bins: int) -> TemporalScores:
    """Stability of one encoder, and whether it comes from collapse.

    Args:
        clips: K successive rows a video, videos in the order of `videos`.
        span: video frames that a clip covers.
        bins: of gap, and of position, with about equal numbers of pairs.

    Returns:
        Scores, each absent where the videos have no such pair; the first three lines with `_low` and `_high`:
        same_video, other_videos, same_class, other_class: mean cosine of two clips, -1 to 1, all but the first of
            different groups; the last two of labelled videos, where there are two classes.
        margin: same_video - other_videos, -2 to 2.
        speed: mean angle from one clip to the next, in degrees a video frame.
        margin_in_sd: margin, in standard deviations of the similarities of clips of different groups.
        effective_rank, spread: of the clip embeddings as they are, nothing taken off.
    """
    x_VKD = clips.x_ND.reshape(len(videos.video), -1, clips.x_ND.shape[1])
    test_V = videos.held_out()
    train_V = videos.split == "train" if (videos.split == "train").any() else test_V
    mean_D = x_VKD[train_V].mean(axis=(0, 1), dtype=np.float64)
    x_VKD, start_VK = x_VKD[test_V], clips.start.reshape(len(videos.video), -1)[test_V]
    label_V, group_V = videos.label[test_V], np.unique(videos.group[test_V], return_inverse=True)[1]

    u_VKD = _centred(x_VKD, mean_D)
    pairs = same_video(u_VKD, start_VK, span)
    scores = _levels(pairs, u_VKD.mean(axis=1, dtype=np.float64), label_V, group_V)
    if "margin" in scores:
        scores["margin_in_sd"] = scores["margin"] / max(_other_deviation(u_VKD, group_V), LEAST_DEVIATION)
    steps = _steps(u_VKD, start_VK, span)
    if len(steps.speed):
        scores |= with_interval("speed", steps.speed, group_V[steps.video])
    x_ND = x_VKD.reshape(-1, x_VKD.shape[2])
    scores |= {"effective_rank": effective_rank(x_ND), "spread": spread(x_ND)}

    near = pd.DataFrame({"gap": pairs.gap, "similarity": pairs.similarity, "group": group_V[pairs.video]})
    along = pd.DataFrame({"position": steps.position, "speed": steps.speed, "group": group_V[steps.video]})
    return TemporalScores(
        scores, _beside_levels(_binned(near, pairs.gap, bins), scores), _binned(along, steps.step, bins)
    )


def same_video(u_VKD: FloatArray, start_VK: Integers, span: int) -> ClipPairs:
    """All pairs of clips of one video that do not overlap.

    Args:
        u_VKD: clip embeddings of length 1.
        start_VK: first video frame of each clip, rising along a video.
        span: video frames that a clip covers.
    """
    first, second = np.triu_indices(start_VK.shape[1], k=1)
    gap_VP = start_VK[:, second] - start_VK[:, first] - span
    similarity_VP = (u_VKD @ u_VKD.transpose(0, 2, 1))[:, first, second]
    apart_VP = gap_VP >= 0
    return ClipPairs(np.nonzero(apart_VP)[0], gap_VP[apart_VP], similarity_VP[apart_VP].astype(np.float64))


def _centred(x_VKD: FloatArray, mean_D: Reals) -> FloatArray:
    """Unit vectors of what differs from the mean; shorter, down to 0, where no more than rounding does."""
    away_VKD = x_VKD - mean_D.astype(np.float32)
    least = max(ROUNDING * float(np.linalg.norm(mean_D)), 1e-12)
    away_VKD /= np.maximum(np.linalg.norm(away_VKD, axis=2, keepdims=True), least)
    return away_VKD


def _levels(pairs: ClipPairs, mean_VD: Reals, label_V: TextArray, group_V: Integers) -> dict[str, float]:
    """Mean similarity of each kind of pair, over all such pairs, and the margin, with intervals over groups.

    A pair of clips of two groups counts w_a * w_b times in a resample, where a was drawn w_a and b w_b times: both ends
    of a pair vary from sample to sample (Owen, "The pigeonhole bootstrap", 2007).

    Args:
        mean_VD: mean unit vector of each video; mean_a @ mean_b is the mean cosine of all clips of a with all of b.
    """
    groups = group_V.max() + 1
    classes = np.unique(label_V[label_V != ""])
    sum_G = np.bincount(group_V[pairs.video], pairs.similarity, groups)
    count_G = np.bincount(group_V[pairs.video], minlength=groups)

    def means(weight_RG: Reals) -> dict[str, Reals]:
        def across(rows: npt.NDArray[np.bool_]) -> Reals:
            return _across_groups(mean_VD[rows], group_V[rows], weight_RG)

        total_2R = {"same_video": np.stack([sum_G, count_G]) @ weight_RG.T}
        total_2R["other_videos"] = across(np.ones(len(label_V), bool))
        if len(classes) > 1:
            total_2R["same_class"] = np.sum([across(label_V == name) for name in classes], axis=0)
            total_2R["other_class"] = across(label_V != "") - total_2R["same_class"]
        mean_R = {
            name: np.where(number_R > 0, sum_R / np.maximum(number_R, 1), np.nan)  # a resample may lack such pairs
            for name, (sum_R, number_R) in total_2R.items()
        }
        return mean_R | {"margin": mean_R["same_video"] - mean_R["other_videos"]}

    drawn = pd.concat([pd.DataFrame(means(weight_RG)) for weight_RG in resamples(groups)])
    scores: dict[str, float] = {}
    for name, (mean,) in means(np.ones((1, groups))).items():
        if np.isfinite(mean):
            low, high = np.nanquantile(drawn[name], (0.025, 0.975))
            scores |= {name: float(mean), f"{name}_low": float(low), f"{name}_high": float(high)}
    return scores


def _across_groups(mean_VD: Reals, group_V: Integers, weight_RG: Reals) -> Reals:
    """Sum of the similarities of all pairs of videos of different groups, and the number of these pairs: [2, R].

    The sum of all dot products is the squared length of the sum of all vectors; the pairs of one group are taken off.
    """
    groups, group_V = np.unique(group_V, return_inverse=True)
    sum_GD = np.zeros((len(groups), mean_VD.shape[1]))
    np.add.at(sum_GD, group_V, mean_VD)
    count_G = np.bincount(group_V)
    weight_RG = weight_RG[:, groups]
    square_RG = np.square(weight_RG)
    similarity_R = np.square(weight_RG @ sum_GD).sum(axis=1) - square_RG @ np.square(sum_GD).sum(axis=1)
    number_R = np.square(weight_RG @ count_G) - square_RG @ np.square(count_G)
    return np.stack([similarity_R, number_R])


def _other_deviation(u_VKD: FloatArray, group_V: Integers) -> float:
    """Standard deviation of the similarities of all pairs of clips of different groups."""
    moments = _moments(u_VKD) - np.sum([_moments(u_VKD[group_V == group]) for group in np.unique(group_V)], axis=0)
    number, total, squares = moments
    return float(np.sqrt(max(squares / number - (total / number) ** 2, 0)))


def _moments(u_VKD: FloatArray) -> Reals:
    """Of all pairs of clips: their number, the sum of their similarities, and of these squared."""
    u_ND = u_VKD.reshape(-1, u_VKD.shape[2])
    gram = u_ND.T @ u_ND if len(u_ND) > u_ND.shape[1] else u_ND @ u_ND.T  # the same sum of squares, the smaller one
    total = np.square(u_ND.sum(axis=0, dtype=np.float64)).sum()
    return np.array([len(u_ND) ** 2, total, np.square(gram).sum(dtype=np.float64)])


def _steps(u_VKD: FloatArray, start_VK: Integers, span: int) -> Steps:
    frames_VP = np.diff(start_VK, axis=1)
    chord_VP = np.linalg.norm(np.diff(u_VKD, axis=1), axis=2).astype(np.float64)
    degrees_VP = np.degrees(2 * np.arcsin(np.minimum(chord_VP / 2, 1)))
    halfway_VP = (start_VK[:, 1:] + start_VK[:, :-1] + span) / 2
    position_VP = halfway_VP / (start_VK[:, -1:] + span)  # the last clip ends with the video
    moved_VP = frames_VP > 0  # where a video has little room, clips coincide
    video, step = np.nonzero(moved_VP)
    return Steps(video, step, position_VP[moved_VP], degrees_VP[moved_VP] / frames_VP[moved_VP])


def _binned(pairs: pd.DataFrame, by_P: Integers, bins: int) -> pd.DataFrame:
    """Means of the first two columns, and the interval of the second over the third, group, in bins of `by`.

    Bins have about equal numbers of pairs, as far as equal values of `by`, which stay together, allow.
    """
    x, y, _ = pairs.columns
    edges = np.quantile(by_P, np.linspace(0, 1, bins + 1)[1:-1]) if len(by_P) else np.empty(0)
    bin_P = np.searchsorted(edges, by_P, side="right")
    rows = [(part[x].mean(), *group_interval(part[y], part.group)) for _, part in pairs.groupby(bin_P)]
    return pd.DataFrame(rows, columns=[x, y, "low", "high"])


def _beside_levels(near: pd.DataFrame, scores: dict[str, float]) -> pd.DataFrame:
    """The table of similarities: those of same-video pairs, and at the same gaps those of other pairs."""
    names = ("same_class", "other_class") if "other_class" in scores else ("other_videos",)
    tables = [near.assign(kind="same video")]
    for name in names:
        if name in scores:
            level = {"similarity": scores[name], "low": scores[f"{name}_low"], "high": scores[f"{name}_high"]}
            tables.append(near[["gap"]].assign(kind=name.replace("_", " "), **level))
    return pd.concat(tables)[["kind", "gap", "similarity", "low", "high"]]
