"""Linear evaluation: scores against scikit-learn, choice of C, chance on permuted labels, cross-validation."""

import multiprocessing
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mofore.embedding.store import Embeddings
from mofore.evaluation.linear import C_GRID, choose_c, evaluate_linear, evaluate_rows
from mofore.splits import group_folds


def blobs(n: int, noise: float, seed: int, split: str, classes: int = 3, shuffle: bool = False) -> Embeddings:
    rng = np.random.default_rng(seed)
    label = rng.integers(classes, size=n)
    x = np.eye(8)[label] + noise * rng.normal(size=(n, 8))
    if shuffle:
        rng.shuffle(label)
    names = np.array([f"{split}{i}" for i in range(n)])
    groups = np.array([f"{split}{i // 3}" for i in range(n)])
    return Embeddings(x.astype(np.float32), names, label.astype(str), groups, np.array([split] * n))


def test_separable_classes_are_told_apart() -> None:
    result = evaluate_linear(blobs(60, 0.1, 1, "test"), blobs(120, 0.1, 0, "train"), holdout=0.25, seed=0)
    assert result.scores["top1"] == 1
    assert result.scores["top5"] == 1
    assert result.scores["C"] in C_GRID


def widened(videos: Embeddings) -> Embeddings:
    """The same embeddings with many dimensions of noise."""
    noise_ND = np.random.default_rng(len(videos.label)).normal(size=(len(videos.label), 300)).astype(np.float32)
    return replace(videos, x_ND=np.concatenate([3 * videos.x_ND, noise_ND], axis=1))


@pytest.mark.parametrize("wide", [False, True])
def test_scores_are_those_of_a_logistic_regression_on_standardised_features(wide: bool) -> None:
    test, train = blobs(90, 0.7, 1, "test"), blobs(120, 0.7, 0, "train")
    if wide:  # more dimensions than embeddings
        test, train = widened(test), widened(train)
    result = evaluate_linear(test, train, holdout=0.25, seed=0)
    scaler = StandardScaler().fit(train.x_ND)
    classifier = LogisticRegression(C=result.scores["C"], max_iter=2000)
    classifier.fit(scaler.transform(train.x_ND), train.label)
    assert (classifier.predict(scaler.transform(test.x_ND)) == result.predicted_N).all()
    assert result.scores["top1"] == pytest.approx((result.predicted_N == test.label).mean())
    assert (result.hit_N == (result.predicted_N == test.label)).all()
    assert result.scores["top1_low"] < result.scores["top1"] < result.scores["top1_high"]


@pytest.mark.parametrize("seed", range(5))
def test_permuted_labels_drive_the_score_to_chance_within_its_interval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    test, train = blobs(300, 0.2, 100 + seed, "test"), blobs(300, 0.2, seed, "train")
    assert evaluate_linear(test, train, 0.25, seed).scores["top1"] > 0.95
    for side in (test, train):
        side.label = rng.permutation(side.label)
    scores = evaluate_linear(test, train, 0.25, seed).scores
    slack = 0.03  # a 95 % interval misses 5 % of the time
    assert scores["top1_low"] - slack <= 1 / 3 <= scores["top1_high"] + slack


def test_videos_of_a_class_without_training_videos_count_as_wrong() -> None:
    test, train = blobs(60, 0.1, 1, "test"), blobs(120, 0.1, 0, "train")
    test.label[test.label == "2"] = "never seen"
    scores = evaluate_linear(test, train, 0.25, seed=0).scores
    assert scores["top1"] == pytest.approx((test.label != "never seen").mean())


def both(noise: float, seed: int) -> Embeddings:
    train, test = blobs(120, noise, seed, "train"), blobs(60, noise, seed + 1, "test")
    pairs = zip(vars(train).values(), vars(test).values(), strict=True)
    return Embeddings(*[np.concatenate(pair) for pair in pairs])


@pytest.mark.slow
def test_the_lead_is_that_of_the_first_row_over_each_other_row() -> None:
    good = both(0.1, 0)
    noise = np.random.default_rng(0).normal(size=good.x_ND.shape).astype(np.float32)
    poor = Embeddings(noise, good.video, good.label, good.group, good.split)
    results = evaluate_rows({"good": good, "poor": poor, "same": good}, 0.25, folds=3, seed=0, workers=2)
    assert "lead" not in results["good"].scores
    lead = {name: results[name].scores["lead"] for name in ("poor", "same")}
    assert lead["poor"] == pytest.approx(results["good"].scores["top1"] - results["poor"].scores["top1"])
    assert results["poor"].scores["lead_low"] > 0.3
    assert [results["same"].scores[key] for key in ("lead", "lead_low", "lead_high")] == [0, 0, 0]
    assert results["good"].scores["cv_top1"] == pytest.approx(1, abs=0.02)
    assert results["poor"].scores["cv_top1"] == pytest.approx(1 / 3, abs=0.15)
    assert not multiprocessing.active_children(), "idle workers would hold memory"
    alone = evaluate_rows({"good": good, "poor": poor, "same": good}, 0.25, folds=3, seed=0, workers=1)
    assert [result.scores for result in alone.values()] == [result.scores for result in results.values()]


