"""Cross-validation by group over all labelled videos, in addition to the scores on the split.

Shapes: N labelled videos.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mofore.embedding.store import Embeddings
from mofore.splits import group_folds


def labelled_folds(videos: Embeddings, folds: int, seed: int) -> list[npt.NDArray[np.bool_]]:
    """Folds of the labelled videos by group. A fold is left out if all videos outside it have the same label.

    The encoder was pretrained, without labels, on the train side of the split in `videos.csv`. So it has seen most
    videos of each fold. Scores over folds show how much a score depends on the choice of the test groups. They do not
    show how well the encoder does on unseen videos.

    Args:
        videos: labelled and unlabelled videos.
        folds: number of folds; 0 gives none.
        seed: of the folds, see `mofore.splits.group_folds`.

    Returns:
        A mask [N] over the labelled videos for each fold, True for the test videos of the fold.
    """
    labelled = videos.rows(videos.label != "")
    masks = group_folds(labelled.label.tolist(), labelled.group.tolist(), folds, seed)
    return [fold_N for fold_N in masks if len(np.unique(labelled.label[~fold_N])) > 1]


def over_folds(name: str, scores: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation of a score over folds, as entries `name` and `name_std`; empty without folds."""
    return {name: float(np.mean(scores)), f"{name}_std": float(np.std(scores))} if scores else {}
