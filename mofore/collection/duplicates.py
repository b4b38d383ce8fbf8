"""Find the videos of a table that are copies of each other: the same bytes, re-encoded, cropped, mirrored or re-timed.

Embeddings alone cannot tell: two clips of one recording are often nearer than a video and its re-encoded copy. So they
only name candidates, as do the pictures of the table, plain and mirrored. A candidate pair is then verified by
its pictures, see duplicate_check.py.

**The threshold** is chosen from the measured background: the scores of pairs whose videos are not among the NEAR
nearest of each other, but come soon after. They are as alike as different videos of this collection are, and seldom
copies, since copies come first. Pairs within a cluster are left out, since a video may have many copies: clusters are
what pairs with scores above DEFAULT_THRESHOLDS connect. The upper tenth of z = artanh(score) is taken for an
exponential tail (a peaks-over-threshold model; its scale is from the median excess, which a few copies hardly change).
The threshold is the score that FALSE_PAIRS of all tested pairs are expected to exceed by chance, at least
MIN_THRESHOLD: below, less than a quarter of what changes is common to both. Clips of one recording in which the same
motion is repeated in step may exceed it as well; to a split, they are leaks all the same.

Shapes: V videos, D feature dimensions, S side of a picture, C pixels of a coarse picture, K neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mofore.collection.duplicate_check import Candidate, FloatArray, PictureArray, Score, Verifier, mirror, shrink
from mofore.collection.sides import find_sides
from mofore.collection.table import VIDEO, read_collection, read_videos
from mofore.embedding.geometry import standardise, unit
from mofore.errors import UserError
from mofore.evaluation.nearest import nearest
from mofore.utils.workers import worker_count
from mofore.videos.hashes import hash_files

COARSE = 16  # side of the pictures by which neighbours are looked for, in pixels
NEAR = 5  # a pair is tested if one is among so many nearest of the other
BACKGROUND_NEIGHBOURS = 5  # so many of those that come next are the background
MAX_BACKGROUND = 10_000  # pairs that are drawn for the background
MIN_BACKGROUND = 100  # with fewer scores above 0, the threshold is the default
FALSE_PAIRS = 1.0  # expected in the whole collection
TAIL = 0.9  # quantile of the background's scores above 0 at which its tail begins
MIN_THRESHOLD = 0.5
DEFAULT_THRESHOLDS = {True: 0.7, False: 0.98}  # for pairs with and without change; about those of UCF101


@dataclass(frozen=True)
class Pair:
    """Two videos that are copies of each other.

    Attributes:
        first, second: absolute paths, in alphabetical order.
        score: 0 to 1, see the module's text; 1 for the same bytes.
        similarity: cosine of the standardised embeddings; None where a video has none.
        same_bytes: whether the files are identical.
        mirrored: whether one is the mirror image of the other.
        sides: on which side of the split each is; empty if unknown.
    """

    first: str
    second: str
    score: float
    similarity: float | None
    same_bytes: bool
    mirrored: bool
    sides: tuple[str, str] = ("", "")

    @property
    def leaky(self) -> bool:
        """Whether the pair stands on both sides of the split."""
        return all(self.sides) and self.sides[0] != self.sides[1]


@dataclass(frozen=True)
class Duplicates:
    """Pairs found, identical files first, then by falling score.

    Attributes:
        pairs: the pairs.
        threshold: score from which videos in which something changes count as copies.
        still_threshold: likewise for those in which nothing changes, or that have one window only.
        tested: number of pairs that were verified.
        background: number of pairs from which the thresholds were chosen; 0 if one was given. See also
            DEFAULT_THRESHOLDS.
        notes: what of the split could not be used, a line each.
    """

    pairs: list[Pair]
    threshold: float
    still_threshold: float
    tested: int
    background: int
    notes: list[str] = field(default_factory=list)


def find_duplicates(
    table: Path, threshold: float | None = None, splits: Path | Sequence[Path] | None = None, quiet: bool = False
) -> Duplicates:
    """Find copies among the videos of a table.

    Args:
        table: the file that `mofore embed` wrote.
        threshold: score from which a pair counts, 0 to 1; None: chosen from the background, see the module's text.
        splits: see `find_sides`.
        quiet: show no progress.

    Raises:
        UserError: the table or the split cannot be read, or the split names none of the videos.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise UserError(f"threshold {threshold:g}: give a number from 0 to 1, or none to have it chosen")
    everything = read_videos(table)
    side_of, notes = find_sides(splits, everything.file.tolist()) if splits is not None else ({}, [])
    videos = read_collection(table, VIDEO, picture=True)
    names = videos.rows.file.tolist()
    u_VD = unit(standardise(videos.x_NE, np.ones(len(videos), bool)))
    verify = Verifier(table, videos.rows, quiet)
    near, deep = _candidates(u_VD, verify.middle_VSS)
    found = verify(near)
    background = verify(_apart(deep, near, found, len(names))) if threshold is None else []
    limit = {
        moves: _threshold(background, moves, len(near)) if threshold is None else threshold for moves in (True, False)
    }
    copies = {  # score, whether the bytes are the same, whether mirrored
        (min(names[i], names[j]), max(names[i], names[j])): (score, False, mirrored)
        for (i, j, mirrored), (score, moves) in zip(near, found, strict=True)
        if score >= limit[moves]
    }
    copies |= dict.fromkeys(_same_bytes(everything, side_of, quiet), (1.0, True, False))
    unit_of = dict(zip(names, u_VD, strict=True))
    pairs = [
        Pair(
            *(first, second, score),
            similarity=float(unit_of[first] @ unit_of[second]) if {first, second} <= unit_of.keys() else None,
            same_bytes=same_bytes,
            mirrored=mirrored,
            sides=(side_of.get(first, ""), side_of.get(second, "")),
        )
        for (first, second), (score, same_bytes, mirrored) in copies.items()
    ]
    pairs.sort(key=lambda pair: (not pair.same_bytes, -pair.score, pair.first, pair.second))
    return Duplicates(pairs, limit[True], limit[False], len(near), len(background), notes)


