"""Forecast skill: by how much is the error of the forecasts smaller than the error of references that learn nothing?

    skill = 1 - mean error of the forecast / mean error of the reference

as meteorologists score forecasts (Murphy, "Skill Scores Based on the Mean Square Error and Their Relationships to the
Correlation Coefficient", 1988; Wilks, "Statistical Methods in the Atmospheric Sciences"). 1 is perfect, 0 no better
than the reference, below 0 worse. The references are

    persistence   nothing changes: the forecast is the target embedding of the context
    climatology   all futures are alike: the forecast is the mean target of training clips, the best constant

`forecast_pairs` makes the forecasts and their errors. Pairs of one group are alike, so confidence intervals are by
bootstrap over groups.

Shapes: N pairs of clips, S scores, B gap bins, G groups, R resamples, X defined ratios of all bins and scores.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.config import Forecast
from mofore.evaluation.bootstrap import resamples
from mofore.evaluation.forecast_pairs import IntArray, Numbers

SKILLS = {  # the error of the forecast and the error of its reference: columns of the pairs
    "skill_persistence": ("forecast", "persistence"),
    "skill_climatology": ("forecast", "climatology"),
    "skill_shuffled_gap": ("shuffled_gap", "persistence"),
    "gap_use": ("forecast", "shuffled_gap"),
}
ACCURACIES = {  # what is summed, and the number of pairs that are scored: columns of the pairs
    "accuracy_videos": ("video", "video_scored"),
    "accuracy_videos_persistence": ("video_persistence", "video_scored"),
    "accuracy_videos_chance": ("video_chance", "video_scored"),
    "accuracy_moments": ("moment", "moment_scored"),
    "accuracy_moments_persistence": ("moment_persistence", "moment_scored"),
    "accuracy_moments_chance": ("moment_chance", "moment_scored"),
}
SKILL_SERIES = {
    "against persistence": "skill_persistence",
    "against climatology": "skill_climatology",
    "against persistence, with a shuffled gap": "skill_shuffled_gap",
}
NEED_THE_GAP = ("gap_use", "skill_shuffled_gap")  # mean nothing if the predictor does not get the gap
ACCURACY_SERIES = {
    "among other videos": ("accuracy_videos", "accuracy_videos_chance"),
    "among other moments of the video": ("accuracy_moments", "accuracy_moments_chance"),
    "among other videos, by persistence": ("accuracy_videos_persistence", "accuracy_videos_chance"),
    "among other moments of the video, by persistence": ("accuracy_moments_persistence", "accuracy_moments_chance"),
}


def by_gap(pairs: pd.DataFrame, bins: int, trained: Forecast) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Skill and accuracy by gap, with 95 % intervals over groups. Rows that are not defined are left out.

    Args:
        pairs: the table of `forecast_pairs.score_pairs`.
        bins: number of gap bins, see `gap_bins`.
        trained: section `forecast` of the parameters that the model was trained with, for the range of gaps.

    Returns:
        Two tables: skill, with columns series, gap (video frames, mean of the bin), skill, low, high, trained; and
        accuracy, with columns series, gap, share, low, high, chance, trained. `trained` is True if the gaps of the bin
        were in the range of training.
    """
    gap_N = pairs.gap.to_numpy()
    bin_N = gap_bins(gap_N, bins, trained)
    gap_B = np.bincount(bin_N, gap_N) / np.bincount(bin_N)
    trained_B = (gap_B >= trained.gap_min) & (gap_B <= trained.gap_max)
    scores = score_bins(pairs, bin_N) if len(pairs) else {}
    skill, accuracy = [], []
    for series, name in SKILL_SERIES.items():
        if name in NEED_THE_GAP and trained.gap_conditioning == "none":
            continue
        skill += [(series, gap_B[b], *scores[name][b], trained_B[b]) for b in range(len(gap_B))]
    for series, (name, chance) in ACCURACY_SERIES.items():
        for b in range(len(gap_B)):
            accuracy.append((series, gap_B[b], *scores[name][b], scores[chance][b, 0], trained_B[b]))
    return (
        pd.DataFrame(skill, columns=["series", "gap", "skill", "low", "high", "trained"]).dropna(),
        pd.DataFrame(accuracy, columns=["series", "gap", "share", "low", "high", "chance", "trained"]).dropna(),
    )


