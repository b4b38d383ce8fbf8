"""Find the videos of a table that are copies of each other: the same bytes, re-encoded, cropped, mirrored or re-timed.

Embeddings alone cannot tell: two clips of one recording are often nearer than a video and its re-encoded copy. So they
only name candidates, as do the pictures of the table, plain and mirrored. A candidate pair is then verified:

1. An affine transform aligns the middle pictures (by Evangelidis and Psarakis, "Parametric image alignment using
   enhanced correlation coefficient maximization", 2008), so that a crop does not matter.
2. The same transform aligns MOMENTS pictures that are spread over the two videos. From each, the mean over them is
   subtracted. What is left is what changes, and it correlates only if the same happens at the same time. A camera that
   does not move, or the same room on another day, does not count. These pictures are those of windows in the table; a
   video with fewer windows is opened, if it is still there.

The score of a pair is the lower of both correlations. Where nothing changes in either video, it is the first alone.

**The threshold** is chosen from the measured background: the scores of pairs whose videos are not among the NEAR
nearest of each other, but come soon after. They are as alike as different videos of this collection are, and seldom
copies, since copies come first. The upper tenth of their z = artanh(score) is taken for an exponential tail (a
peaks-over-threshold model; its scale is from the median excess, which a few copies hardly change). The threshold is the
score that FALSE_PAIRS of all tested pairs are expected to exceed by chance. Clips of one recording in which the same
motion is repeated in step may exceed it as well; to a split, they are leaks all the same.

Shapes: V videos, D feature dimensions, M moments, S side of a picture, C pixels of a coarse picture, K neighbours.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.parquet as pq

from mofore.collection.moments import read_moment
from mofore.collection.table import VIDEO, WINDOW, read_collection, read_videos
from mofore.embedding.geometry import standardise, unit
from mofore.errors import UserError
from mofore.evaluation.nearest import nearest
from mofore.utils.progress import progress
from mofore.utils.workers import worker_count
from mofore.videos.hashes import hash_files

FloatArray = npt.NDArray[np.float32]
PictureArray = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]
MOMENTS, SIDE, COARSE = 5, 32, 16  # pictures of a video; their side in pixels, and where only neighbours are looked for
NEAR, DEEP = 5, 5  # a pair is tested if one is among the NEAR nearest of the other; background: the DEEP next ones
MAX_BACKGROUND = 10_000  # pairs that are drawn for the background
MIN_BACKGROUND = 100  # with fewer scores above 0, the threshold is USUAL
FALSE_PAIRS = 1.0  # expected in the whole collection
TAIL = 0.9  # quantile of the background's scores above 0 at which its tail begins
USUAL = {True: 0.7, False: 0.98}  # thresholds for pairs with and without change; about those of UCF101
ALIGNED = 0.7  # correlation of the middle pictures below which a pair is given up, with score 0
MIN_CHANGE = 2.0  # gray levels, root of the mean square; less is noise of the encoder
SCALING, TURN = 0.35, 0.2  # by which an alignment may scale and shear; more is no crop, but chance
ECC_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
BLUR = 5  # pixels, odd, before alignment
Candidate = tuple[int, int, bool]  # rows of two videos, and whether the second one is mirrored
Score = tuple[float, bool]  # of a pair, and whether it is one of changes


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
        background: number of pairs from which the thresholds were chosen; 0 if one was given. See also USUAL.
    """

    pairs: list[Pair]
    threshold: float
    still_threshold: float
    tested: int
    background: int


