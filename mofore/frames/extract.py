"""Decode each video once into small JPEG frames, and store the frames of many videos in one file, a pack.

`data/frames/` holds
- `pack-00000.bin`, ...: JPEG images without gaps between them; a pack has the frames of 4 to 64 consecutive videos of
  the catalog;
- `index.npy`: int64 [F, 3] for F frames, one row per frame: pack number, byte offset, byte length; sorted by video,
  then by time;
- `videos.csv`: one row per video of the catalog, in the same order, with the outcome of its decoding.

The bytes of a pack depend on its videos only, not on the number of processes. Packs are first made in `.scratch/` (see
packs.py), so a run that was killed resumes where it stopped.
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
        The stage's closing line: how much was stored, which videos cannot be used or only in part and why, and which
        are copies of others.

    Raises:
        UserError: no video can be used, or more than the share `data.max_bad_share` cannot (the outputs are written
            all the same, so that `videos.csv` can be read); a worker died; another run extracts the same videos; the
            Dask cluster is missing.
        OSError: a file cannot be written; the error has its name.
    """
    videos = read_catalog()
    root = video_root(params.data)
    files = Files(Path(os.path.abspath(root)), videos)  # absolute: workers may have another working directory
    FRAMES.mkdir(parents=True, exist_ok=True)
    for old in (*FRAMES.glob("pack-*.bin"), FRAMES / "index.npy", FRAMES / "videos.csv"):
        old.unlink(missing_ok=True)  # removed, not overwritten: it may be a link into DVC's cache
    key = scratch_key(files, CATALOG.read_bytes(), params.frames, videos_per_pack(len(videos)))
    with scratch_folder(key) as scratch:
        made = make_packs(plan(files, scratch, params), worker_count(params.runtime.workers), params.runtime.backend)
        ticks = (tick for n_videos in made for tick in range(n_videos))  # one per video, for the progress bar
        for _ in progress(ticks, total=len(videos), what="extract_frames", unit="video"):
            pass
        tally = _write_outputs(plan(files, scratch, params), videos)
    return _closing_line(root, videos, tally, find_copies(files), params.data.max_bad_share)


@dataclass(frozen=True)
class Files:
    """The absolute paths of the videos of a catalog, made on demand: a list of a million would take much memory."""

    root: Path
    videos: list[Video]

    def __iter__(self) -> Iterator[Path]:
        return (self.root / video.path for video in self.videos)

    def __getitem__(self, rows: slice) -> list[Path]:
        return [self.root / video.path for video in self.videos[rows]]


def videos_per_pack(n_videos: int) -> int:
    """How many of `n_videos` videos go into one pack: 4 to 64. Small packs keep all cores busy with few videos."""
    return min(64, max(4, n_videos // 128))


def plan(files: Files, folder: Path, params: Params) -> Iterator[Pack]:
    """The packs to make in a folder, in the order of the catalog."""
    size, frames = videos_per_pack(len(files.videos)), params.frames
    for number, first in enumerate(range(0, len(files.videos), size)):
        target = folder / f"pack-{number:05d}.bin"
        yield Pack(
            target, files[first : first + size], frames.short_side, frames.jpeg_quality, params.runtime.decode_timeout
        )


@dataclass
class Tally:
    """The counts of the closing line.

    Attributes:
        frames: number of frames stored.
        size: their bytes.
        unusable: videos that cannot be used, each with its reason.
        truncated: videos that can be used in part, each with its reason.
    """

    frames: int = 0
    size: int = 0
    unusable: list[str] = field(default_factory=list)
    truncated: list[str] = field(default_factory=list)

    def add(self, video: Video, outcome: Outcome) -> None:
        self.frames += len(outcome.lengths)
        self.size += sum(outcome.lengths)
        if outcome.reason:
            (self.truncated if outcome.lengths else self.unusable).append(f"{video.path} ({outcome.reason})")


def _write_outputs(packs: Iterator[Pack], videos: list[Video]) -> Tally:
    """Write `data/frames` from the finished packs. One pack at a time, so memory does not grow with their number."""
    tally = Tally()
    rows = iter(videos)
    with writing(FRAMES / "index.npy") as index, writing(FRAMES / "videos.csv") as table:
        _write_index_header(index, 0)
        table.write(csv_bytes([COLUMNS]))
        for number, pack in enumerate(packs):
            outcomes = read_sidecar(pack.target)
            lengths = np.concatenate([np.asarray(outcome.lengths, np.int64) for outcome in outcomes])
            index.write(np.column_stack([np.full_like(lengths, number), lengths.cumsum() - lengths, lengths]).tobytes())
            for outcome, video in zip(outcomes, rows, strict=False):  # outcomes first: zip must not take a row too many
                tally.add(video, outcome)
                table.write(csv_bytes([_row(video, outcome)]))
            _link(pack.target, FRAMES / pack.target.name)
        index.seek(0)
        _write_index_header(index, tally.frames)
    return tally


def _write_index_header(index: BinaryIO, frames: int) -> None:
    """Write the header of `index.npy`. NumPy pads it, so its length does not depend on the number of frames."""
    shape = {"descr": "<i8", "fortran_order": False, "shape": (frames, 3)}
    np.lib.format.write_array_header_1_0(index, shape)


def _row(video: Video, outcome: Outcome) -> tuple[object, ...]:
    """The cells of one row of `videos.csv`, as in COLUMNS."""
    return (
        *astuple(video),
        len(outcome.lengths),
        outcome.fps,
        outcome.width,
        outcome.height,
        outcome.status,
        outcome.reason,
    )


def _link(file: Path, name: Path) -> None:
    """Hard-link a file, or copy it if the disks differ. The original stays, so a killed run can start from it again."""
    try:
        os.link(file, name)
    except OSError:
        with file.open("rb") as source, writing(name) as target:
            shutil.copyfileobj(source, target)


def _closing_line(
    root: Path, videos: list[Video], tally: Tally, copies: list[tuple[int, int]], max_bad_share: float
) -> str:
    unusable = f"{len(tally.unusable)} of {len(videos)} videos cannot be used: {some_names(tally.unusable)}"
    where = f"{FRAMES}/videos.csv names each with its reason"
    if len(tally.unusable) == len(videos):
        raise UserError(f"{root}: {unusable}; {where}: put other videos there")
    if len(tally.unusable) > max_bad_share * len(videos):
        raise UserError(
            f"{root}: {unusable}; {where}: repair or remove them, or raise data.max_bad_share, "
            f"now {max_bad_share}, in params.yaml"
        )
    usable = counted(len(videos) - len(tally.unusable), "video")
    parts = [f"extract_frames: {counted(tally.frames, 'frame')} of {usable}, {tally.size / 1e6:,.1f} MB"]
    if tally.unusable:
        parts.append(unusable)
    if tally.truncated:
        parts.append(f"{counted(len(tally.truncated), 'video')} used in part: {some_names(tally.truncated)}")
    if tally.unusable or tally.truncated:
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
        line += f"; {len(across)} of them across train and test, which makes scores too high: remove them"
    return line
