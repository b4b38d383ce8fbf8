"""Learn classes from a few labels, and say beforehand how good the labels of other videos will be.

The classifier is a logistic regression, whose regularisation is fixed, as a few labels cannot choose it.

With MIN_LABELS labels a class or more, cross-validation over groups says what accuracy to expect, and the probabilities
are calibrated by one temperature, which is fitted to the predictions for groups held out (Guo et al., "On Calibration
of Modern Neural Networks", 2017). With fewer labels both would mislead: what the folds leave for training is then much
worse than all labels.

Shapes: N labelled videos, M videos, D dimensions, C classes.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.stats import t as student_t
from sklearn.linear_model import LogisticRegression

from mofore.evaluation.linear import MAX_ITER
from mofore.splits import group_folds
from mofore.utils.text import some_names

C = 1000.0  # inverse regularisation strength; accuracy hardly depends on it, the calibration does
MIN_LABELS = 5  # a class, on average: with fewer, the score of cross-validation was up to 0.4 too low
MIN_GROUPS = 20  # of labelled videos, for the same reason
FOLDS = 10
LOWEST = -60.0  # log of the probability of a class that a fold has no label of
TEMPERATURES = (0.05, 20.0)
PRIOR = 0.7  # standard deviation of the log of the temperature, before any label is seen
VIDEOS_PER_BIN, MOST_BINS = 20, 10  # of the calibration error

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Texts = npt.NDArray[np.str_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Expected:
    """What cross-validation over groups says of the labels to come.

    Attributes:
        accuracy, low, high: share of right labels, 0 to 1, in groups without labels, with its 95 % interval. The folds
            have fewer labels to learn from, so all labels together are rather better.
        chance: accuracy of always saying the most frequent class.
        calibration_error: mean distance between probability and accuracy, 0 to 1, over bins of equal size.
        videos, groups: number of labelled videos and of their groups.
    """

    accuracy: float
    low: float
    high: float
    chance: float
    calibration_error: float
    videos: int
    groups: int


def softmax(log_MC: Doubles) -> Doubles:
    """Probabilities from logits."""
    weight_MC = np.exp(log_MC - log_MC.max(axis=1, keepdims=True))
    return np.asarray(weight_MC / weight_MC.sum(axis=1, keepdims=True))


def calibration_error(probability_N: Doubles, hit_N: npt.NDArray[np.bool_]) -> float:
    """Mean distance between probability and share of hits, over bins of equal size of similar probability.

    There are at most MOST_BINS, and so few that they have about VIDEOS_PER_BIN: the share of hits among a handful of
    videos is far from any probability by chance alone.
    """
    bins = np.array_split(np.argsort(probability_N), min(MOST_BINS, max(1, len(hit_N) // VIDEOS_PER_BIN)))
    return float(sum(abs((probability_N[rows] - hit_N[rows]).sum()) for rows in bins) / len(hit_N))


def fit_temperature(log_NC: Doubles, class_N: Ints) -> float:
    """The most probable number by which log probabilities are to be divided, given the true classes.

    A priori it is about 1, by PRIOR: without that, 20 videos that are hard to predict would ask for extremes. Targets
    are slightly below 1, as in Platt's scaling ("Probabilistic Outputs for Support Vector Machines", 1999), so that
    labels which are all predicted well do not ask for probabilities of 1. Videos of classes that were not among the
    labels of their fold are left out: no temperature makes them right.

    Returns:
        A number in the range TEMPERATURES; 1, if no video is left.
    """
    known_N = log_NC[np.arange(len(class_N)), class_N] > LOWEST
    log_NC, class_N = log_NC[known_N], class_N[known_N]
    count, classes = log_NC.shape
    if not count:
        return 1.0
    target_NC = np.full(log_NC.shape, 1 / (count + 2) / (classes - 1))
    target_NC[np.arange(count), class_N] = (count + 1) / (count + 2)

    def loss(log_temperature: float) -> float:
        probability_NC = softmax(log_NC / np.exp(log_temperature))
        likelihood = (target_NC * np.log(np.maximum(probability_NC, 1e-300))).sum()
        return float((log_temperature / PRIOR) ** 2 / 2 - likelihood)

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def cross_validate(
    x_ND: Floats, label_N: Texts, group_N: Texts, classes: Texts, seed: int
) -> tuple[Expected | None, float, list[str]]:
    """Find out what to expect of labels in groups that have none.

    Args:
        x_ND, label_N, group_N: features, labels and groups of labelled videos.
        classes: the different labels, sorted, at least two.
        seed: of the folds.

    Returns:
        What to expect, and the temperature by which log probabilities are to be divided; None and 1 if the labels
        cannot tell. Then what the user should know of that, a line each.
    """
    groups_C = np.array([len(np.unique(group_N[label_N == name])) for name in classes])
    least = max(MIN_GROUPS, MIN_LABELS * len(classes))
    if groups_C.sum() < least:
        needed = f"{least} of them, {math.ceil(least / len(classes))} a class, each from another group"
        return None, 1.0, [f"too few labels to say how many will be right, or to calibrate: give {needed}"]
    class_N = np.searchsorted(classes, label_N)
    folds = group_folds(label_N.tolist(), group_N.tolist(), FOLDS, seed)
    folds = [fold_N for fold_N in folds if len(np.unique(label_N[~fold_N])) > 1]
    if not folds:
        return None, 1.0, ["groups have one class each or all: label videos of more groups to learn what to expect"]
    log_NC = np.full((len(label_N), len(classes)), LOWEST)
    for fold_N in folds:
        log_NC[fold_N] = fit_predict(x_ND[~fold_N], label_N[~fold_N], x_ND[fold_N], classes)
    probability_N, scored_N = np.zeros(len(label_N)), np.any(folds, axis=0)
    for fold_N in folds:  # probabilities by a temperature that the fold has no part in
        rest_N = scored_N & ~fold_N
        own_temperature = fit_temperature(log_NC[rest_N], class_N[rest_N])
        probability_N[fold_N] = softmax(log_NC[fold_N] / own_temperature).max(axis=1)
    hit_N = log_NC.argmax(axis=1) == class_N
    interval = accuracy_interval(hit_N[scored_N], group_N[scored_N], len(folds))
    error = calibration_error(probability_N[scored_N], hit_N[scored_N])
    chance = float(np.bincount(class_N[scored_N]).max() / scored_N.sum())
    expected = Expected(*interval, chance, error, int(scored_N.sum()), len(np.unique(group_N[scored_N])))
    notes = []
    if single := classes[groups_C < 2].tolist():
        notes.append(f"labels of one group only, which count as wrong in what to expect: {some_names(single)}")
    return expected, fit_temperature(log_NC[scored_N], class_N[scored_N]), notes


def accuracy_interval(hit_N: npt.NDArray[np.bool_], group_N: Texts, folds: int) -> tuple[float, float, float]:
    """Share of hits with its 95 % interval: Wilson's, with as many videos as would give its variance if independent.

    The variance is that over groups, enlarged because folds share most of their training videos (Nadeau and Bengio,
    "Inference for the Generalization Error", 2003). If all or none are hits, groups count as independent.
    """
    mean = float(hit_N.mean())
    _, group = np.unique(group_N, return_inverse=True)
    groups = int(group.max()) + 1
    if groups < 2:
        return mean, 0.0, 1.0
    variance = np.square(np.bincount(group, hit_N - mean)).sum() * groups / (groups - 1) / len(hit_N) ** 2
    count = min(len(hit_N), mean * (1 - mean) / variance) if variance else groups
    count /= 1 + folds / max(1, folds - 1)
    z = float(student_t.ppf(0.975, groups - 1))
    middle = (mean + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(mean * (1 - mean) / count + z**2 / (4 * count**2))
    return mean, round(max(0.0, middle - half), 9), round(min(1.0, middle + half), 9)


def fit_predict(x_ND: Floats, label_N: Texts, x_MD: Floats, classes: Texts) -> Doubles:
    """Learn from labelled videos, and predict others.

    Args:
        x_ND, label_N: features and labels to learn from.
        x_MD: features of the videos to predict.
        classes: all labels, sorted.

    Returns:
        Log probabilities of all classes [M, C]; LOWEST for those that have no label here.
    """
    classifier = LogisticRegression(C=C, max_iter=MAX_ITER).fit(x_ND, label_N)
    log_MC = np.full((len(x_MD), len(classes)), LOWEST)
    known = np.searchsorted(classes, classifier.classes_)
    with np.errstate(divide="ignore"):  # the logarithm of 0
        log_MC[:, known] = np.maximum(classifier.predict_log_proba(x_MD), LOWEST + 1)
    return log_MC
