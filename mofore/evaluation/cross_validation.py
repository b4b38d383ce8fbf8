"""Cross-validation by group over all labelled videos, beside the scores of the split itself.

Shapes: N labelled videos.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mofore.embedding.store import Embeddings
from mofore.splits import group_folds


def labelled_folds(videos: Embeddings, folds: int, seed: int) -> list[npt.NDArray[np.bool_]]:
    """Folds of the labelled videos, one mask over these a fold; as `group_folds`, without those that leave one class.

    These folds are test sides for an encoder that has seen some of their videos before, without labels: it was
    pretrained on the train side of the one split that `videos.csv` names. Scores over folds tell how much a score owes
    to the choice of test groups, not how an encoder does on videos that it has never seen.
    """
    known = videos.rows(videos.label != "")
    masks = group_folds(known.label.tolist(), known.group.tolist(), folds, seed)
    return [fold_N for fold_N in masks if len(np.unique(known.label[~fold_N])) > 1]


def over_folds(name: str, scores: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation of a score, for a metrics file: `name`, `name_std`; nothing without folds."""
    return {name: float(np.mean(scores)), f"{name}_std": float(np.std(scores))} if scores else {}
