"""95 % intervals of scores, by bootstrap over groups.

Videos of one group (recording, actor, scene) are alike, so they do not count as independent: whole groups are drawn
anew, with replacement, as in the cluster bootstrap (Davison and Hinkley, "Bootstrap Methods and their Application",
1997). Drawing single videos would make intervals too narrow, by far where groups are large.

Shapes: N values, G groups, R resamples.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
NUMBERS_A_BLOCK = 10_000_000  # bounds the memory
FEW_GROUPS = 10  # with fewer, an interval says little: the groups drawn are too few to tell how groups differ


class Interval(NamedTuple):
    """A mean and its 95 % interval, in the unit of the values."""

    mean: float
    low: float
    high: float


def resamples(groups: int, seed: int = 0) -> Iterator[npt.NDArray[np.float64]]:
    """How often each group was drawn, [R, G], a block of all RESAMPLES at a time; the same for the same seed."""
    rng = np.random.default_rng(seed)
    block = max(1, NUMBERS_A_BLOCK // groups)
    for begin in range(0, RESAMPLES, block):
        times_RG = rng.multinomial(groups, np.full(groups, 1 / groups), size=min(block, RESAMPLES - begin))
        yield times_RG.astype(np.float64)


def group_interval(value_N: npt.ArrayLike, group_N: npt.ArrayLike, seed: int = 0) -> Interval:
    """Mean of all values, and its 95 % percentile interval over resamples of whole groups.

    Args:
        value_N: one number a video (or a pair of clips); True and False count as 1 and 0.
        group_N: the group of each.
        seed: of the resamples.

    Returns:
        The same for the same input. With one group, low and high are the mean: nothing is known of its spread.

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
    """A score for a metrics file: `name`, `name_low`, `name_high`."""
    mean, low, high = group_interval(value_N, group_N)
    return {name: mean, f"{name}_low": low, f"{name}_high": high}
