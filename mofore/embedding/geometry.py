"""Measures embeddings for collapse: effective rank, spread, alignment and uniformity.

Written in numpy, so that evaluations need not import torch. Decompositions, means and sums are computed in float64.

Shapes: N embeddings, U of them used, D dimensions.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from mofore.splits import these_or_all

Float = TypeVar("Float", bound=np.floating)
Floats = npt.NDArray[np.floating]
MIN_RANK = 5.0  # a lower effective rank counts as collapse
CONSTANT = 1e-5  # of the largest coordinate, or of a feature's mean; smaller differences are rounding
MIN_SPREAD = 0.25  # a lower spread counts as collapse; 1 is healthy
ROWS_PER_BLOCK = 4096  # limits the memory of `effective_rank`
MAX_PAIRED = 4096  # limits the number of embeddings of which `uniformity` compares all pairs


def unit(x_ND: npt.NDArray[Float]) -> npt.NDArray[Float]:
    """Scale each row to length 1, in the input's dtype: [N, D]. Rows of zeros stay zeros."""
    return x_ND / np.maximum(np.linalg.norm(x_ND, axis=1, keepdims=True), 1e-12)


def standardise(x_ND: Floats, train_N: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Scale features to mean 0 and standard deviation 1 over the training rows (over all, if there are none).

    A feature that is constant over the training rows, but for rounding, becomes 0 in all rows: it has no scale.

    Args:
        x_ND: features.
        train_N: True for training rows.
    """
    return fit_scale([x_ND], train_N).apply(x_ND)


class Scale(NamedTuple):
    """Mean and standard deviation of features, float64; the deviation of a constant feature is infinite."""

    mean_D: npt.NDArray[np.float64]
    std_D: npt.NDArray[np.float64]

    def apply(self, x_ND: Floats) -> npt.NDArray[np.float32]:
        """Features scaled by it."""
        return ((x_ND - self.mean_D) / self.std_D).astype(np.float32)


def fit_scale(blocks: Iterable[Floats], train_N: npt.NDArray[np.bool_]) -> Scale:
    """The scale for `standardise`, of features that come in blocks of successive rows.

    Args:
        blocks: is iterated over twice.
        train_N: True for training rows, of all blocks together.
    """
    used_N = these_or_all(train_N)
    count = used_N.sum()
    mean_D: Any = sum(rows_UD.sum(axis=0) for rows_UD in _used(blocks, used_N)) / count
    std_D = np.sqrt(sum(np.square(rows_UD - mean_D).sum(axis=0) for rows_UD in _used(blocks, used_N)) / count)
    std_D[std_D <= np.maximum(CONSTANT * np.abs(mean_D), 1e-9)] = np.inf
    return Scale(mean_D, std_D)


def _used(blocks: Iterable[Floats], used_N: npt.NDArray[np.bool_]) -> Iterator[npt.NDArray[np.float64]]:
    """The rows that are used, block by block, in float64."""
    first = 0
    for x_ND in blocks:
        yield x_ND[used_N[first : first + len(x_ND)]].astype(np.float64)
        first += len(x_ND)


def effective_rank(x_ND: Floats) -> float:
    """Effective number of directions that the embeddings use: 1 (collapsed) to min(N, D).

    The exponential of the entropy of the normalised singular values, as in RankMe (Garrido et al., 2023).
    """
    r_DD = np.empty((0, x_ND.shape[1]))
    for begin in range(0, len(x_ND), ROWS_PER_BLOCK):  # R of a QR decomposition keeps the singular values
        r_DD = np.asarray(np.linalg.qr(np.concatenate([r_DD, x_ND[begin : begin + ROWS_PER_BLOCK]]), mode="r"))
    singular = np.linalg.svd(r_DD, compute_uv=False)
    share = singular / max(singular.sum(), 1e-12)
    return float(np.exp(-(share * np.log(np.maximum(share, 1e-12))).sum()))


def spread(x_ND: Floats) -> float:
    """Mean over dimensions of the unit vectors' standard deviation, times sqrt(D): 0 (collapsed) to 1 (healthy)."""
    return float(unit(x_ND).std(axis=0, dtype=np.float64).mean() * x_ND.shape[1] ** 0.5)


def is_constant(x_ND: Floats) -> bool:
    """Whether all embeddings are the same up to rounding, so that no two videos can be distinguished by them."""
    return bool((np.ptp(x_ND, axis=0) <= CONSTANT * np.abs(x_ND).max(initial=0)).all())


def alignment(a_ND: Floats, b_ND: Floats) -> float:
    """Mean squared distance between paired rows, scaled to length 1: 0 (same direction) to 4 (opposite).

    Wang and Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity", 2020.
    """
    difference_ND = unit(a_ND.astype(np.float64)) - unit(b_ND.astype(np.float64))
    return float(np.square(difference_ND).sum(axis=1).mean())


def uniformity(x_ND: Floats, seed: int = 0) -> float:
    """Log of the mean Gaussian potential of all pairs: 0 (collapsed) to about -4 (uniform on the sphere).

    Wang and Isola (see `alignment`), with t = 2. Of more than MAX_PAIRED embeddings, a random sample of MAX_PAIRED is
    used, drawn with `seed`.
    """
    if len(x_ND) > MAX_PAIRED:
        x_ND = x_ND[np.random.default_rng(seed).choice(len(x_ND), MAX_PAIRED, replace=False)]
    u_ND = unit(x_ND).astype(np.float64)
    potential_NN = np.exp(4 * (u_ND @ u_ND.T) - 4)  # squared distance = 2 - 2 cosine
    pairs = len(u_ND) * (len(u_ND) - 1)
    return float(np.log((potential_NN.sum() - potential_NN.trace()) / pairs))


def collapse(rank: float, spread: float) -> str:
    """The reason why this effective rank and spread count as collapse, for messages; empty if they do not."""
    if rank < MIN_RANK:
        return f"effective rank {rank:.1f} is below {MIN_RANK:g}"
    return f"spread {spread:.2f} is below {MIN_SPREAD:g}" if spread < MIN_SPREAD else ""
