"""Forecast skill: how much closer does the forecast come to the true future than what needs no forecaster?

    skill = 1 - mean error of the forecast / mean error of the reference

as meteorologists score forecasts (Murphy, "Skill Scores Based on the Mean Square Error and Their Relationships to the
Correlation Coefficient", 1988; Wilks, "Statistical Methods in the Atmospheric Sciences"): 1 is perfect, 0 no better
than the reference, below 0 worse. Errors are squared distances in the space of the targets, where forecasts and
targets have length 1. The references are

    persistence   the future looks as the context does: the target embedding of the context clip itself
    climatology   the future looks as always: the mean target of training clips, the best of all constants

A forecast told a wrong gap, that of another pair, shows whether the predictor uses the gap. And since a small error
does not say that futures can be told apart, each forecast must also be nearest to its own future among other clips.

Every two clips of a video that do not overlap are a pair, the earlier one its context. Pairs of a group are alike, so
intervals are by bootstrap over groups.

Shapes: N pairs of clips, X clips, K clips of a video, V videos, D feature and P projection dimensions, C candidates,
S scores, B gap bins, G groups, R resamples.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.config import Forecast
from mofore.embedding.geometry import unit
from mofore.embedding.store import ClipEmbeddings, Embeddings, FloatArray
from mofore.evaluation.bootstrap import resamples

IntArray = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
Forecaster = Callable[[FloatArray, IntArray, IntArray], FloatArray]  # features [K, D], contexts [N], gaps [N]: [N, P]
CANDIDATES = 100  # futures of which one is right, where there are so many other videos
MOST_CLIPS = 20  # a video, uniformly spaced, 190 pairs: bounds the time
TIE = 1e-6  # similarities this close are equal, but for rounding
ROUNDING = 1e-10  # squared distances below are 0, but for rounding

SKILLS = {  # errors of a forecast and of its reference, columns of the pairs
    "skill_persistence": ("forecast", "persistence"),
    "skill_climatology": ("forecast", "climatology"),
    "skill_shuffled_gap": ("shuffled_gap", "persistence"),
    "gap_use": ("forecast", "shuffled_gap"),
}
ACCURACIES = {  # what is counted, and among which pairs, columns of the pairs
    "accuracy_videos": ("video", "video_open"),
    "accuracy_videos_persistence": ("video_persistence", "video_open"),
    "accuracy_videos_chance": ("video_chance", "video_open"),
    "accuracy_moments": ("moment", "moment_open"),
    "accuracy_moments_persistence": ("moment_persistence", "moment_open"),
    "accuracy_moments_chance": ("moment_chance", "moment_open"),
}
COLUMNS = tuple(dict.fromkeys(column for both in (SKILLS | ACCURACIES).values() for column in both))
SKILL_SERIES = {
    "against persistence": "skill_persistence",
    "against climatology": "skill_climatology",
    "against persistence, with a shuffled gap": "skill_shuffled_gap",
}
ACCURACY_SERIES = {
    "among other videos": ("accuracy_videos", "accuracy_videos_chance"),
    "among other moments of the video": ("accuracy_moments", "accuracy_moments_chance"),
    "among other videos, by persistence": ("accuracy_videos_persistence", "accuracy_videos_chance"),
    "among other moments of the video, by persistence": ("accuracy_moments_persistence", "accuracy_moments_chance"),
}


def score_pairs(
    features: ClipEmbeddings, targets: ClipEmbeddings, videos: Embeddings, forecaster: Forecaster, span: int, seed: int
) -> pd.DataFrame:
    """Score the forecast of every pair of clips of the test videos (of all videos if none is held out).

    Args:
        features: what the forecaster makes its forecasts from.
        targets: embeddings in the space of the forecasts; of clips that `features` has, too. Climatology is the mean of
            those of training videos (of all, if there are none).
        videos: their groups and splits.
        forecaster: maps the features of a video's clips, the number of each pair's context, and the gap that it is
            told, to forecasts, not normalised.
        span: video frames that a clip covers.
        seed: of wrong gaps and of candidates.

    Returns:
        One row a pair, whatever the order of clips and videos, with columns
        group;
        gap: video frames between the two clips;
        forecast, wrong_gap, persistence, climatology: squared distances to the true future, 0 to 4;
        video: is the forecast nearer to its own future than to one future of each of up to 99 videos of other groups?
            1, 0, or a share where equally near ones leave it open;
        moment: the same among all later clips of the video that do not overlap with the context;
        video_persistence, moment_persistence: the same with the target embedding of the context as the forecast;
        video_chance, moment_chance: one over the number of candidates;
        video_open, moment_open: 1, or 0 where there is nothing else to pick; then the three before are 0, too.
    """
    clips = _common_clips(features, targets, videos)
    features_XD, target_XP = features.x_ND[clips.feature], unit(targets.x_ND[clips.target])
    climate_P = target_XP[_of_split(clips, "train")].mean(axis=0)
    pairs = _pairs_of(clips[_of_split(clips, "test")], span)
    context_N, future_N, gap_N = (pairs[column].to_numpy() for column in ("context", "future", "gap"))
    rng = np.random.default_rng(seed)
    wrong_N = gap_N[rng.permutation(len(gap_N))]

    _, first_V, count_V = np.unique(pairs.video.to_numpy(str), return_index=True, return_counts=True)
    group_V = pairs.group.to_numpy(str)[first_V]
    scores = {column: np.zeros(len(pairs)) for column in COLUMNS}
    for video, (first, count) in enumerate(zip(first_V, count_V, strict=True)):
        others = np.flatnonzero(group_V != group_V[video])
        others = rng.choice(others, min(len(others), CANDIDATES - 1), replace=False)
        other_CP = target_XP[future_N[first_V[others] + rng.integers(count_V[others])]]

        at = slice(first, first + count)
        clip = slice(context_N[first], future_N[at].max() + 1)
        context, future, target_KP = context_N[at] - clip.start, future_N[at] - clip.start, target_XP[clip]
        forecast_NP, misled_NP = (unit(forecaster(features_XD[clip], context, told[at])) for told in (gap_N, wrong_N))
        guesses = {"forecast": forecast_NP, "shuffled_gap": misled_NP, "persistence": target_KP[context]}
        for column, guess_NP in (guesses | {"climatology": climate_P}).items():
            scores[column][at] = _distances(guess_NP, target_KP[future])
        for column, correct_N in _accuracies(forecast_NP, target_KP, context, future, other_CP).items():
            scores[column][at] = correct_N
    return pairs[["group", "gap"]].assign(**scores)


def by_gap(pairs: pd.DataFrame, bins: int, trained: Forecast) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Skill and accuracy against the gap, with 95 % intervals; no rows where they are not defined.

    Args:
        pairs: as from `score_pairs`.
        bins: number of gap bins, with about equal numbers of pairs.
        trained: holds the shortest and the longest gap of training; no bin has gaps on both sides of these.

    Returns:
        A table with columns series, gap (video frames, mean of the bin), skill, low, high; and one with columns series,
        gap, share, low, high, chance. Both have a last column, trained: did training have such gaps?
    """
    gap_N = pairs.gap.to_numpy()
    bin_N = gap_bins(gap_N, bins, trained)
    gap_B = np.bincount(bin_N, gap_N) / np.bincount(bin_N)
    trained_B = (gap_B >= trained.gap_min) & (gap_B <= trained.gap_max)
    found = score_bins(pairs, bin_N) if len(pairs) else {}
    skill, accuracy = [], []
    for series, name in SKILL_SERIES.items():
        skill += [(series, gap_B[b], *found[name][b], trained_B[b]) for b in range(len(gap_B))]
    for series, (name, chance) in ACCURACY_SERIES.items():
        accuracy += [(series, gap_B[b], *found[name][b], found[chance][b, 0], trained_B[b]) for b in range(len(gap_B))]
    return (
        pd.DataFrame(skill, columns=["series", "gap", "skill", "low", "high", "trained"]).dropna(),
        pd.DataFrame(accuracy, columns=["series", "gap", "share", "low", "high", "chance", "trained"]).dropna(),
    )


