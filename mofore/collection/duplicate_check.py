"""Is one video a copy of another? Compares the pictures of pairs of videos.

1. An affine transform aligns the middle pictures (by Evangelidis and Psarakis, "Parametric image alignment using
   enhanced correlation coefficient maximization", 2008), so that a crop does not matter.
2. The same transform aligns MOMENTS pictures that are spread over the two videos. From each, the mean over them is
   subtracted. What is left is what changes, and it correlates only if the same happens at the same time. A camera that
   does not move, or the same room on another day, does not count. These pictures are those of windows in the table. If
   one of the videos has fewer windows, both are opened, if they are still there and about as long as each other.

The score of a pair is the lower of both correlations. Where nothing changes in either video, it is the first alone.

Shapes: V videos, M moments, S side of a picture.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from mofore.collection.moments import read_moment
from mofore.collection.table import WINDOW, read_groups
from mofore.errors import UserError
from mofore.utils.progress import progress
from mofore.utils.workers import worker_count

FloatArray = npt.NDArray[np.float32]
PictureArray = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]
MOMENTS, SIDE = 5, 32  # pictures of a video; their side in pixels
ALIGNED = 0.7  # correlation of the middle pictures below which a pair is given up, with score 0
MIN_CHANGE = 2.0  # gray levels, root of the mean square; less is noise of the encoder
SCALING, TURN = 0.35, 0.2  # by which an alignment may scale and shear; more is no crop, but chance
ECC_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
BLUR = 5  # pixels, odd, before alignment
MOST_LONGER = 1.5  # times as long as the other video; beyond, they are no copies
AT_ONCE = 30.0  # seconds of a video whose frames are read at once
Candidate = tuple[int, int, bool]  # rows of two videos, and whether the second one is mirrored
Score = tuple[float, bool]  # of a pair, and whether it is one of changes


class Verifier:
    """Scores pairs of videos by their pictures."""

    def __init__(self, table: Path, rows: pd.DataFrame, quiet: bool) -> None:
        self.quiet = quiet
        self.files, self.end_V = rows.file.tolist(), rows.end_s.to_numpy()
        self.middle_VSS = np.stack([small(picture) for picture in rows.picture])
        self.moments_VMSS, self.windows_V = _moments(table, {name: v for v, name in enumerate(self.files)})
        self.opened: dict[int, PictureArray | None] = {}

    def __call__(self, pairs: list[Candidate]) -> list[Score]:
        with ThreadPoolExecutor(worker_count(-1)) as pool:
            aligned = list(progress(pool.map(self._align, pairs), len(pairs), "comparing", "pair", hidden=self.quiet))
            few = {
                video
                for (i, j, _), found in zip(pairs, aligned, strict=True)
                if found and self._to_be_opened(i, j)
                for video in (i, j)
            }
            todo = sorted(few - self.opened.keys())
            opened = progress(pool.map(self._open, todo), len(todo), "opening", "video", hidden=self.quiet)
            self.opened |= zip(todo, opened, strict=True)
            return list(pool.map(self._score, pairs, aligned))

    def _align(self, pair: Candidate) -> tuple[float, FloatArray] | None:
        i, j, mirrored = pair
        return align(self.middle_VSS[i], mirror(self.middle_VSS[j], mirrored))

    def _score(self, pair: Candidate, aligned: tuple[float, FloatArray] | None) -> Score:
        if aligned is None:
            return 0.0, False
        i, j, mirrored = pair
        a_MSS, b_MSS = self.moments_VMSS[i], self.moments_VMSS[j]
        if self._to_be_opened(i, j):
            a_opened, b_opened = self.opened[i], self.opened[j]
            if a_opened is not None and b_opened is not None:
                a_MSS, b_MSS = a_opened, b_opened
        correlation, warp_23 = aligned
        agreement = changes_agree(a_MSS, mirror(b_MSS, mirrored), warp_23)
        return (correlation, False) if agreement is None else (max(0.0, min(correlation, agreement)), True)

    def _to_be_opened(self, i: int, j: int) -> bool:
        """Whether the table has too few pictures of one of them, and they may be copies by their lengths."""
        short, long = sorted((self.end_V[i], self.end_V[j]))
        return bool(min(self.windows_V[i], self.windows_V[j]) < MOMENTS and long <= MOST_LONGER * short)

    def _open(self, video: int) -> PictureArray | None:
        """Pictures that are evenly spread over a video, read from its file; None if it cannot be read."""
        file, end_s = Path(self.files[video]), float(self.end_V[video])
        try:
            if end_s <= AT_ONCE:
                pictures = read_moment(file, 0.0, end_s, MOMENTS / end_s, height=2 * SIDE)
            else:  # whose frames would need much memory
                starts = (np.arange(MOMENTS) * end_s / MOMENTS).tolist()
                pictures = [read_moment(file, at, at + 1, 1, height=2 * SIDE)[0] for at in starts]
        except UserError:
            return None
        gray = [np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8) for picture in pictures]
        while len(gray) < MOMENTS:
            gray.append(gray[-1])
        return np.stack([shrink(picture) for picture in gray])


def mirror(picture: PictureArray, mirrored: bool) -> PictureArray:
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


def small(jpeg: bytes | None) -> PictureArray:
    """A picture of the table, gray [S, S]; black where there is none."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE) if jpeg else None
    return np.zeros((SIDE, SIDE), np.uint8) if image is None else shrink(np.asarray(image, np.uint8))


def shrink(picture: PictureArray, side: int = SIDE) -> PictureArray:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _moments(table: Path, number: dict[str, int]) -> tuple[PictureArray, IntArray]:
    """Pictures of windows that are evenly spread over each video, the first and the last among them.

    Args:
        table: the file.
        number: of each video, by path.

    Returns:
        Gray, uint8 [V, M, S, S], and the number of windows [V]. If there are few, some are there twice.
    """
    place = pa.concat_tables(read_groups(table, ["file", "kind"]))
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
    for group in read_groups(table, ["picture"]):
        pictures = group["picture"]
        for row in range(at, at + len(pictures)):
            if row in wanted:
                small_SS = small(pictures[row - at].as_py())
                for place_in_result in wanted[row]:
                    moments_VMSS[place_in_result] = small_SS
        at += len(pictures)
    return moments_VMSS, windows_V
