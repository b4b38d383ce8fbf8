"""Mean similarity of pairs of videos of different groups, with intervals by the pigeonhole bootstrap.

If a resample has drawn group a w_a times and group b w_b times, a pair of a video of a and one of b counts w_a * w_b
times, because both videos vary between samples (Owen, "The pigeonhole bootstrap", 2007).

Shapes: V videos, D dimensions, G groups, R resamples. Totals are [2, R]: the sum of similarities, the number of pairs.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.embedding.store import TextArray
from mofore.evaluation.bootstrap import resamples

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def sum_across_groups(x_VD: Reals, group_V: Integers, weight_RG: Reals) -> Reals:
    """Sum of the similarities of all pairs of videos of different groups, and the number of these pairs: [2, R].

    The sum of all dot products is the squared length of the sum of all vectors. From it, pairs of one group are
    subtracted.

    Args:
        x_VD: vectors whose dot products are the similarities.
        group_V: group of each video, a column of `weight_RG`.
        weight_RG: how often each resample has drawn each group.
    """
    groups, group_V = np.unique(group_V, return_inverse=True)
    sum_GD = np.zeros((len(groups), x_VD.shape[1]))
    np.add.at(sum_GD, group_V, x_VD)
    count_G = np.bincount(group_V)
    weight_RG = weight_RG[:, groups]
    square_RG = np.square(weight_RG)
    similarity_R = np.square(weight_RG @ sum_GD).sum(axis=1) - square_RG @ np.square(sum_GD).sum(axis=1)
    number_R = np.square(weight_RG @ count_G) - square_RG @ np.square(count_G)
    return np.stack([similarity_R, number_R])


def sums_by_class(x_VD: Reals, label_V: TextArray, group_V: Integers, weight_RG: Reals) -> tuple[Reals, Reals]:
    """`sum_across_groups` of pairs of one class, and of pairs of two classes: [2, R] each.

    Videos without a label, "", are in no pair.
    """
    known_V = label_V != ""
    same_2R = np.zeros((2, len(weight_RG)))
    for name in np.unique(label_V[known_V]):
        same_2R += sum_across_groups(x_VD[label_V == name], group_V[label_V == name], weight_RG)
    return same_2R, sum_across_groups(x_VD[known_V], group_V[known_V], weight_RG) - same_2R


def means_of(total_2R: Mapping[str, Reals]) -> dict[str, Reals]:
    """Mean similarity [R] of each kind of pair; nan in resamples without such pairs."""
    return {
        name: np.where(number_R > 0, sum_R / np.maximum(number_R, 1), np.nan)
        for name, (sum_R, number_R) in total_2R.items()
    }


def with_intervals(means: Callable[[Reals], dict[str, Reals]], groups: int) -> dict[str, float]:
    """Scores with their 95 % intervals over groups: entries `name`, `name_low` and `name_high`.

    Args:
        means: gives the scores [R], by name, with each group counted weight_RG times; nan where undefined.
        groups: G.

    Returns:
        Scores that are undefined with each group counted once are absent.
    """
    drawn = pd.concat([pd.DataFrame(means(weight_RG)) for weight_RG in resamples(groups)])
    scores: dict[str, float] = {}
    for name, (mean,) in means(np.ones((1, groups))).items():
        if np.isfinite(mean):
            low, high = np.nanquantile(drawn[name], (0.025, 0.975))
            scores |= {name: float(mean), f"{name}_low": float(low), f"{name}_high": float(high)}
    return scores