def test_a_representation_that_is_the_same_for_all_videos_is_marked() -> None:
    good = both(0.1, 0)
    still = replace(good, x_ND=np.full_like(good.x_ND, 0.3))
    results = evaluate_rows({"good": good, "still": still}, 0.25, folds=0, seed=0, workers=1)
    assert results["still"].scores["constant"] == 1
    assert "constant" not in results["good"].scores


@pytest.mark.parametrize("dim", [4, 400])
def test_the_same_embedding_for_all_videos_predicts_one_class(dim: int) -> None:
    test, train = blobs(30, 0.1, 1, "test"), blobs(40, 0.1, 0, "train")
    test.x_ND, train.x_ND = np.ones((30, dim), np.float32), np.ones((40, dim), np.float32)
    assert len(set(evaluate_linear(test, train, 0.25, 0).predicted_N)) == 1


def test_without_folds_there_is_no_cross_validation() -> None:
    results = evaluate_rows({"good": both(0.1, 0)}, 0.25, folds=0, seed=0, workers=1)
    assert set(results["good"].scores) == {"top1", "top1_low", "top1_high", "top5", "C"}


def test_unlabelled_videos_give_no_scores() -> None:
    videos = both(0.1, 0)
    videos.label[:] = ""
    assert evaluate_rows({"good": videos}, 0.25, folds=3, seed=0, workers=1) == {}


def test_scale_of_features_does_not_matter() -> None:
    test, train = blobs(60, 0.6, 1, "test"), blobs(120, 0.6, 0, "train")
    plain = evaluate_linear(test, train, holdout=0.25, seed=0)
    for embeddings in (test, train):
        embeddings.x_ND = embeddings.x_ND * np.float32(1000) + np.float32(5)
    assert (evaluate_linear(test, train, holdout=0.25, seed=0).predicted_N == plain.predicted_N).mean() > 0.97


@pytest.mark.slow
def test_c_is_chosen_by_training_groups_alone() -> None:
    train = blobs(120, 0.6, 0, "train")
    assert choose_c(train, 0.25, seed=0) == choose_c(train, 0.25, seed=0)
    a = evaluate_linear(blobs(60, 0.6, 1, "test"), train, 0.25, seed=0)
    b = evaluate_linear(blobs(60, 0.6, 2, "test", shuffle=True), train, 0.25, seed=0)
    assert a.scores["C"] == b.scores["C"]


def test_c_has_the_most_correct_validation_videos() -> None:
    """Against a plain loop over the folds, in which each group is held out once."""
    train = blobs(120, 1.5, 0, "train")
    right = dict.fromkeys(C_GRID, 0)
    held_out_N = np.zeros(120, int)
    for check_N in group_folds(train.label.tolist(), train.group.tolist(), 4, 3):
        held_out_N += check_N
        for c in C_GRID:
            pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000, tol=1e-8))
            pipeline.fit(train.x_ND[~check_N], train.label[~check_N])
            right[c] += int((pipeline.predict(train.x_ND[check_N]) == train.label[check_N]).sum())
    assert (held_out_N == 1).all()
    assert (
        right[choose_c(train, 0.25, seed=3)] >= max(right.values()) - 1
    )  # the solvers stop at slightly different points


def test_one_group_only_still_gets_an_answer() -> None:
    train = blobs(30, 0.1, 0, "train")
    train.group[:] = "one"
    assert evaluate_linear(blobs(30, 0.1, 1, "test"), train, 0.25, seed=0).scores["C"] == 1


def test_classes_of_one_or_two_videos_raise_no_warning() -> None:
    train, test = blobs(40, 0.1, 0, "train"), blobs(20, 0.1, 1, "test")
    train = replace(train, label=np.array([f"class {n // 2}" for n in range(40)]))
    test = replace(test, label=train.label[:20])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate_linear(test, train, holdout=0.25, seed=0)