def find_duplicates(
    table: Path, threshold: float | None = None, splits: Path | Sequence[Path] | None = None
) -> Duplicates:
    """Find copies among the videos of a table.

    Args:
        table: the file that `mofore embed` wrote.
        threshold: score from which a pair counts, 0 to 1; None: chosen from the background, see the module's text.
        splits: a CSV file with columns `path` (relative to its folder) and `split`, or two folders or more, each one
            side of the split. Videos that are in none of them belong to no side.

    Raises:
        UserError: the table or the split cannot be read, or the split names none of the videos.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise UserError(f"threshold {threshold:g}: give a number from 0 to 1, or none to have it chosen")
    everything = read_videos(table)
    side_of = _sides(splits, everything.file.tolist()) if splits is not None else {}
    videos = read_collection(table, VIDEO, picture=True)
    names = videos.rows.file.tolist()
    u_VD = unit(standardise(videos.x_NE, np.ones(len(videos), bool)))
    verify = _Verifier(table, videos.rows)
    near, deep = _candidates(u_VD, verify.middle_VSS)
    found, background = verify(near), verify(deep) if threshold is None else []
    limit = {
        moves: _threshold(background, moves, len(near)) if threshold is None else threshold for moves in (True, False)
    }
    copies = {  # score, whether the bytes are the same, whether mirrored
        (min(names[i], names[j]), max(names[i], names[j])): (score, False, mirrored)
        for (i, j, mirrored), (score, moves) in zip(near, found, strict=True)
        if score >= limit[moves]
    }
    copies |= dict.fromkeys(_same_bytes(everything), (1.0, True, False))
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
    return Duplicates(pairs, limit[True], limit[False], len(near), len(background))


def _same_bytes(videos: pd.DataFrame) -> set[tuple[str, str]]:
    """Pairs of files with the same bytes. Only files of equal size are read."""
    same_size = videos[videos.duplicated("size", keep=False) & (videos["size"] > 0)].file.tolist()
    by_hash: dict[str, list[str]] = {}
    for file in hash_files(Path("/"), same_size, worker_count(-1)) if same_size else []:
        if file.blake2b:  # empty: the file is gone
            by_hash.setdefault(file.blake2b, []).append(file.path)
    return {pair for files in by_hash.values() for pair in combinations(sorted(files), 2)}


def _sides(splits: Path | Sequence[Path], files: list[str]) -> dict[str, str]:
    """The side of the split of each file; empty for files that are on none."""
    if isinstance(splits, Path):
        if not splits.is_file():
            raise UserError(f"{splits}: no such file: give a CSV file with columns path and split, or two folders")
        try:
            listed = pd.read_csv(splits, dtype=str, keep_default_na=False)
        except (ValueError, OSError) as error:
            raise UserError(f"{splits}: not a readable CSV file: {str(error).splitlines()[0]}") from None
        if not {"path", "split"} <= set(listed):
            raise UserError(f"{splits}: columns path and split are needed, it has {', '.join(map(str, listed))}")
        by_path = {
            os.path.abspath(splits.parent / path): side for path, side in zip(listed.path, listed.split, strict=True)
        }
        sides = {file: by_path.get(file, "") for file in files}
    else:
        folders = [Path(os.path.abspath(folder)) for folder in splits]
        if len(set(folders)) < 2:
            raise UserError("a split has two sides: give two different folders, or a CSV file with path and split")
        sides = {file: next((str(folder) for folder in folders if folder in Path(file).parents), "") for file in files}
    if not any(sides.values()):
        where = splits if isinstance(splits, Path) else ", ".join(map(str, splits))
        raise UserError(f"{where}: names none of the videos of the table: check the paths")
    return sides


def _small(jpeg: bytes | None) -> PictureArray:
    """A picture of the table, gray [S, S]; black where there is none."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE) if jpeg else None
    return np.zeros((SIDE, SIDE), np.uint8) if image is None else _shrink(np.asarray(image, np.uint8))


