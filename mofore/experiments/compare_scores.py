"""Scores of a run on videos of a training side, and the differences that a change of parameters makes.

Shapes: V videos, G groups, R resamples, 4 sums of errors: two variants, each with forecast and persistence.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed

from mofore.config import Params
from mofore.embedding.store import Embeddings, train_test
from mofore.errors import UserError
from mofore.evaluation.bootstrap import group_interval, resamples
from mofore.evaluation.cross_validation import labelled_folds
from mofore.evaluation.forecast_pairs import Numbers
from mofore.evaluation.forecast_run import score_run
from mofore.evaluation.knn import evaluate_knn
from mofore.evaluation.linear import evaluate_linear
from mofore.utils.workers import in_processes, worker_count

FOLDS = 5
SCORES = ("linear", "r_at_1")
VARIANTS = ("params.yaml", "changed")
NO_LABELS = "the training side needs labels of two classes in two groups"


def training_hits(videos: Embeddings, params: Params) -> pd.DataFrame:
    """Which labelled training videos are classified and retrieved right, in folds over groups.

    Args:
        videos: embeddings of all videos of a run; those of the test side are not used.
        params: protocol of linear evaluation and kNN. The folds do not depend on the seed.

    Returns:
        Columns video, group and SCORES (1: right, 0: wrong).

    Raises:
        UserError: the training side has less than two classes or groups.
    """
    train = videos.labelled("train")
    masks = labelled_folds(train, FOLDS, seed=0)
    if not masks:
        raise UserError(NO_LABELS)
    return _hits([(train.rows(fold_N), train.rows(~fold_N)) for fold_N in masks], params)


def held_out_hits(videos: Embeddings, params: Params) -> pd.DataFrame:
    """As `training_hits`, of the labelled videos that the run has held out, by those that it was trained on.

    Raises:
        UserError: too few videos have labels.
    """
    sides = train_test(videos)
    if sides is None:
        raise UserError(NO_LABELS)
    train, test = sides
    return _hits([(test, train)], params)


def _hits(folds: list[tuple[Embeddings, Embeddings]], params: Params) -> pd.DataFrame:
    """Hits of the first videos of each fold, by the second ones."""
    jobs = [delayed(evaluate_linear)(*fold, params.linear.holdout, 0) for fold in folds]
    linear = list(in_processes(jobs, worker_count(params.runtime.workers)))
    tables = [
        pd.DataFrame(
            {
                "video": test.video,
                "group": test.group,
                "linear": of_fold.hit_N,
                "r_at_1": evaluate_knn(test, rest, params.knn).hit_NR[:, 0],
            }
        )
        for of_fold, (test, rest) in zip(linear, folds, strict=True)
    ]
    return pd.concat(tables, ignore_index=True).astype(dict.fromkeys(SCORES, float))


def held_out_errors(data: Path, params: Params) -> pd.DataFrame:
    """Errors of the forecasts for the videos that a run has held out, summed over the pairs of clips of each group.

    Args:
        data: folder with the `model` and the `embeddings` of the run.
        params: of the run.

    Returns:
        Columns group, forecast, persistence, and pairs (how many).
    """
    pairs, _ = score_run(data / "embeddings", data / "model", params.clip, params.seed)
    return pairs.assign(pairs=1).groupby("group", as_index=False)[["forecast", "persistence", "pairs"]].sum()


def differences(hits: pd.DataFrame) -> pd.DataFrame:
    """Mean scores with and without the change, and their difference on the same videos.

    Args:
        hits: hits of each run, with columns variant and seed.

    Returns:
        A row for each of SCORES: score, params.yaml, changed; difference, low, high: 95 % interval by bootstrap over
        groups, after averaging over seeds, so chance by initial weights is not in it; scored, groups: how many videos,
        and of how many groups.
    """
    seeds = hits.groupby(["video", "group", "variant"])[list(SCORES)].mean().unstack("variant").dropna()
    group_V = seeds.index.get_level_values("group").to_numpy(str)
    rows = []
    for score in SCORES:
        before_V, after_V = (seeds[score][variant].to_numpy() for variant in VARIANTS)
        means = before_V.mean(), after_V.mean()
        rows.append((score, *means, *group_interval(after_V - before_V, group_V), len(seeds), len(set(group_V))))
    return _table(rows)


def skill_difference(errors: pd.DataFrame) -> pd.DataFrame:
    """Skill against persistence with and without the change, and its difference.

    Args:
        errors: `held_out_errors` of each run, with a column variant.

    Returns:
        As `differences`, one row, score `skill`; `scored` is how many pairs of clips, of all seeds.
    """
    columns = ["forecast", "persistence", "pairs"]
    if not len(errors):  # all videos are too short for two clips
        return _table([])
    sums = errors.groupby(["group", "variant"])[columns].sum().unstack("variant").dropna()
    sums_G4 = sums[[(column, variant) for variant in VARIANTS for column in columns[:2]]].to_numpy()
    before, after = _skills(sums_G4.sum(axis=0)[None])[0]
    skill_R2 = np.concatenate([_skills(times_RG @ sums_G4) for times_RG in resamples(len(sums_G4))])
    low, high = np.quantile(skill_R2[:, 1] - skill_R2[:, 0], (0.025, 0.975))
    pairs = int(sums["pairs"]["changed"].sum())
    return _table([("skill", before, after, after - before, low, high, pairs, len(sums))])


def _skills(sums_R4: Numbers) -> Numbers:
    """Skill of both variants, [R, 2]."""
    return 1 - sums_R4[:, [0, 2]] / sums_R4[:, [1, 3]]


def _table(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["score", *VARIANTS, "difference", "low", "high", "scored", "groups"])
