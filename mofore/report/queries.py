"""Choose test videos as queries, by the rule `report.queries`, and find their nearest training videos.

Shapes: Q queries, K neighbours, N test videos, D dimensions.
"""

import difflib
import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mofore.config import PARAMS_FILE
from mofore.embedding.store import Embeddings, TextArray, train_test
from mofore.errors import UserError
from mofore.evaluation.nearest import nearest
from mofore.utils.text import counted

QUERIES = 8
NEIGHBOURS = 5  # found for each query
HARDEST, RANDOM = "hardest", "random"  # rules; any other is class names joined by PLUS
PLUS = "+"


@dataclass(frozen=True)
class Retrieved:
    """A query and its nearest training videos.

    Attributes:
        video, label: name and class of the query.
        videos_K, labels_K, similarity_K: names, classes and cosine similarities of the neighbours, nearest first.
        right_K: whether each neighbour has the query's class; None without labels.
    """

    video: str
    label: str
    videos_K: TextArray
    labels_K: TextArray
    similarity_K: npt.NDArray[np.float32]
    right_K: npt.NDArray[np.bool_] | None


@dataclass(frozen=True)
class Examples:
    """The queries, and a description of how they were chosen."""

    queries: list[Retrieved]
    choice: str


def check_queries(rule: str, videos: Embeddings) -> None:
    """Check the rule before any work is done.

    Raises:
        UserError: it names a class that no test video has, or one twice.
    """
    if rule in (HARDEST, RANDOM):
        return
    label_N = videos.labelled("test").label
    known, names = sorted({str(label) for label in label_N}), _class_names(rule, label_N)
    where = f"{PARAMS_FILE}: report.queries"
    if not known:
        raise UserError(f"{where} is '{rule}', but no test video has a label: use {HARDEST} or {RANDOM}")
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, [*known, HARDEST, RANDOM], n=1)
            hint = f" - did you mean '{close[0]}'? Use" if close else ": use"
            raise UserError(
                f"{where}: no test video is of class '{name}'{hint} {HARDEST}, {RANDOM}, or classes joined by "
                f"{PLUS}: {', '.join(known)}"
            )
        if names.count(name) > 1:
            raise UserError(f"{where}: class '{name}' is named twice: name it once")


def choose_examples(videos: Embeddings, rule: str, seed: int) -> Examples:
    """Choose a few test videos and find their nearest training videos.

    Args:
        videos: one embedding per video, of both sides of the split.
        rule: "hardest": classes are taken in the order of their retrieval error (R@1), largest first, so that mistakes
            are shown. Each class gives a random test video. With fewer classes than QUERIES, each gives a second one,
            and so on. Without labels as "random".
            "random": random test videos.
            Class names joined by "+": a random test video of each, in this order. See `check_queries`.
            The choice within a class ignores whether retrieval is right.
        seed: seed of the random choice.

    Returns:
        QUERIES examples, or one for each test video if there are fewer; or one for each class named. Without queries,
        but with the reason, if a side of the split is empty.
    """
    split = train_test(videos)
    train, test = split or (videos.rows(videos.split == "train"), videos.rows(videos.split == "test"))
    if not len(train.video) or not len(test.video):
        return Examples([], "There are no held-out videos to search with.")
    picked_Q, choice = _pick(train, test, rule if split or rule != HARDEST else RANDOM, seed)
    queries = test.rows(picked_Q)
    rows_QK, similarity_QK = nearest(queries.x_ND, train.x_ND, NEIGHBOURS)
    found = [
        Retrieved(
            video=str(queries.video[q]),
            label=str(queries.label[q]),
            videos_K=train.video[rows_QK[q]],
            labels_K=train.label[rows_QK[q]],
            similarity_K=similarity_QK[q],
            right_K=None if split is None else train.label[rows_QK[q]] == queries.label[q],
        )
        for q in range(len(picked_Q))
    ]
    if split is None:
        return Examples(found, f"{choice}. There are no labels to tell right from wrong.")
    right_N = ~_wrong_first(train, test)
    share = f"Of all {counted(len(test.video), 'test video')}, {right_N.mean():.0%} find their own class first."
    return Examples(found, f"{choice}. {share}")


def _pick(train: Embeddings, test: Embeddings, rule: str, seed: int) -> tuple[npt.NDArray[np.int64], str]:
    """Rows [Q] of the queries, and how they were chosen."""
    rng = np.random.default_rng(seed)
    drawn = f"Queries: drawn at random (seed {seed})"
    if rule == RANDOM:
        return rng.permutation(len(test.video))[:QUERIES], f"{drawn} of {counted(len(test.video), 'test video')}"
    if rule == HARDEST:
        classes = _hardest_first(test.label, _wrong_first(train, test))
        among = (
            f"the {QUERIES} of {len(classes)} classes that go wrong most often, so harder than average"
            if len(classes) > QUERIES
            else "each class"
        )
        return _take_turns(test.label, classes, rng), f"{drawn} from {among}"
    picked = [rng.choice(np.flatnonzero(test.label == name)) for name in _class_names(rule, test.label)]
    return np.array(picked, dtype=np.int64), f"{drawn} from each class asked for"


def _class_names(rule: str, label_N: TextArray) -> list[str]:
    """The classes that a rule names; the name of one class may itself have a plus."""
    if rule.strip() in label_N:
        return [rule.strip()]
    return [name.strip() for name in rule.split(PLUS)]


def _wrong_first(train: Embeddings, test: Embeddings) -> npt.NDArray[np.bool_]:
    """Whether the nearest training video is of another class: [N]."""
    rows_N1, _ = nearest(test.x_ND, train.x_ND, 1)
    return np.asarray(train.label[rows_N1[:, 0]] != test.label)


def _hardest_first(label_N: TextArray, wrong_N: npt.NDArray[np.bool_]) -> list[str]:
    """Classes by their share of wrong videos, largest first; equal shares are ordered by name."""
    share = {str(label): float(wrong_N[label_N == label].mean()) for label in np.unique(label_N)}
    return sorted(share, key=lambda label: (-share[label], label))


def _take_turns(label_N: TextArray, classes: list[str], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """QUERIES rows, or all if there are fewer: a random one of each class, then a second one of each, and so on."""
    shuffled = [rng.permutation(np.flatnonzero(label_N == label)).tolist() for label in classes]
    turns = [row for turn in itertools.zip_longest(*shuffled) for row in turn if row is not None]
    return np.array(turns[:QUERIES], dtype=np.int64)