def _apart(pairs: list[Candidate], near: list[Candidate], scores: list[Score], videos: int) -> list[Candidate]:
    """The pairs whose videos are not in one cluster; scores of `near` from DEFAULT_THRESHOLDS on connect videos."""
    linked = [
        (i, j) for (i, j, _), (score, moves) in zip(near, scores, strict=True) if score >= DEFAULT_THRESHOLDS[moves]
    ]
    rows, columns = np.array(linked, int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(linked)), (rows, columns)), shape=(videos, videos))
    _, cluster_V = connected_components(graph, directed=False)
    return [(i, j, mirrored) for i, j, mirrored in pairs if cluster_V[i] != cluster_V[j]]


def _same_bytes(videos: pd.DataFrame, side_of: dict[str, str], quiet: bool) -> set[tuple[str, str]]:
    """Pairs of files with the same bytes: each with the first one on each side of the split, so that no leak is missed,
    and many copies of one file have few pairs. Only files of equal size are read.
    """
    same_size = videos[videos.duplicated("size", keep=False) & (videos["size"] > 0)].file.tolist()
    by_hash: dict[str, list[str]] = {}
    for file in hash_files(Path("/"), same_size, worker_count(-1), quiet) if same_size else []:
        if file.blake2b:  # empty: the file is gone
            by_hash.setdefault(file.blake2b, []).append(file.path)
    found: set[tuple[str, str]] = set()
    for files in by_hash.values():
        firsts = {side_of.get(file, ""): file for file in sorted(files, reverse=True)}.values()
        found |= {(min(first, file), max(first, file)) for first in firsts for file in files if file != first}
    return found


def _candidates(u_VD: FloatArray, middle_VSS: PictureArray) -> tuple[list[Candidate], list[Candidate]]:
    """Pairs (i, j, whether j is mirrored), i < j, that may be copies; and a sample of pairs for the background."""
    plain_VC, mirrored_VC = _coarse(middle_VSS), _coarse(mirror(middle_VSS, True))
    rank: dict[tuple[int, int], int] = {}
    for queries, gallery in ((u_VD, u_VD), (plain_VC, plain_VC), (mirrored_VC, plain_VC)):
        rows_VK, _ = nearest(queries, gallery, NEAR + BACKGROUND_NEIGHBOURS + 1)
        for i, row_K in enumerate(rows_VK.tolist()):
            for at, j in enumerate([j for j in row_K if j != i][: NEAR + BACKGROUND_NEIGHBOURS]):
                pair = min(i, j), max(i, j)
                rank[pair] = min(rank.get(pair, at), at)

    def looks(pairs: list[tuple[int, int]]) -> list[Candidate]:
        return [(i, j, bool(plain_VC[i] @ mirrored_VC[j] > plain_VC[i] @ plain_VC[j])) for i, j in pairs]

    deep = sorted(pair for pair, at in rank.items() if at >= NEAR)
    if len(deep) > MAX_BACKGROUND:
        chosen = np.random.default_rng(0).choice(len(deep), MAX_BACKGROUND, replace=False)
        deep = [deep[n] for n in np.sort(chosen)]
    return looks(sorted(pair for pair, at in rank.items() if at < NEAR)), looks(deep)


def _coarse(picture_VSS: PictureArray) -> FloatArray:
    """Small pictures without their mean, of length 1: their product is the correlation."""
    c_VC = np.stack([shrink(picture_SS, COARSE).reshape(-1) for picture_SS in picture_VSS]).astype(np.float32)
    return unit(c_VC - c_VC.mean(axis=1, keepdims=True))


def _threshold(background: list[Score], of_changes: bool, tested: int) -> float:
    """The score that FALSE_PAIRS of `tested` pairs are expected to exceed, by the tail of the background."""
    scores = np.array([score for score, moves in background if moves == of_changes and score > 0])
    if len(scores) < MIN_BACKGROUND:
        return DEFAULT_THRESHOLDS[of_changes]
    z = np.arctanh(np.minimum(scores, 1 - 1e-6))
    start = np.quantile(z, TAIL)
    excess = z[z > start] - start
    expected = tested * len(excess) / len(background)  # pairs beyond the start of the tail
    scale = np.median(excess) / np.log(2)
    return max(MIN_THRESHOLD, float(np.tanh(start + scale * np.log(max(1.0, expected / FALSE_PAIRS)))))
