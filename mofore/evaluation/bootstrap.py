"""95 % confidence intervals of scores, by bootstrap over groups.

Videos of one group (recording, actor, scene) are alike, so they are not independent samples. A resample therefore draws
whole groups, with replacement: the cluster bootstrap (Davison and Hinkley, "Bootstrap Methods and their Application",
1997). Resampling single videos would make the intervals too narrow, and the more so the larger the groups are.

Shapes: N values, G groups, R resamples.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
VALUES_PER_BLOCK = 10_000_000  # bounds the memory: values of one array of resamples
FEW_GROUPS = 10  # with fewer groups an interval is unreliable: the variation between groups is hardly known


class Interval(NamedTuple):
    """A mean and its 95 % confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float


def resamples(groups: int, seed: int = 0) -> Iterator[npt.NDArray[np.float64]]:
    """How often each group was drawn, [R, G] in blocks of rows, RESAMPLES rows in all.

    The same seed gives the same resamples.
    """
    rng = np.random.default_rng(seed)
    block = max(1, VALUES_PER_BLOCK // groups)
    for begin in range(0, RESAMPLES, block):
        times_RG = rng.multinomial(groups, np.full(groups, 1 / groups), size=min(block, RESAMPLES - begin))
        yield times_RG.astype(np.float64)


def group_interval(value_N: npt.ArrayLike, group_N: npt.ArrayLike, seed: int = 0) -> Interval:
    """Mean of all values, with its 95 % percentile interval by bootstrap over groups.

    Args:
        value_N: one number for each video (or pair of clips); True and False count as 1 and 0.
        group_N: group of each value.
        seed: of the resamples; the same input and seed give the same interval.

    Returns:
        With a single group, low and high equal the mean, because the variation between groups is unknown.

    Raises:
        ValueError: there are no values.
    """
    value = np.asarray(value_N, dtype=np.float64)
    if not len(value):
        raise ValueError("no values to take a mean of")
    _, group = np.unique(np.asarray(group_N), return_inverse=True)
    sum_G, count_G = np.bincount(group, value), np.bincount(group).astype(np.float64)
    means_R = np.concatenate([(times_RG @ sum_G) / (times_RG @ count_G) for times_RG in resamples(len(sum_G), seed)])
    low, high = np.quantile(means_R, (0.025, 0.975))
    return Interval(float(value.mean()), float(low), float(high))


def with_interval(name: str, value_N: npt.ArrayLike, group_N: npt.ArrayLike) -> dict[str, Any]:
    """A mean and its 95 % interval over groups, as entries `name`, `name_low` and `name_high` of a metrics file."""
    mean, low, high = group_interval(value_N, group_N)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}