def summary(pairs: pd.DataFrame, trained: Forecast) -> dict[str, float]:
    """Scores over all pairs. Scores that are not defined are left out; without pairs there are none.

    Returns:
        skill_persistence, skill_climatology: skill of the forecast against each reference;
        skill_shuffled_gap: skill against persistence, of forecasts with the gap of another pair;
        gap_use: skill of the forecast against the forecast with the gap of another pair; above 0 if the predictor uses
            the gap; left out if the predictor does not get it;
        accuracy_videos, accuracy_moments: accuracy of the forecasts, 0 to 1;
        accuracy_videos_persistence: accuracy with the context as the forecast;
        accuracy_videos_chance, accuracy_moments_chance: expected accuracy of a random choice;
        pairs: number of pairs; gap_mean: in video frames; trained: share of pairs with a gap in the range of training.

        Skills, gap_use and accuracies also have `_low` and `_high`, their 95 % interval over groups.
    """
    if not len(pairs):
        return {}
    scores: dict[str, float] = {}
    for name, interval_13 in score_bins(pairs, np.zeros(len(pairs), np.int64)).items():
        score, low, high = interval_13[0].tolist()
        if np.isnan(score) or name == "accuracy_moments_persistence":  # it ignores the gap, so its accuracy is chance
            continue
        if name in NEED_THE_GAP and trained.gap_conditioning == "none":
            continue
        scores |= {name: score} if name.endswith("_chance") else {name: score, f"{name}_low": low, f"{name}_high": high}
    in_range = pairs.gap.between(trained.gap_min, trained.gap_max)
    return scores | {"pairs": len(pairs), "gap_mean": float(pairs.gap.mean()), "trained": float(in_range.mean())}


def score_bins(pairs: pd.DataFrame, bin_N: IntArray) -> dict[str, Numbers]:
    """Each score of SKILLS and ACCURACIES in every bin, [B, 3]: score, low, high. NaN where it is not defined."""
    top, bottom = zip(*(SKILLS | ACCURACIES).values(), strict=True)
    ratio_BS3 = ratios(pairs[list(top)].to_numpy(), pairs[list(bottom)].to_numpy(), bin_N, pairs.group.to_numpy(str))
    by_name = zip(SKILLS | ACCURACIES, ratio_BS3.transpose(1, 0, 2), strict=True)
    # Skill is 1 - ratio, so the high end of the ratio's interval is the low end of the skill's.
    return {name: 1 - ratio_B3[:, [0, 2, 1]] if name in SKILLS else ratio_B3 for name, ratio_B3 in by_name}


def ratios(top_NS: Numbers, bottom_NS: Numbers, bin_N: IntArray, group_N: npt.NDArray[np.str_]) -> Numbers:
    """Ratios of sums in each bin, with 95 % percentile intervals by bootstrap over groups.

    The resamples are those of `group_interval`. All ratios share them, and they draw from the groups of all bins.

    Args:
        top_NS, bottom_NS: numerators and denominators, which are summed over the rows of a bin; at least 0.
        bin_N: bin of each row, numbered from 0; at least one row.
        group_N: group of each row.

    Returns:
        [B, S, 3]: ratio, low, high. NaN where the sum of the denominators is 0. For an interval, resamples in which
        that sum is 0 are left out.
    """
    names, group = np.unique(group_N, return_inverse=True)
    groups, bins, n_scores = len(names), int(bin_N.max()) + 1, top_NS.shape[1]
    top_GBS, bottom_GBS = np.zeros((2, groups, bins, n_scores))
    np.add.at(top_GBS, (group, bin_N), top_NS)
    np.add.at(bottom_GBS, (group, bin_N), bottom_NS)
    defined_BS = bottom_GBS.sum(axis=0) > 0
    top_GX, bottom_GX = top_GBS[:, defined_BS], bottom_GBS[:, defined_BS]

    sums = [(times_RG @ top_GX, times_RG @ bottom_GX) for times_RG in resamples(groups)]
    top_RX, bottom_RX = (np.concatenate(parts) for parts in zip(*sums, strict=True))
    ratio_RX = np.divide(top_RX, bottom_RX, out=np.full_like(top_RX, np.nan), where=bottom_RX > 0)
    ratio_BS3 = np.full((bins, n_scores, 3), np.nan)
    ratio_BS3[defined_BS, 0] = top_GX.sum(axis=0) / bottom_GX.sum(axis=0)
    ratio_BS3[defined_BS, 1:] = np.nanquantile(ratio_RX, (0.025, 0.975), axis=0).T
    return ratio_BS3


def gap_bins(gap_N: IntArray, bins: int, trained: Forecast) -> IntArray:
    """The bin of each gap [N], numbered from 0 in the order of the gaps.

    There are about `bins` bins with about equal numbers of pairs. No bin mixes gaps below, inside and above the range
    of training.
    """
    zone_N = (gap_N >= trained.gap_min).astype(np.int64) + (gap_N > trained.gap_max)  # 0 below, 1 inside, 2 above
    bin_N = np.zeros(len(gap_N), np.int64)
    for zone in np.unique(zone_N):
        in_zone_N = zone_N == zone
        count = max(1, round(bins * in_zone_N.mean()))
        edges = np.quantile(gap_N[in_zone_N], np.linspace(0, 1, count + 1)[1:-1])  # upper ends, without the last bin
        bin_N[in_zone_N] = zone * bins + np.searchsorted(edges, gap_N[in_zone_N])
    return np.unique(bin_N, return_inverse=True)[1]
