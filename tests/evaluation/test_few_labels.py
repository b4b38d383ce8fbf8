"""Accuracy with few labels: which videos are labelled, what is compared, and against a slow reference."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from mofore.embedding.store import Embeddings
from mofore.evaluation.few_labels import COLUMNS, C, accuracies, few_labels
from mofore.splits import FEW_LABELS, draw_labelled


def videos(per_class: int, noise: float, seed: int = 0, classes: int = 3, dim: int = 40) -> Embeddings:
    """Labelled videos in groups of two, half of them for training."""
    rng = np.random.default_rng(seed)
    label = np.repeat([f"class{c}" for c in range(classes)], per_class)
    centre_ND = np.repeat(rng.normal(size=(classes, dim)), per_class, axis=0)
    x_ND = (centre_ND + noise * rng.normal(size=(len(label), dim))).astype(np.float32)
    number = np.tile(np.arange(per_class), classes)
    group = np.array([f"g{n // 2}" for n in number])
    split = np.where(number < per_class // 2, "train", "test")
    return Embeddings(
        x_ND, np.array([f"{name}/{n}" for name, n in zip(label, number, strict=True)]), label, group, split
    )


def test_more_labels_help_and_good_embeddings_more() -> None:
    rows = {"mofore": videos(60, 2), "motion": videos(60, 4), "mofore_shuffled": videos(60, 2)}
    found = few_labels(rows, 0, 1)
    assert list(found.columns) == list(COLUMNS)
    assert found.encoder.unique().tolist() == ["mofore", "motion"], "only rows that one would use"
    for name in ("mofore", "motion"):
        curve = found[found.encoder == name]
        assert curve.labels.tolist() == list(FEW_LABELS)
        assert curve.top1.is_monotonic_increasing
        assert (curve.low <= curve.top1).all()
        assert (curve.top1 <= curve.high).all()
    assert (found[found.encoder == "mofore"].top1.to_numpy() > found[found.encoder == "motion"].top1.to_numpy()).all()
    assert few_labels(rows, 0, 1).equals(found)
    assert not few_labels(rows, 1, 1).equals(found)


def test_it_is_a_logistic_regression_on_scaled_unit_vectors() -> None:
    row, few = videos(20, 3), 2
    train = row.labelled("train")
    draws = [draw_labelled(train.label, train.group, few, draw) for draw in range(3)]
    scaled_ND = (row.x_ND - train.x_ND.mean(axis=0)) / train.x_ND.std(axis=0)
    unit_ND = scaled_ND / np.linalg.norm(scaled_ND, axis=1)[:, None]
    is_train, expected = row.split == "train", []
    for chosen in draws:
        fit = LogisticRegression(C=C, max_iter=2000).fit(unit_ND[is_train][chosen], train.label[chosen])
        expected.append(fit.score(unit_ND[~is_train], row.label[~is_train]))
    assert accuracies(row, draws) == pytest.approx(expected, abs=0.02)
    assert len(set(expected)) > 1


def test_the_labels_of_test_videos_and_of_undrawn_videos_do_not_matter() -> None:
    row = videos(20, 3)
    train = row.labelled("train")
    drawn = draw_labelled(train.label, train.group, 2, 0)
    other = row.rows(np.arange(len(row.label)))
    undrawn = np.setdiff1d(np.arange(len(train.label)), drawn)
    other.label[np.flatnonzero(row.split == "train")[undrawn]] = "class0"
    assert accuracies(other, [drawn]) == accuracies(row, [drawn])


def test_only_numbers_below_that_of_the_training_videos_are_scored() -> None:
    assert few_labels({"mofore": videos(10, 1)}, 0, 1).labels.tolist() == [1, 2]
    assert few_labels({"mofore": videos(2, 1)}, 0, 1).empty, "one training video a class: that is all labels"


def test_without_labels_there_is_nothing_to_score() -> None:
    row = videos(10, 1)
    row.label[:] = ""
    assert few_labels({"mofore": row}, 0, 1).empty


def test_a_constant_row_is_left_out_and_classes_of_test_alone_are_wrong() -> None:
    row, still = videos(20, 0.1), videos(20, 0.1)
    still.x_ND[:] = 1
    row.label[(row.split == "train") & (row.label == "class2")] = ""
    found = few_labels({"mofore": row, "random_init": still}, 0, 1)
    assert set(found.encoder) == {"mofore"}
    assert found.top1.max() == pytest.approx(2 / 3, abs=0.01)


def test_networks_trained_on_few_labels_have_the_accuracy_of_their_predictions() -> None:
    row = videos(20, 3)
    row.label[-1] = ""  # a test video
    test = row.labelled("test")
    wrong = np.where(test.label == "class0", "class1", "class0")
    draws = [test.label, wrong, np.where(np.arange(len(test.label)) < 10, test.label, wrong)]
    predicted = pd.concat(
        pd.DataFrame({"labels": 2.0, "draw": draw, "video": test.video, "predicted": predicted})
        for draw, predicted in enumerate(draws)
    )
    unlabelled = pd.DataFrame({"labels": 2.0, "draw": [0.0], "video": row.video[-1], "predicted": ["class1"]})
    found = few_labels({"mofore": row}, 0, 1, pd.concat([predicted, unlabelled], ignore_index=True))
    supervised = found[found.encoder == "supervised"]
    assert supervised.labels.tolist() == [2]
    assert supervised.top1.item() == pytest.approx(np.mean([1, 0, 10 / len(test.label)]))
    assert (supervised.low.item(), supervised.high.item()) == pytest.approx((0.017, 0.967), abs=0.01)