def _shrink(picture: PictureArray, side: int = SIDE) -> PictureArray:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _moments(table: Path, number: dict[str, int]) -> tuple[PictureArray, IntArray]:
    """Pictures of windows that are evenly spread over each video, the first and the last among them.

    Args:
        table: the file.
        number: of each video, by path.

    Returns:
        Gray, uint8 [V, M, S, S], and the number of windows [V]. If there are few, some are there twice.
    """
    file = pq.ParquetFile(table)
    place = file.read(["file", "kind"])
    window_N = np.flatnonzero(place["kind"].to_numpy() == WINDOW)
    names_N = place["file"].to_numpy()[window_N]
    first_W = np.flatnonzero(np.r_[True, names_N[1:] != names_N[:-1]][: len(names_N)])  # of each video that has some
    windows_V = np.zeros(len(number), np.int64)
    wanted: dict[int, list[tuple[int, int]]] = {}  # video and moment, by row of the table
    for first, end in zip(first_W, np.r_[first_W, len(names_N)][1:], strict=True):
        if (video := number.get(names_N[first])) is not None:
            windows_V[video] = end - first
            for moment, row in enumerate(np.linspace(first, end - 1, MOMENTS).round().astype(int)):
                wanted.setdefault(int(window_N[row]), []).append((video, moment))
    moments_VMSS = np.zeros((len(number), MOMENTS, SIDE, SIDE), np.uint8)
    at = 0
    for group in range(file.num_row_groups):
        pictures = file.read_row_group(group, ["picture"])["picture"]
        for row in range(at, at + len(pictures)):
            if row in wanted:
                small_SS = _small(pictures[row - at].as_py())
                for place_in_result in wanted[row]:
                    moments_VMSS[place_in_result] = small_SS
        at += len(pictures)
    return moments_VMSS, windows_V


def _candidates(u_VD: FloatArray, middle_VSS: PictureArray) -> tuple[list[Candidate], list[Candidate]]:
    """Pairs (i, j, whether j is mirrored), i < j, that may be copies; and a sample of pairs for the background."""
    plain_VC, mirrored_VC = _coarse(middle_VSS), _coarse(_mirror(middle_VSS, True))
    rank: dict[tuple[int, int], int] = {}
    for queries, gallery in ((u_VD, u_VD), (plain_VC, plain_VC), (mirrored_VC, plain_VC)):
        rows_VK, _ = nearest(queries, gallery, NEAR + DEEP + 1)
        for i, row_K in enumerate(rows_VK.tolist()):
            for at, j in enumerate([j for j in row_K if j != i][: NEAR + DEEP]):
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
    c_VC = np.stack([_shrink(picture_SS, COARSE).reshape(-1) for picture_SS in picture_VSS]).astype(np.float32)
    return unit(c_VC - c_VC.mean(axis=1, keepdims=True))


class _Verifier:
    """Scores pairs of videos by their pictures."""

    def __init__(self, table: Path, rows: pd.DataFrame) -> None:
        self.files, self.end_V = rows.file.tolist(), rows.end_s.to_numpy()
        self.middle_VSS = np.stack([_small(picture) for picture in rows.picture])
        self.moments_VMSS, self.windows_V = _moments(table, {name: v for v, name in enumerate(self.files)})
        self.opened: dict[int, PictureArray | None] = {}

    def __call__(self, pairs: list[Candidate]) -> list[Score]:
        with ThreadPoolExecutor(worker_count(-1)) as pool:
            aligned = list(progress(pool.map(self._align, pairs), len(pairs), "comparing", "pair"))
            few = {
                video
                for (i, j, _), found in zip(pairs, aligned, strict=True)
                if found and min(self.windows_V[i], self.windows_V[j]) < MOMENTS
                for video in (i, j)
            }
            todo = sorted(few - self.opened.keys())
            self.opened |= zip(todo, progress(pool.map(self._open, todo), len(todo), "opening", "video"), strict=True)
            return list(pool.map(self._score, pairs, aligned))

    def _align(self, pair: Candidate) -> tuple[float, FloatArray] | None:
        i, j, mirrored = pair
        return align(self.middle_VSS[i], _mirror(self.middle_VSS[j], mirrored))

    def _score(self, pair: Candidate, aligned: tuple[float, FloatArray] | None) -> Score:
        if aligned is None:
            return 0.0, False
        i, j, mirrored = pair
        a_MSS, b_MSS = self.moments_VMSS[i], self.moments_VMSS[j]
        if min(self.windows_V[i], self.windows_V[j]) < MOMENTS:
            a_opened, b_opened = self.opened[i], self.opened[j]
            if a_opened is not None and b_opened is not None:
                a_MSS, b_MSS = a_opened, b_opened
        correlation, warp_23 = aligned
        agreement = changes_agree(a_MSS, _mirror(b_MSS, mirrored), warp_23)
        return (correlation, False) if agreement is None else (max(0.0, min(correlation, agreement)), True)

    def _open(self, video: int) -> PictureArray | None:
        """Pictures that are evenly spread over a video, read from its file; None if it cannot be read."""
        end_s = float(self.end_V[video])
        try:
            pictures = read_moment(Path(self.files[video]), 0.0, end_s, MOMENTS / end_s, height=2 * SIDE)
        except UserError:
            return None
        gray = [np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8) for picture in pictures]
        while len(gray) < MOMENTS:
            gray.append(gray[-1])
        return np.stack([_shrink(picture) for picture in gray])


