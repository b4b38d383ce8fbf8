"""Score of each class, with an interval.

Shapes: N test videos.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from mofore.evaluation.bootstrap import group_interval

COLUMNS = ["row", "label", "videos", "score", "low", "high"]


def score_classes(
    hits: dict[str, npt.NDArray[np.bool_]], label_N: npt.NDArray[np.str_], group_N: npt.NDArray[np.str_]
) -> pd.DataFrame:
    """Share of correct videos of each class, with its 95 % interval over the groups of the class.

    Args:
        hits: for each representation by name, whether each test video is correct [N]; may be empty.
        label_N: class of each test video.
        group_N: group of each test video.

    Returns:
        A table with COLUMNS: representations (column `row`) in the order of `hits`, classes sorted by name.
    """
    table = []
    for name, hit_N in hits.items():
        for label in np.unique(label_N):
            own_N = label_N == label
            table.append((name, label, int(own_N.sum()), *group_interval(hit_N[own_N], group_N[own_N])))
    return pd.DataFrame(table, columns=COLUMNS)