def summary(pairs: pd.DataFrame, trained: Forecast) -> dict[str, float]:
    """Scores over all pairs; none without pairs, and none that is not defined.

    Returns:
        skill_persistence, skill_climatology, skill_shuffled_gap: see SKILL_SERIES;
        gap_use: skill of the forecast against the same told a wrong gap; above 0 if the predictor uses the gap;
        accuracy_videos, accuracy_moments: accuracies; and, with the context as the forecast,
            accuracy_videos_persistence; all these with _low and _high, their 95 % interval;
        accuracy_videos_chance, accuracy_moments_chance;
        pairs, their number; gap_mean, video frames; trained, share of pairs with a gap that training had.
    """
    if not len(pairs):
        return {}
    found: dict[str, float] = {}
    for name, score_13 in score_bins(pairs, np.zeros(len(pairs), np.int64)).items():
        score, low, high = score_13[0].tolist()
        if np.isnan(score) or name == "accuracy_moments_persistence":  # persistence ignores the gap: chance
            continue
        found |= {name: score} if name.endswith("_chance") else {name: score, f"{name}_low": low, f"{name}_high": high}
    within = pairs.gap.between(trained.gap_min, trained.gap_max)
    return found | {"pairs": len(pairs), "gap_mean": float(pairs.gap.mean()), "trained": float(within.mean())}


