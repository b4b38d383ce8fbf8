"""Decoding each video once into small JPEG frames, packed into few files.

`data/frames/` holds
- `pack-00000.bin`, ...: JPEG images back to back, one pack for the frames of some successive rows of the catalog;
- `index.npy`: int64 [F, 3], one row a frame: pack number, byte offset, byte length; by video, then by time;
- `videos.csv`: one row a video of the catalog, in its order: what became of it.
A pack depends on its videos only, so the bytes are the same whatever the number of processes. Packs are made in
`.scratch/` (see packs.py): a run that was killed goes on where it was.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mofore.catalog import CATALOG, Video, csv_bytes, read_catalog, video_root
from mofore.config import Params
from mofore.errors import UserError
from mofore.frames.duplicates import find_copies
from mofore.frames.outcome import Outcome
from mofore.frames.packs import Pack, read_sidecar, scratch_folder, scratch_key
from mofore.frames.parallel import make_packs
from mofore.utils.files import writing
from mofore.utils.progress import progress
from mofore.utils.text import counted, some_names
from mofore.utils.workers import worker_count

FRAMES = Path("data/frames")
COLUMNS = ["video", "label", "group", "split", "frames", "fps", "width", "height", "status", "reason"]


def extract_frames(params: Params) -> str:
    """Write `data/frames` from the videos of the catalog.

    Returns:
        The stage's closing line: how much was stored, which videos are not usable or not whole and why, which are
        there twice.

    Raises:
        UserError: no video can be used, or more than `data.max_bad_share` cannot (all is written nonetheless, so that
            `videos.csv` can be read); a worker died; another run is at it; there is no Dask cluster.
        OSError: a file cannot be written; carries its name.
    """
    videos = read_catalog()
    root = video_root(params.data)
    files = Files(Path(os.path.abspath(root)), videos)  # absolute, to be found by a process that stands elsewhere
    FRAMES.mkdir(parents=True, exist_ok=True)
    for old in (*FRAMES.glob("pack-*.bin"), FRAMES / "index.npy", FRAMES / "videos.csv"):
        old.unlink(missing_ok=True)  # not overwritten: it may be a link into DVC's cache
    key = scratch_key(files, CATALOG.read_bytes(), params.frames, pack_videos(len(videos)))
    with scratch_folder(key) as scratch:
        made = make_packs(plan(files, scratch, params), worker_count(params.runtime.workers), params.runtime.backend)
        each = (video for videos_made in made for video in range(videos_made))
        for _ in progress(each, total=len(videos), what="extract_frames", unit="video"):
            pass
        tally = _hand_over(plan(files, scratch, params), videos)
    return _closing_line(root, videos, tally, find_copies(files), params.data.max_bad_share)


@dataclass(frozen=True)
class Files:
    """The absolute paths of the videos of a catalog, made when asked for: a million take no memory."""

    root: Path
    videos: list[Video]

    def __iter__(self) -> Iterator[Path]:
        return (self.root / video.path for video in self.videos)

    def __getitem__(self, rows: slice) -> list[Path]:
        return [self.root / video.path for video in self.videos[rows]]


def pack_videos(videos: int) -> int:
    """How many of `videos` videos share a pack: 4 to 64, so that few videos still keep many cores busy."""
    return min(64, max(4, videos // 128))


def plan(files: Files, folder: Path, params: Params) -> Iterator[Pack]:
    """The packs to be made in a folder, in the order of the catalog."""
    size, frames = pack_videos(len(files.videos)), params.frames
    for number, first in enumerate(range(0, len(files.videos), size)):
        target, those = folder / f"pack-{number:05d}.bin", files[first : first + size]
        yield Pack(target, those, frames.short_side, frames.jpeg_quality, params.runtime.decode_timeout)


@dataclass
class Tally:
    """What the closing line tells.

    Attributes:
        frames, size: frames stored, and their bytes.
        bad, cut: videos that cannot be used, or not as a whole, each with its reason.
    """

    frames: int = 0
    size: int = 0
    bad: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)

    def add(self, video: Video, one: Outcome) -> None:
        self.frames += len(one.lengths)
        self.size += sum(one.lengths)
        if one.reason:
            (self.cut if one.lengths else self.bad).append(f"{video.path} ({one.reason})")


def _hand_over(packs: Iterator[Pack], videos: list[Video]) -> Tally:
    """Fill `data/frames` from finished packs, one at a time."""
    tally = Tally()
    rows = iter(videos)
    with writing(FRAMES / "index.npy") as index, writing(FRAMES / "videos.csv") as table:
        _write_index_header(index, 0)
        table.write(csv_bytes([COLUMNS]))
        for number, pack in enumerate(packs):
            found = read_sidecar(pack.target)
            lengths = np.concatenate([np.asarray(one.lengths, np.int64) for one in found])
            index.write(np.column_stack([np.full_like(lengths, number), lengths.cumsum() - lengths, lengths]).tobytes())
            for one, video in zip(found, rows, strict=False):
                tally.add(video, one)
                table.write(csv_bytes([_row(video, one)]))
            _link(pack.target, FRAMES / pack.target.name)
        index.seek(0)
        _write_index_header(index, tally.frames)
    return tally


def _write_index_header(index: BinaryIO, frames: int) -> None:
    """NumPy leaves room in it, so that it is as long for many frames as for none."""
    shape = {"descr": "<i8", "fortran_order": False, "shape": (frames, 3)}
    np.lib.format.write_array_header_1_0(index, shape)


def _row(video: Video, one: Outcome) -> tuple[object, ...]:
    return (*astuple(video), len(one.lengths), one.fps, one.width, one.height, one.status, one.reason)


def _link(file: Path, name: Path) -> None:
    """A second name for a file, so that a kill loses neither; a copy where the disks differ."""
    try:
        os.link(file, name)
    except OSError:
        with file.open("rb") as source, writing(name) as target:
            shutil.copyfileobj(source, target)


def _closing_line(
    root: Path, videos: list[Video], tally: Tally, copies: list[tuple[int, int]], max_bad_share: float
) -> str:
    bad = f"{len(tally.bad)} of {len(videos)} videos cannot be used: {some_names(tally.bad)}"
    where = f"{FRAMES}/videos.csv names each with its reason"
    if len(tally.bad) == len(videos):
        raise UserError(f"{root}: {bad}; {where}: nothing is left to work with, so put other videos there")
    if len(tally.bad) > max_bad_share * len(videos):
        raise UserError(
            f"{root}: {bad}; {where}: mend or remove them, or raise data.max_bad_share, "
            f"now {max_bad_share}, in params.yaml"
        )
    size = f"{tally.size / 1e6:,.1f} MB"
    of = counted(len(videos) - len(tally.bad), "video")
    parts = [f"extract_frames: {counted(tally.frames, 'frame')} of {of}, {size}"]
    if tally.bad:
        parts.append(bad)
    if tally.cut:
        parts.append(f"{counted(len(tally.cut), 'video')} used as far as whole: {some_names(tally.cut)}")
    if tally.bad or tally.cut:
        parts.append(where)
    if copies:
        parts.append(_copies(videos, copies))
    return "; ".join(parts)


def _copies(videos: list[Video], copies: list[tuple[int, int]]) -> str:
    across, within = [], []
    for pair in copies:
        first, later = (videos[number] for number in pair)
        if first.split == later.split:
            within.append(f"{later.path} = {first.path}")
        else:
            across.append(f"{later.path} = {first.path} ({later.split}, {first.split})")
    line = f"warning: {counted(len(copies), 'video')} with the same bytes as another: {some_names(across + within)}"
    if across:
        line += f"; {len(across)} of them across train and test, which falsifies scores: take them away"
    return line
