"""Few labels: how accurate is a linear classifier that gets 1, 2, 5 or 10 labels of each class?

Labels cost time, videos do not: here an encoder that has learned without labels must show its worth. All
representations get the same labels. These are drawn several times, because it matters which videos are labelled.

Embeddings are scaled on all training videos, for which no label is needed, and then to length 1; the classifier is a
logistic regression, as in "Rethinking Few-Shot Image Classification: A Good Embedding Is All You Need?" (Tian et al.,
2020). Its regularisation is fixed, because a few labels cannot choose it. Networks that are trained on these labels
from scratch, if `supervised.few_draws` asks for them, classify themselves (see `training.few_labels`).

Shapes: N labelled training videos, M test videos, D dimensions, L labelled videos of a draw.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import delayed
from sklearn.linear_model import LogisticRegression

from mofore.embedding.geometry import is_constant, standardise, unit
from mofore.embedding.store import Embeddings, FloatArray, train_test
from mofore.evaluation.linear import fitting
from mofore.splits import few_label_draws
from mofore.utils.workers import in_processes

DRAWS = 10
C = 100.0  # inverse regularisation strength; on training sides, scores with 10 to 1,000 were within 0.015
MAX_ITER = 500
ROWS = ("mofore", "random_init", "motion", "motion_appearance", "shipped")  # those that might be used with few labels
COLUMNS = ("encoder", "labels", "top1", "low", "high")


def few_labels(
    rows: dict[str, Embeddings], seed: int, workers: int, predicted: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Accuracy of representations with few labels.

    Args:
        rows: representations of the same videos, by name; those of ROWS are scored, unless they are constant.
        seed: of the draws.
        workers: number of worker processes.
        predicted: what networks predict that were trained on the labels of these draws, see
            `embedding.store.read_few_labels`; None: there are none.

    Returns:
        Columns encoder; labels, of each class (see `splits.few_label_draws`); top1, mean over the draws of the share of
        test videos that are right; low, high, between which 95 % of the draws lie. No rows if the split has no labelled
        test videos or fewer than two classes for training.
    """
    first = next(iter(rows.values()))
    if not (both := train_test(first)):
        return pd.DataFrame(columns=list(COLUMNS))
    train, test = both
    draws = few_label_draws(train.label, train.group, DRAWS, seed)
    scored = {name: rows[name] for name in ROWS if name in rows and not is_constant(rows[name].x_ND)}
    jobs = [delayed(accuracies)(row, chosen) for row in scored.values() for chosen in draws.values()]
    found = list(in_processes(jobs, workers))
    keys = [(name, labels) for name in scored for labels in draws]
    if predicted is not None:
        for labels, top1 in _accuracies_of_networks(predicted, test).items():
            keys.append(("supervised", labels))
            found.append(top1)
    table = [(*key, np.mean(top1), *np.quantile(top1, (0.025, 0.975))) for key, top1 in zip(keys, found, strict=True)]
    return pd.DataFrame(table, columns=list(COLUMNS))


def accuracies(row: Embeddings, draws: list[npt.NDArray[np.int64]]) -> list[float]:
    """Accuracy on the test videos, 0 to 1, with the labels of each draw (row numbers of labelled training videos)."""
    train_N = row.split == "train"
    row = Embeddings(unit(standardise(row.x_ND, train_N)), row.video, row.label, row.group, row.split)
    train, test = row.labelled("train"), row.labelled("test")
    with fitting():
        return [float((_predict(train.rows(chosen), test.x_ND) == test.label).mean()) for chosen in draws]


def _predict(train: Embeddings, x_MD: FloatArray) -> npt.NDArray[np.str_]:
    if len(np.unique(train.label)) == 1:
        return np.full(len(x_MD), train.label[0])
    # The weights lie in the span of the labelled videos. In its coordinates the fit is the same and many times faster.
    basis_DL = np.linalg.qr(train.x_ND.T)[0]
    classifier = LogisticRegression(C=C, max_iter=MAX_ITER).fit(train.x_ND @ basis_DL, train.label)
    predicted_M: npt.NDArray[np.str_] = classifier.predict(x_MD @ basis_DL)
    return predicted_M


def _accuracies_of_networks(predicted: pd.DataFrame, test: Embeddings) -> dict[int, list[float]]:
    """By number of labels: for each draw the share of the labelled test videos whose predicted class is right."""
    label = predicted["video"].map(dict(zip(test.video, test.label, strict=True)))
    right = (predicted["predicted"] == label)[label.notna()]
    of_draws = right.groupby([predicted["labels"], predicted["draw"]]).mean()
    return {int(labels): of_draws.loc[labels].tolist() for labels in predicted["labels"].unique()}
