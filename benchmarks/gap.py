"""Measure whether the future of a clip's embedding depends on how far ahead it is.

    dvc repro embed
    python benchmarks/gap.py [--embeddings data/embeddings] [--folds 5]

The predictor of a run hardly uses the gap that it is told (`gap_use` in results/forecast.json). That is no fault of it
if there is nothing to use. So predictors without the training loop's limits are fitted here in closed form, to pairs of
clips of the training videos: the change of the motion embedding from the earlier clip to the later one, by ridge
regression

    one        from the embedding alone, for all gaps
    told       also from the gap, its square, and the products of both with the embedding
    of bins    from the embedding alone, one regression for each fifth of the gaps, as several heads for near and far

They are compared on groups that they were not fitted to, by error 2 - 2 cos(prediction, future). The gain is 1 - error
of told, or of bins, over error of one; skill is 1 - error over that of persistence. In brackets stand 95 % intervals by
bootstrap over groups. The regularisation is chosen on other groups. The last line of the output is JSON.

Shapes: V videos, K clips of each, N pairs, D dimensions, F inputs of a regression.
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
Ints = npt.NDArray[np.int64]


def pairs(folder: Path, span: int) -> tuple[Floats, Floats, Floats, npt.NDArray[np.str_]]:
    """All pairs of clips of a training video that do not overlap.

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
        apart = start[rows[late]] - start[rows[early]] >= span
        first.append(rows[early[apart]])
        second.append(rows[late[apart]])
    a, b = np.concatenate(first), np.concatenate(second)
    if len(a) < 100:
        raise UserError(f"{folder}: {len(a)} pairs of clips of training videos, too few")
    gap_N = (start[b] - start[a] - span).astype(np.float64)
    return x_ND[a], x_ND[b], gap_N, np.array([group_of[name] for name in video[a]])


def inputs(x_ND: Floats, gap_N: Floats, told: bool) -> Floats:
    """Inputs of a regression [N, F]: the embedding and 1; if told, also the gap, its square, and their products."""
    x_NF = np.column_stack([x_ND, np.ones(len(x_ND))])
    if not told:
        return x_NF
    gap_N1 = gap_N[:, None] / 100
    return np.concatenate([x_NF, gap_N1 * x_NF, gap_N1**2 * x_NF], axis=1)


def errors(forecast_ND: Floats, future_ND: Floats) -> Floats:
    """2 - 2 cos of each forecast [N]."""
    return 2 - 2 * (unit(forecast_ND) * future_ND).sum(axis=1)


def fitted(x_NF: Floats, change_ND: Floats, ridge: float) -> Floats:
    """Weights of a ridge regression [F, D]."""
    gram_FF = x_NF.T @ x_NF + ridge * len(x_NF) * np.eye(x_NF.shape[1])
    return np.asarray(np.linalg.solve(gram_FF, x_NF.T @ change_ND))


def forecast_errors(
    now_ND: Floats, future_ND: Floats, gap_N: Floats, group_N: npt.NDArray[np.str_], told: bool, folds: int
) -> Floats:
    """Errors of forecasts [N], each by a regression that was fitted to other groups."""
    x_NF, found_N = inputs(now_ND, gap_N, told), np.empty(len(now_ND))
    blank = [""] * len(group_N)  # folds by group alone, not by class
    for test_N in group_folds(blank, group_N.tolist(), folds, seed=0):
        train = np.flatnonzero(~test_N)
        inner_N = group_folds(blank[: len(train)], group_N[train].tolist(), 4, seed=1)[0]
        fit, check = train[~inner_N], train[inner_N]

        def error(ridge: float, fit: Ints = fit, check: Ints = check) -> float:
            change_ND = x_NF[check] @ fitted(x_NF[fit], future_ND[fit] - now_ND[fit], ridge)
            return float(errors(now_ND[check] + change_ND, future_ND[check]).mean())

        weights_FD = fitted(x_NF[train], future_ND[train] - now_ND[train], min(RIDGES, key=error))
        found_N[test_N] = errors(now_ND[test_N] + x_NF[test_N] @ weights_FD, future_ND[test_N])
    return found_N


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embeddings", type=Path, default=Path("data/embeddings"), help="output of stage embed")
    parser.add_argument("--folds", type=int, default=5, help="folds of groups")
    arguments = parser.parse_args()
    now_ND, future_ND, gap_N, group_N = pairs(arguments.embeddings, clip_span(load_params().clip))
    persistence_N = errors(now_ND, future_ND)
    one_N, told_N = (
        forecast_errors(now_ND, future_ND, gap_N, group_N, told, arguments.folds) for told in (False, True)
    )
    bin_N = np.digitize(gap_N, np.quantile(gap_N, np.arange(1, BINS) / BINS))
    bins_N = np.empty(len(gap_N))
    for number in np.unique(bin_N):
        rows = bin_N == number
        bins_N[rows] = forecast_errors(
            now_ND[rows], future_ND[rows], gap_N[rows], group_N[rows], False, arguments.folds
        )
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
    print(json.dumps({"pairs": len(gap_N)} | {name: [round(x, 4) for x in values] for name, values in found.items()}))


if __name__ == "__main__":
    run_stage(main)