def score_bins(pairs: pd.DataFrame, bin_N: IntArray) -> dict[str, Numbers]:
    """Each of SKILLS and ACCURACIES in every bin, [B, 3]: the score, low and high; NaN where it is not defined."""
    tops, bottoms = zip(*(SKILLS | ACCURACIES).values(), strict=True)
    ratio_BS3 = ratios(pairs[list(tops)].to_numpy(), pairs[list(bottoms)].to_numpy(), bin_N, pairs.group.to_numpy(str))
    named = zip(SKILLS | ACCURACIES, ratio_BS3.transpose(1, 0, 2), strict=True)
    return {name: 1 - ratio_B3[:, [0, 2, 1]] if name in SKILLS else ratio_B3 for name, ratio_B3 in named}


def ratios(top_NS: Numbers, bottom_NS: Numbers, bin_N: IntArray, group_N: npt.NDArray[np.str_]) -> Numbers:
    """Ratios of sums, in each bin, and their 95 % percentile intervals over resamples of whole groups.

    Resamples are those of `group_interval`, but once for all ratios, from the groups of all bins.

    Args:
        top_NS, bottom_NS: what is summed, at least 0.
        bin_N: numbers from 0 on, at least one.
        group_N: the group of each row.

    Returns:
        [B, S, 3]: ratio, low, high; NaN where the bottom's sum is 0. Resamples in which it is 0 are left out.
    """
    names, group = np.unique(group_N, return_inverse=True)
    groups, bins, n_scores = len(names), int(bin_N.max()) + 1, top_NS.shape[1]
    top_GBS, bottom_GBS = np.zeros((2, groups, bins, n_scores))
    np.add.at(top_GBS, (group, bin_N), top_NS)
    np.add.at(bottom_GBS, (group, bin_N), bottom_NS)
    defined_BS = bottom_GBS.sum(axis=0) > 0
    top_GX, bottom_GX = top_GBS[:, defined_BS], bottom_GBS[:, defined_BS]  # X: those that are defined

    sums = [(times_RG @ top_GX, times_RG @ bottom_GX) for times_RG in resamples(groups)]
    top_RX, bottom_RX = (np.concatenate(parts) for parts in zip(*sums, strict=True))
    ratio_RX = np.divide(top_RX, bottom_RX, out=np.full_like(top_RX, np.nan), where=bottom_RX > 0)
    found_BS3 = np.full((bins, n_scores, 3), np.nan)
    found_BS3[defined_BS, 0] = top_GX.sum(axis=0) / bottom_GX.sum(axis=0)
    found_BS3[defined_BS, 1:] = np.nanquantile(ratio_RX, (0.025, 0.975), axis=0).T
    return found_BS3


def gap_bins(gap_N: IntArray, bins: int, trained: Forecast) -> IntArray:
    """The bin of each gap, numbered from 0 in the order of the gaps; about `bins` with about equal numbers of pairs.

    Gaps shorter than those of training, those of training, and longer ones have bins of their own.
    """
    zone_N = (gap_N >= trained.gap_min).astype(np.int64) + (gap_N > trained.gap_max)
    bin_N = np.zeros(len(gap_N), np.int64)
    for zone in np.unique(zone_N):
        of_zone = zone_N == zone
        count = max(1, round(bins * of_zone.mean()))
        edges = np.quantile(gap_N[of_zone], np.linspace(0, 1, count + 1)[1:-1])  # upper ends of all bins but the last
        bin_N[of_zone] = zone * bins + np.searchsorted(edges, gap_N[of_zone])
    return np.unique(bin_N, return_inverse=True)[1]


