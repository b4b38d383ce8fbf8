"""Forecast the later clip of each pair of clips of a video, and measure the errors of the forecast and of references.

A pair is any two clips of a video that do not overlap. The earlier clip is the context, the later one the future. Each
pair gets two forecasts: one with its true gap, and one with the gap of another pair, which shows whether the predictor
uses the gap. Errors are squared distances between forecast and target, both scaled to length 1.

A small error does not prove that forecasts distinguish futures. So it is also measured whether a forecast is nearest to
its own future among candidates: futures of other videos, and other later clips of the same video. `forecast_skill`
turns both measures into scores.

Shapes: N pairs of clips, X clips, K clips of a video, V videos, D feature and P projection dimensions, C candidates.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.embedding.geometry import unit
from mofore.embedding.store import ClipEmbeddings, Embeddings, FloatArray
from mofore.splits import these_or_all

IntArray = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Forecaster = Callable[[FloatArray, IntArray, IntArray], FloatArray]  # features [K, D], contexts [N], gaps [N]: [N, P]
CANDIDATES = 100  # the true future and at most 99 futures of other videos
MOST_CLIPS = 20  # of a video, uniformly spaced; they give at most 190 pairs, which bounds the time
TIE = 1e-6  # similarities that differ by no more count as equal, because of rounding
ROUNDING = 1e-10  # squared distances below this count as 0, because of rounding
COLUMNS = (
    "forecast",
    "persistence",
    "climatology",
    "shuffled_gap",
    "video",
    "video_scored",
    "video_persistence",
    "video_chance",
    "moment",
    "moment_scored",
    "moment_persistence",
    "moment_chance",
)


def score_pairs(
    features: ClipEmbeddings, targets: ClipEmbeddings, videos: Embeddings, forecaster: Forecaster, span: int, seed: int
) -> pd.DataFrame:
    """Forecast every pair of clips of the test videos (of all videos if the split has no test videos).

    Args:
        features: clip features, the input of the forecaster.
        targets: clip embeddings in the space of the forecasts. Only clips that `features` has, too, are used. The
            climatology is the mean target of the training videos (of all videos if there are no training videos).
        videos: group and split of each video.
        forecaster: takes the features of the clips of one video [K, D], the index of the context of each pair [N], and
            the gap of each pair [N]. Returns forecasts [N, P] of any length.
        span: video frames that a clip covers.
        seed: of the shuffled gaps and of the candidates.

    Returns:
        One row per pair. The order of clips and videos in the input does not matter. Columns `group`, `gap`, COLUMNS:
        gap: video frames between the two clips;
        forecast, shuffled_gap, persistence, climatology: squared distance to the true future, 0 to 4. The guess is the
            forecast, the forecast with the gap of another pair, the target of the context, and the mean target;
        video: 1 if the forecast is nearer to its own future than to one future of each of up to 99 videos of other
            groups, else 0. If n of them are as near as the own future, and none is nearer, 1 / (1 + n);
        moment: the same, among all other later clips of the video that do not overlap with the context;
        video_persistence, moment_persistence: the same, with the target of the context as the forecast;
        video_chance, moment_chance: 1 / (1 + number of other futures), the expected value for a random choice;
        video_scored, moment_scored: 1, or 0 if there are no other futures. Then the three columns above are 0, too.
    """
    clips = common_clips(features, targets, videos)
    features_XD, target_XP = features.x_ND[clips.feature], unit(targets.x_ND[clips.target])
    climatology_P = target_XP[in_split(clips, "train")].mean(axis=0)
    pairs = clip_pairs(clips[in_split(clips, "test")], span)
    context_N, future_N, gap_N = (pairs[column].to_numpy() for column in ("context", "future", "gap"))
    rng = np.random.default_rng(seed)
    shuffled_N = gap_N[rng.permutation(len(gap_N))]

    _, first_V, count_V = np.unique(pairs.video.to_numpy(str), return_index=True, return_counts=True)
    group_V = pairs.group.to_numpy(str)[first_V]
    scores = {column: np.zeros(len(pairs)) for column in COLUMNS}
    for video, (first, count) in enumerate(zip(first_V, count_V, strict=True)):
        others = np.flatnonzero(group_V != group_V[video])
        others = rng.choice(others, min(len(others), CANDIDATES - 1), replace=False)
        other_CP = target_XP[future_N[first_V[others] + rng.integers(count_V[others])]]

        at = slice(first, first + count)  # pairs of this video
        clip = slice(context_N[first], future_N[at].max() + 1)  # clips of this video
        context, future, target_KP = context_N[at] - clip.start, future_N[at] - clip.start, target_XP[clip]
        forecast_NP = unit(forecaster(features_XD[clip], context, gap_N[at]))
        shuffled_NP = unit(forecaster(features_XD[clip], context, shuffled_N[at]))
        guesses = {"forecast": forecast_NP, "shuffled_gap": shuffled_NP, "persistence": target_KP[context]}
        for column, guess_NP in (guesses | {"climatology": climatology_P}).items():
            scores[column][at] = _squared_distances(guess_NP, target_KP[future])
        for column, correct_N in _correct_columns(forecast_NP, target_KP, context, future, other_CP).items():
            scores[column][at] = correct_N
    return pairs[["group", "gap"]].assign(**scores)


def common_clips(features: ClipEmbeddings, targets: ClipEmbeddings, videos: Embeddings) -> pd.DataFrame:
    """Clips that are in both, at most MOST_CLIPS a video.

    Returns:
        Columns `feature` and `target`, the clip's rows in each, and video, start, group and split; sorted by video and
        start.
    """
    of_features, of_targets = (
        pd.DataFrame({"video": clips.video, "start": clips.start, name: np.arange(len(clips.video))})
        for name, clips in (("feature", features), ("target", targets))
    )
    key = ["video", "start"]  # not unique: in a short video, several clips start at the same frame
    of_videos = pd.DataFrame({"video": videos.video, "group": videos.group, "split": videos.split})
    clips = of_features.drop_duplicates(key).merge(of_targets.drop_duplicates(key), on=key)
    clips = clips.merge(of_videos, on="video").sort_values(key)
    number, count = clips.groupby("video").cumcount(), clips.groupby("video").start.transform("size")
    return clips[number * MOST_CLIPS // count > (number - 1) * MOST_CLIPS // count].reset_index(drop=True)


def in_split(clips: pd.DataFrame, split: str) -> npt.NDArray[np.bool_]:
    """Which clips are in this split; all clips, if none is."""
    return these_or_all((clips.split == split).to_numpy())


def clip_pairs(clips: pd.DataFrame, span: int) -> pd.DataFrame:
    """All pairs of clips that do not overlap, sorted by context and future, which are index labels of `clips`."""
    clips = clips.reset_index(names="row")
    both = clips.merge(clips, on="video", suffixes=("", "_later"))
    columns = {"context": both.row, "future": both.row_later, "gap": both.start_later - both.start - span}
    pairs = both[["video", "group"]].assign(**columns)
    return pairs[pairs.gap >= 0].sort_values(["context", "future"], ignore_index=True)


def _squared_distances(guess_NP: FloatArray, target_NP: FloatArray) -> Numbers:
    distance_N = np.square(guess_NP - target_NP).sum(axis=1)
    return np.where(distance_N < ROUNDING, 0, distance_N)


def _correct_columns(
    forecast_NP: FloatArray, target_KP: FloatArray, context_N: IntArray, future_N: IntArray, other_CP: FloatArray
) -> dict[str, Numbers]:
    """The columns `video...` and `moment...` for the pairs of one video, see `score_pairs`.

    Args:
        forecast_NP: forecasts of length 1.
        target_KP: targets of the video's clips.
        context_N, future_N: rows of `target_KP`.
        other_CP: futures of other videos.
    """
    every_N = np.arange(len(future_N))
    is_pair_KK = np.zeros((len(target_KP), len(target_KP)), bool)
    is_pair_KK[context_N, future_N] = True
    moment_NK = is_pair_KK[context_N]  # the other futures: later clips that do not overlap with the context
    moment_NK[every_N, future_N] = False
    correct: dict[str, Numbers] = {}
    for suffix, guess_NP in (("", forecast_NP), ("_persistence", target_KP[context_N])):
        similarity_NK = guess_NP @ target_KP.T
        own_N1 = similarity_NK[every_N, future_N][:, None]
        correct[f"video{suffix}"] = _probability_correct(own_N1, guess_NP @ other_CP.T)
        correct[f"moment{suffix}"] = _probability_correct(own_N1, np.where(moment_NK, similarity_NK, -np.inf))
    for kind, others_N in (("video", np.full(len(future_N), len(other_CP))), ("moment", moment_NK.sum(axis=1))):
        correct[f"{kind}_scored"] = scored_N = (others_N > 0).astype(np.float64)
        correct[f"{kind}_chance"] = scored_N / (1 + others_N)
    return correct


def _probability_correct(own_N1: FloatArray, other_NC: FloatArray) -> Numbers:
    """Probability that the own future is chosen as the most similar, if ties are broken at random.

    Args:
        own_N1: similarity to the own future.
        other_NC: similarities to other futures; -inf marks those to leave out.

    Returns:
        1 or 0; 1 / (1 + n) if n others tie with the own future; 0 without others.
    """
    wrong_N = (other_NC > own_N1 + TIE).any(axis=1) | np.isneginf(other_NC).all(axis=1)
    ties_N = (np.abs(other_NC - own_N1) <= TIE).sum(axis=1)
    return np.where(wrong_N, 0, 1 / (1 + ties_N))
