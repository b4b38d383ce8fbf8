"""The measures of the MoFore paper (Xu, arXiv 2606.14765, Table 2), over all test videos instead of single examples.

Similarities are cosines without subtraction of a mean, as in the paper. Near 1 they prove nothing: a collapsed encoder
has the same. So they count only beside those of random weights and beside effective rank and spread.

Shapes: V videos, K clips of a video, N clips or pairs of clips, X clips of all videos, D feature and P projection
dimensions, R resamples, G groups.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from mofore.embedding.geometry import effective_rank, spread, unit
from mofore.embedding.store import ClipEmbeddings, Embeddings, FloatArray, TextArray
from mofore.evaluation.across_groups import Integers, Reals, means_of, sums_by_class, with_intervals
from mofore.evaluation.bootstrap import with_interval
from mofore.evaluation.forecast_pairs import Forecaster, clip_pairs, common_clips, in_split

PAPER = {  # Table 2: on UCF101, each similarity of one example
    "forecasting_error": 0.0039,
    "same_video": 0.9995,
    "same_class": 0.7901,
    "different_class": 0.5521,
    "temporal_consistency": 0.9223,
}
EXAMPLE, SAME_CLASS_EXAMPLE, DIFFERENT_CLASS_EXAMPLE = "v_YoYo_g19_c02", "v_YoYo_g20_c01", "v_SkyDiving_g06_c03"
UCF101_NAME = re.compile(r"v_[A-Za-z]+_g\d{2}_c\d{2}")
NO_VARIANCE = 1e-12  # a variance below this share of the mean square counts as 0, because of rounding


def similarities(clips: ClipEmbeddings, videos: Embeddings) -> dict[str, float]:
    """Similarities of one encoder on the test videos (on all videos if none is held out), and signs of collapse.

    Args:
        clips: K successive rows for each video, in the order of `videos`, starts ascending.
        videos: mean over clips, label, group and split of each video.

    Returns:
        The first four are mean cosines, -1 to 1, with a 95 % interval over groups (`_low`, `_high`). A score is absent
        if there is nothing to compare.
        same_video: two embeddings of one video from different temporal views, the mean of its even-numbered and that of
            its odd-numbered clips. The paper, too, averages several views per embedding, as its value suggests: 0.9995,
            above the 0.9223 of single clips;
        temporal_consistency: neighbouring clips of a video, which may overlap;
        same_class, different_class: embeddings of two videos of different groups, of one class or of two;
        effective_rank, spread: of the clip embeddings, see `embedding.geometry`.
    """
    test_V = videos.held_out()
    x_VKD, start_VK = _by_video(clips, test_V)
    test = videos.rows(test_V)
    group_V = np.unique(test.group, return_inverse=True)[1]

    scores: dict[str, float] = {}
    same_V, neighbour_VK = _view_cosines(x_VKD, start_VK), _neighbour_cosines(x_VKD, start_VK)
    for name, cosine in (("same_video", same_V), ("temporal_consistency", neighbour_VK)):
        defined = np.isfinite(cosine)
        if defined.any():
            scores |= with_interval(name, cosine[defined], group_V[np.nonzero(defined)[0]])
    scores |= _between_videos(unit(test.x_ND.astype(np.float64)), test.label, group_V)
    x_ND = x_VKD.reshape(-1, x_VKD.shape[2])
    return scores | {"effective_rank": effective_rank(x_ND), "spread": spread(x_ND)}


def forecasting_error(
    features: ClipEmbeddings, targets: ClipEmbeddings, videos: Embeddings, forecaster: Forecaster, span: int
) -> dict[str, float]:
    """Squared error of the forecasts of all pairs of clips of test videos (of all videos if none is held out).

    Args:
        features, targets, videos, forecaster, span: see `forecast_pairs.score_pairs`, which has the same pairs.

    Returns:
        Both with a 95 % interval over groups; both absent if there are no pairs.
        forecasting_error: mean over pairs and dimensions of the squared difference of forecast and target, neither of
            them normalised. It grows with the scale of the targets, so encoders cannot be compared by it;
        forecasting_error_relative: divided by the variance of the targets of training clips (of all clips if there are
            none), mean over dimensions. 1 is as good as always forecasting their mean. Absent if all are equal.
    """
    clips = common_clips(features, targets, videos)
    features_XD, target_XP = features.x_ND[clips.feature], targets.x_ND[clips.target]
    pairs = clip_pairs(clips[in_split(clips, "test")], span)
    if pairs.empty:
        return {}
    context_N, future_N, gap_N = (pairs[column].to_numpy() for column in ("context", "future", "gap"))
    error_N = np.empty(len(pairs))
    for rows in pairs.groupby("video").indices.values():  # video by video, to bound the memory
        forecast_NP = forecaster(features_XD[context_N[rows]], np.arange(len(rows)), gap_N[rows])
        error_N[rows] = np.square(forecast_NP - target_XP[future_N[rows]]).mean(axis=1)
    scores = with_interval("forecasting_error", error_N, pairs.group)

    train_XP = target_XP[in_split(clips, "train")].astype(np.float64)
    variance = train_XP.var(axis=0).mean()
    if variance > NO_VARIANCE * np.square(train_XP).mean():
        scores |= with_interval("forecasting_error_relative", error_N / variance, pairs.group)
    return scores


def paper_examples(clips: ClipEmbeddings, videos: Embeddings) -> dict[str, float]:
    """The similarities of the paper's own three videos, wherever they are in the split.

    Args:
        clips, videos: as for `similarities`.

    Returns:
        same_video and temporal_consistency of EXAMPLE, same_class and different_class of EXAMPLE and the other two.
        Empty unless all three videos are there.
    """
    row_of = {stem: row for row, stem in enumerate(_stems(videos.video))}
    names = (EXAMPLE, SAME_CLASS_EXAMPLE, DIFFERENT_CLASS_EXAMPLE)
    if not row_of.keys() >= set(names):
        return {}
    example, same, different = (row_of[name] for name in names)
    x_VKD, start_VK = _by_video(clips, np.arange(len(videos.video)) == example)
    u_VD = unit(videos.x_ND.astype(np.float64))
    scores = {
        "same_video": _view_cosines(x_VKD, start_VK)[0],
        "same_class": u_VD[example] @ u_VD[same],
        "different_class": u_VD[example] @ u_VD[different],
    }
    neighbour_K = _neighbour_cosines(x_VKD, start_VK)[0]
    if np.isfinite(neighbour_K).any():
        scores["temporal_consistency"] = np.nanmean(neighbour_K)
    return {name: float(score) for name, score in scores.items() if np.isfinite(score)}


def is_ucf101(source: str, video_V: Iterable[str]) -> bool:
    """Whether these are videos of UCF101, so that the paper's values may stand beside their scores.

    Args:
        source: `data.source`.
        video_V: names of the videos. In a folder of the user's own, all of them must be named as in UCF101.
    """
    return source == "ucf101" or (source == "folder" and all(map(UCF101_NAME.fullmatch, _stems(video_V))))


def _stems(video_V: Iterable[str]) -> list[str]:
    return [PurePosixPath(video).stem for video in video_V]


def _by_video(clips: ClipEmbeddings, keep_V: npt.NDArray[np.bool_]) -> tuple[FloatArray, Integers]:
    """Embeddings [V, K, D] and starts [V, K] of the clips of the videos to keep; V counts these."""
    x_VKD = clips.x_ND.reshape(len(keep_V), -1, clips.x_ND.shape[1])
    return x_VKD[keep_V], clips.start.reshape(len(keep_V), -1)[keep_V]


def _view_cosines(x_VKD: FloatArray, start_VK: Integers) -> Reals:
    """Cosine of the mean of even-numbered and of odd-numbered clips: [V]; nan if a video has just one clip.

    Clips with the same start, as in short videos, are one clip.
    """
    distinct_VK = np.diff(start_VK, axis=1, prepend=-1) > 0
    odd_VK = (np.cumsum(distinct_VK, axis=1) - 1) % 2 == 1
    even_VD, odd_VD = (
        unit(np.einsum("vk,vkd->vd", (distinct_VK & half_VK).astype(np.float32), x_VKD).astype(np.float64))
        for half_VK in (~odd_VK, odd_VK)
    )
    return np.where(distinct_VK.sum(axis=1) > 1, (even_VD * odd_VD).sum(axis=1), np.nan)


def _neighbour_cosines(x_VKD: FloatArray, start_VK: Integers) -> Reals:
    """Cosines of each clip and the next: [V, K - 1]; nan where both have the same start."""
    u_VKD = unit(x_VKD.reshape(-1, x_VKD.shape[2])).reshape(x_VKD.shape)
    cosine_VK = (u_VKD[:, 1:] * u_VKD[:, :-1]).sum(axis=2, dtype=np.float64)
    return np.where(np.diff(start_VK, axis=1) > 0, cosine_VK, np.nan)


def _between_videos(u_VD: Reals, label_V: TextArray, group_V: Integers) -> dict[str, float]:
    """same_class and different_class, with intervals."""

    def means(weight_RG: Reals) -> dict[str, Reals]:
        same_2R, different_2R = sums_by_class(u_VD, label_V, group_V, weight_RG)
        return means_of({"same_class": same_2R, "different_class": different_2R})

    return with_intervals(means, int(group_V.max()) + 1)