def _common_clips(features: ClipEmbeddings, targets: ClipEmbeddings, videos: Embeddings) -> pd.DataFrame:
    """Clips that both have, at most MOST_CLIPS a video; columns `feature` and `target` are their rows in each."""
    of_features, of_targets = (
        pd.DataFrame({"video": clips.video, "start": clips.start, name: np.arange(len(clips.video))})
        for name, clips in (("feature", features), ("target", targets))
    )
    once = ["video", "start"]  # clips of a video too short for so many start at the same frame
    of_videos = pd.DataFrame({"video": videos.video, "group": videos.group, "split": videos.split})
    clips = of_features.drop_duplicates(once).merge(of_targets.drop_duplicates(once), on=once)
    clips = clips.merge(of_videos, on="video").sort_values(once)
    number, count = clips.groupby("video").cumcount(), clips.groupby("video").start.transform("size")
    return clips[number * MOST_CLIPS // count > (number - 1) * MOST_CLIPS // count].reset_index(drop=True)


def _of_split(clips: pd.DataFrame, split: str) -> npt.NDArray[np.bool_]:
    of_split = (clips.split == split).to_numpy()
    return of_split if of_split.any() else np.ones(len(clips), bool)


def _pairs_of(clips: pd.DataFrame, span: int) -> pd.DataFrame:
    """All pairs without overlap, by video, context and future; the last two are labels of rows of `clips`."""
    clips = clips.reset_index(names="row")
    both = clips.merge(clips, on="video", suffixes=("", "_later"))
    columns = {"context": both.row, "future": both.row_later, "gap": both.start_later - both.start - span}
    pairs = both[["video", "group"]].assign(**columns)
    return pairs[pairs.gap >= 0].sort_values(["context", "future"], ignore_index=True)


def _distances(guess_NP: FloatArray, own_NP: FloatArray) -> Numbers:
    distance_N = np.square(guess_NP - own_NP).sum(axis=1)
    return np.where(distance_N < ROUNDING, 0, distance_N)


def _accuracies(
    forecast_NP: FloatArray, target_KP: FloatArray, context_N: IntArray, future_N: IntArray, other_CP: FloatArray
) -> dict[str, Numbers]:
    """Accuracy of the forecast and of persistence, and of chance, by column of the pairs.

    Args:
        other_CP: futures of other videos.
    """
    every_N = np.arange(len(future_N))
    pair_KK = np.zeros((len(target_KP), len(target_KP)), bool)
    pair_KK[context_N, future_N] = True
    moment_NK = pair_KK[context_N]  # later clips that do not overlap with the context
    moment_NK[every_N, future_N] = False
    correct: dict[str, Numbers] = {}
    for suffix, guess_NP in (("", forecast_NP), ("_persistence", target_KP[context_N])):
        similarity_NK = guess_NP @ target_KP.T
        own_N1 = similarity_NK[every_N, future_N][:, None]
        correct[f"video{suffix}"] = _correct(own_N1, guess_NP @ other_CP.T)
        correct[f"moment{suffix}"] = _correct(own_N1, np.where(moment_NK, similarity_NK, -np.inf))
    for kind, others_N in (("video", np.full(len(future_N), len(other_CP))), ("moment", moment_NK.sum(axis=1))):
        correct[f"{kind}_open"] = open_N = (others_N > 0).astype(np.float64)
        correct[f"{kind}_chance"] = open_N / (1 + others_N)
    return correct


def _correct(own_N1: FloatArray, other_NC: FloatArray) -> Numbers:
    """Is the own similarity above all others? Of equal ones, one is picked at random: the share that is expected.

    0 where there are no others; those that are no candidates are -inf.
    """
    wrong_N = (other_NC > own_N1 + TIE).any(axis=1) | np.isneginf(other_NC).all(axis=1)
    ties_N = (np.abs(other_NC - own_N1) <= TIE).sum(axis=1)
    return np.where(wrong_N, 0, 1 / (1 + ties_N))
