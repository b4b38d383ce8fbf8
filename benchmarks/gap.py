"""Measure whether the future of a clip's embedding depends on how far ahead it is.

    dvc repro embed
    python benchmarks/gap.py [--embeddings data/embeddings] [--folds 5] [--gap-max 48]

The predictor of a run hardly uses the gap that it is told (`gap_use` in results/forecast.json). That is no fault of it
if there is nothing to use. So predictors without the training loop's limits are fitted here in closed form, to pairs of
clips of the training videos: the change of the motion embedding from the earlier clip to the later one, by ridge
regression

    one        from the embedding alone, for all gaps
    told       also from the products of the embedding with log(1 + gap) and its square
    bins       also from a regression of its own for each fifth of the gaps, as several heads for near and far

Told and bins have what one has, and more. What they have more is shrunk by a ridge of its own, which is chosen on
held-out groups and may be infinite: then they are one. So they lose only by chance, and gain if the gap tells anything.

They are compared on groups that they were not fitted to, by error 2 - 2 cos(prediction, future). The gain is 1 - error
of told, or of bins, over error of one; skill is 1 - error over that of persistence. In brackets stand 95 % intervals by
bootstrap over groups. Ridges are chosen by cross-validation on the other groups. Gaps are at most those of training,
forecast.gap_max, unless --gap-max says otherwise. The last line of the output is JSON.

Shapes: V videos, K clips of each, N pairs, D dimensions, M functions of the gap, F inputs of a regression.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mofore.clips.sampling import clip_span
from mofore.config import load_params
from mofore.embedding.geometry import unit
from mofore.embedding.store import read_clip_embeddings, read_embeddings
from mofore.errors import UserError, run_stage
from mofore.splits import group_folds

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # per pair
BINS = 5
Floats = npt.NDArray[np.float64]
Fold = tuple[Floats, Floats, Floats, Floats, Floats]  # see `make_folds`


def pairs(folder: Path, span: int, gap_max: int) -> tuple[Floats, Floats, Floats, npt.NDArray[np.str_]]:
    """All pairs of clips of a training video that do not overlap and are at most `gap_max` video frames apart.

    Returns:
        Motion embeddings of earlier and later clips [N, D], of length 1; gaps [N], in video frames; groups [N].

    Raises:
        UserError: there are fewer than 100.
    """
    videos, clips = read_embeddings(folder, "mofore"), read_clip_embeddings(folder, "mofore")
    train = videos.rows(videos.split == "train")
    group_of = dict(zip(train.video, train.group, strict=True))
    keep = np.isin(clips.video, list(group_of))
    x_ND, video, start = clips.x_ND[keep].astype(np.float64), clips.video[keep], clips.start[keep]
    if (folder / "streams.json").exists():
        x_ND = x_ND[:, : x_ND.shape[1] // 2]  # the motion stream comes first
    varies = x_ND.std(axis=0) > 1e-4
    x_ND = unit((x_ND[:, varies] - x_ND[:, varies].mean(axis=0)) / x_ND[:, varies].std(axis=0))
    first, second = [], []
    for name in np.unique(video):
        rows = np.flatnonzero(video == name)
        early, late = np.triu_indices(len(rows), 1)
        gap = start[rows[late]] - start[rows[early]] - span
        chosen = (gap >= 0) & (gap <= gap_max)
        first.append(rows[early[chosen]])
        second.append(rows[late[chosen]])
    a, b = np.concatenate(first), np.concatenate(second)
    if len(a) < 100:
        raise UserError(
            f"{folder}: {len(a)} pairs of clips of training videos, too few: raise --gap-max or embed.clips"
        )
    gap_N = (start[b] - start[a] - span).astype(np.float64)
    return x_ND[a], x_ND[b], gap_N, np.array([group_of[name] for name in video[a]])


def told(gap_N: Floats) -> Floats:
    """log(1 + gap) and its square, each with mean 0 and variance 1, [N, 2]."""
    log_N = standardised(np.log1p(gap_N))
    return np.stack([log_N, standardised(log_N**2)], axis=1)


def standardised(x_N: Floats) -> Floats:
    """With mean 0 and variance 1; 0 if all values are equal."""
    return (x_N - x_N.mean()) / (x_N.std() or 1.0)


def bins(gap_N: Floats) -> Floats:
    """In which fifth of the gaps each pair is, [N, BINS]: 1 there, else 0, less the mean.

    Without the mean, heads differ from the common regression, and are no finer choice of its ridge.
    """
    number_N = np.digitize(gap_N, np.quantile(gap_N, np.arange(1, BINS) / BINS))
    of_bin_NM = np.eye(BINS)[number_N]
    return of_bin_NM - of_bin_NM.mean(axis=0)


def errors(forecast_ND: Floats, future_ND: Floats) -> Floats:
    """2 - 2 cos of each forecast [N]."""
    return 2 - 2 * (unit(forecast_ND) * future_ND).sum(axis=1)


def make_folds(now_ND: Floats, future_ND: Floats, of_gap_NM: Floats, masks: list[npt.NDArray[np.bool_]]) -> list[Fold]:
    """For each fold its inputs [N, F], what is to be predicted, and the sums from which a regression is fitted.

    The first inputs are the embedding and 1, the others their products with each function of the gap.
    """
    folds = []
    for rows in masks:
        now, future = now_ND[rows], future_ND[rows]
        x = np.column_stack([now, np.ones(len(now))])
        x_NF = np.concatenate([x, *(column[:, None] * x for column in of_gap_NM[rows].T)], axis=1)
        folds.append((now, future, x_NF, x_NF.T @ x_NF, x_NF.T @ (future - now)))
    return folds


def fitted(folds: list[Fold], ridge: float, ridge_of_gap: float) -> Floats:
    """Weights of a regression [F, D]; with an infinite ridge those of the gap are 0."""
    pairs, plain = sum(len(fold[0]) for fold in folds), folds[0][0].shape[1] + 1
    gram_FF, moment_FD = (np.sum([fold[part] for fold in folds], axis=0) for part in (3, 4))
    used = plain if np.isinf(ridge_of_gap) else len(moment_FD)
    penalty_F = pairs * np.where(np.arange(used) < plain, ridge, ridge_of_gap)
    weights_FD = np.zeros_like(moment_FD)
    weights_FD[:used] = np.linalg.solve(gram_FF[:used, :used] + np.diag(penalty_F), moment_FD[:used])
    return weights_FD


def fold_errors(fold: Fold, weights_FD: Floats) -> Floats:
    """Error of the forecast of each pair of a fold, [N]."""
    now_ND, future_ND, x_NF, _, _ = fold
    return errors(now_ND + x_NF @ weights_FD, future_ND)


def chosen_ridges(folds: list[Fold]) -> tuple[float, float]:
    """The ridge of the embedding, and that of its products with functions of the gap, by cross-validation."""

    def error(ridge: float, ridge_of_gap: float) -> float:
        each = []
        for held_out, fold in enumerate(folds):
            others = folds[:held_out] + folds[held_out + 1 :]
            each.append(fold_errors(fold, fitted(others, ridge, ridge_of_gap)))
        return float(np.concatenate(each).mean())

    ridge = min(RIDGES, key=lambda ridge: error(ridge, np.inf))
    return ridge, min((np.inf, *RIDGES), key=lambda of_gap: error(ridge, of_gap))


def forecast_errors(
    now_ND: Floats, future_ND: Floats, of_gap_NM: Floats, masks: list[npt.NDArray[np.bool_]]
) -> tuple[Floats, list[float]]:
    """Errors of forecasts [N], each by a regression that was fitted to other groups; and the ridges of the gap.

    Args:
        now_ND, future_ND: embeddings of the clips of each pair, of length 1.
        of_gap_NM: functions of the gap.
        masks: the pairs of each fold of groups.
    """
    folds, found_N, ridges = make_folds(now_ND, future_ND, of_gap_NM, masks), np.empty(len(now_ND)), []
    for number, test_N in enumerate(masks):
        train = folds[:number] + folds[number + 1 :]
        ridge, of_gap = chosen_ridges(train)
        found_N[test_N] = fold_errors(folds[number], fitted(train, ridge, of_gap))
        ridges.append(of_gap)
    return found_N, ridges


def gain(error_N: Floats, reference_N: Floats, group_N: npt.NDArray[np.str_]) -> tuple[float, float, float]:
    """1 - error / error of a reference, over all pairs, with its 95 % interval over groups."""
    _, group = np.unique(group_N, return_inverse=True)
    sums_2G = np.stack([np.bincount(group, x_N) for x_N in (error_N, reference_N)])
    drawn_RG = np.random.default_rng(0).multinomial(
        sums_2G.shape[1], np.full(sums_2G.shape[1], 1 / sums_2G.shape[1]), 2000
    )
    error_R, reference_R = drawn_RG @ sums_2G[0], drawn_RG @ sums_2G[1]
    low, high = np.quantile(1 - error_R / reference_R, (0.025, 0.975))
    return float(1 - sums_2G[0].sum() / sums_2G[1].sum()), float(low), float(high)


def main() -> None:
    """Fit all regressions, and compare their errors."""
    params = load_params()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", type=Path, default=Path("data/embeddings"), help="output of stage embed")
    parser.add_argument("--folds", type=int, default=5, help="folds of groups, at least 3")
    parser.add_argument("--gap-max", type=int, default=params.forecast.gap_max, help="video frames; largest gap")
    arguments = parser.parse_args()
    now_ND, future_ND, gap_N, group_N = pairs(arguments.embeddings, clip_span(params.clip), arguments.gap_max)
    masks = group_folds([""] * len(group_N), group_N.tolist(), arguments.folds, seed=0)  # by group alone, not by class
    if len(masks) < 3:
        raise UserError(f"{len(masks)} folds of groups: at least 3 are needed, as ridges are chosen on some of them")
    persistence_N = errors(now_ND, future_ND)
    one_N, _ = forecast_errors(now_ND, future_ND, np.empty((len(gap_N), 0)), masks)
    told_N, told_ridges = forecast_errors(now_ND, future_ND, told(gap_N), masks)
    bins_N, bins_ridges = forecast_errors(now_ND, future_ND, bins(gap_N), masks)
    found = {
        "skill of one": gain(one_N, persistence_N, group_N),
        "gain of told": gain(told_N, one_N, group_N),
        "gain of bins": gain(bins_N, one_N, group_N),
    }
    near = gap_N <= np.median(gap_N)
    print(f"{len(gap_N):,} pairs, gaps {gap_N.min():.0f} to {gap_N.max():.0f} video frames")
    print(
        f"error of persistence: {persistence_N[near].mean():.3f} nearer half, {persistence_N[~near].mean():.3f} farther"
    )
    for name, (value, low, high) in found.items():
        print(f"{name}: {value:.3f} ({low:.3f} to {high:.3f})")
    for name, ridges in (("told", told_ridges), ("bins", bins_ridges)):
        print(f"{name}: leaves the gap out in {sum(map(np.isinf, ridges))} of {len(ridges)} folds")
    print(json.dumps({"pairs": len(gap_N)} | {name: [round(x, 4) for x in values] for name, values in found.items()}))


if __name__ == "__main__":
    run_stage(main)