def _mirror(picture: PictureArray, mirrored: bool) -> PictureArray:
    return np.ascontiguousarray(picture[..., ::-1]) if mirrored else picture


def align(a_SS: PictureArray, b_SS: PictureArray) -> tuple[float, FloatArray] | None:
    """Align a gray picture with another one.

    Returns:
        Their correlation once they are aligned, ALIGNED to 1, and the transform [2, 3] from places of the first to
        places of the second; None if they do not resemble each other.
    """
    if not np.ptp(a_SS) or not np.ptp(b_SS):  # of one gray level: nothing to compare
        return None
    try:
        correlation, warp = cv2.findTransformECC(
            a_SS, b_SS, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, ECC_STOP, np.full_like(a_SS, 255), BLUR
        )
    except cv2.error:  # it does not converge
        return None
    warp_23 = np.asarray(warp, np.float32)
    (xx, xy, _), (yx, yy, _) = warp_23.tolist()
    is_crop = max(abs(xx - 1), abs(yy - 1)) <= SCALING and max(abs(xy), abs(yx)) <= TURN
    return (min(1.0, correlation), warp_23) if is_crop and correlation >= ALIGNED else None


def changes_agree(a_MSS: PictureArray, b_MSS: PictureArray, warp_23: FloatArray) -> float | None:
    """Correlation of what changes in two videos.

    Args:
        a_MSS, b_MSS: gray pictures of the same moments.
        warp_23: from places of the first to places of the second.

    Returns:
        -1 to 1; None if nothing changes in either of them.
    """
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = np.stack([cv2.warpAffine(b_SS, warp_23, (SIDE, SIDE), flags=flags) for b_SS in b_MSS])
    inside_SS = cv2.warpAffine(np.full((SIDE, SIDE), 255, np.uint8), warp_23, (SIDE, SIDE), flags=flags) == 255
    a, b = (pictures[:, inside_SS].astype(np.float32) for pictures in (a_MSS, warped))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    a_size, b_size = np.sqrt(np.square(a).mean()), np.sqrt(np.square(b).mean())
    if max(a_size, b_size) < MIN_CHANGE:
        return None
    return float((a * b).mean() / max(a_size * b_size, 1e-9))


def _threshold(background: list[Score], of_changes: bool, tested: int) -> float:
    """The score that FALSE_PAIRS of `tested` pairs are expected to exceed, by the tail of the background."""
    scores = np.array([score for score, moves in background if moves == of_changes and score > 0])
    if len(scores) < MIN_BACKGROUND:
        return USUAL[of_changes]
    z = np.arctanh(np.minimum(scores, 1 - 1e-6))
    start = np.quantile(z, TAIL)
    excess = z[z > start] - start
    expected = tested * len(excess) / len(background)  # pairs beyond the start of the tail
    scale = np.median(excess) / np.log(2)
    return float(np.tanh(start + scale * np.log(max(1.0, expected / FALSE_PAIRS))))
