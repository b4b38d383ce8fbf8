"""Linear evaluation: a logistic regression on frozen embeddings.

Features are standardised with the training videos' statistics. The regularisation is chosen on a hold-out of training
groups, never on test videos; then the classifier is fitted once more on all training videos.

Shapes: N videos, D dimensions.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from mofore.embeddings import Embeddings

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # candidates for LogisticRegression's C


@dataclass
class LinearResult:
    """Scores (0 to 1), the C chosen, and the predicted label of each test video."""

    scores: dict[str, float]
    predicted: npt.NDArray[np.str_]


def evaluate_linear(test: Embeddings, train: Embeddings, holdout: float, seed: int) -> LinearResult:
    """Fit on train, score on test.

    Args:
        holdout: share of the training groups on which the regularisation is chosen.
        seed: of the choice of those groups.

    Returns:
        Scores `top1`, `top5` (true label among the five most probable) and `C`.
    """
    strength = choose_strength(train, holdout, seed)
    classifier = _classifier(strength).fit(train.x_ND, train.label)
    probability_NC = classifier.predict_proba(test.x_ND)
    ranked_NC = classifier.classes_[np.argsort(-probability_NC, axis=1, kind="stable")]
    hit_NC = ranked_NC == test.label[:, None]
    scores = {"top1": float(hit_NC[:, 0].mean()), "top5": float(hit_NC[:, :5].any(axis=1).mean()), "C": strength}
    return LinearResult(scores, ranked_NC[:, 0])


def choose_strength(train: Embeddings, holdout: float, seed: int) -> float:
    """The C that does best on held-out training groups; of equals, the strongest regularisation.

    With groups too few to hold some out, or a hold-out that leaves one class to learn from, C is 1.
    """
    if len(np.unique(train.group)) < 2:
        return 1.0
    splitter = GroupShuffleSplit(n_splits=1, test_size=holdout, random_state=seed)
    fit_rows, check_rows = next(splitter.split(train.x_ND, groups=train.group))
    if len(np.unique(train.label[fit_rows])) < 2:
        return 1.0
    score = {
        c: _classifier(c)
        .fit(train.x_ND[fit_rows], train.label[fit_rows])
        .score(train.x_ND[check_rows], train.label[check_rows])
        for c in STRENGTHS
    }
    return max(STRENGTHS, key=lambda c: score[c])


def _classifier(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
