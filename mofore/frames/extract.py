"""Decode each video once into small JPEG frames, and store the frames of many videos in one file, a pack.

`data/frames/packs/` holds
- `pack-00000.bin`, ...: JPEG images without gaps between them; a pack has the frames of 4 to 64 consecutive videos of
  the list `data/raw/files.csv`;
- `index.npy`: int64 [F, 3] for F frames, one row per frame: pack number, byte offset, byte length; sorted by video,
  then by time;
- `outcomes.csv`: one row per listed video, in the same order, with the outcome of its decoding.

All this depends on the videos and on the section `frames` of the parameters, not on labels, groups and splits, which
the stage manifest joins later (see manifest.py). The bytes of a pack do not depend on the number of processes. Packs
are first made in `.scratch/` (see packs.py), so a run that was killed resumes where it stopped.
"""

import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mofore.catalog import PACKS, csv_bytes, read_video_list, video_root
from mofore.config import Params
from mofore.errors import UserError
from mofore.frames.outcome import SIMILAR_FPS, Outcome
from mofore.frames.packs import Pack, read_sidecar, scratch_folder, scratch_key
from mofore.frames.parallel import make_packs
from mofore.utils.files import writing
from mofore.utils.progress import progress
from mofore.utils.text import counted, some_names
from mofore.utils.workers import worker_count

COLUMNS = ["video", "frames", "fps", "width", "height", "status", "reason"]  # of outcomes.csv


def extract_frames(params: Params) -> str:
    """Write `data/frames/packs` from the listed videos.

    Returns:
        The stage's closing line: how much was stored, which videos cannot be used or only in part and why, and whether
        their frame rates differ.

    Raises:
        UserError: no video can be used, or more than the share `data.max_bad_share` cannot (the outputs are written
            all the same, so that `outcomes.csv` can be read); a worker died; the Dask cluster is missing.
        OSError: a file cannot be written; the error has its name.
    """
    paths = [file.path for file in read_video_list()]
    root = video_root(params.data)
    files = Files(Path(os.path.abspath(root)), paths)  # absolute: workers may have another working directory
    PACKS.mkdir(parents=True, exist_ok=True)
    for old in (*PACKS.glob("pack-*.bin"), *PACKS.glob("*.npy"), *PACKS.glob("*.csv")):
        old.unlink()  # removed, not overwritten: it may be a link into DVC's cache
    key = scratch_key(files, params.frames, videos_per_pack(len(paths)))
    with scratch_folder(key) as scratch:
        made = make_packs(plan(files, scratch, params), worker_count(params.runtime.workers), params.runtime.backend)
        ticks = (tick for n_videos in made for tick in range(n_videos))  # one per video, for the progress bar
        for _ in progress(ticks, total=len(paths), what="extract_frames", unit="video"):
            pass
        tally = _write_outputs(plan(files, scratch, params), paths)
    return _closing_line(root, len(paths), tally, params.data.max_bad_share)


@dataclass(frozen=True)
class Files:
    """The absolute paths of the listed videos, made on demand: a list of a million would take much memory."""

    root: Path
    paths: list[str]

    def __iter__(self) -> Iterator[Path]:
        return (self.root / path for path in self.paths)

    def __getitem__(self, rows: slice) -> list[Path]:
        return [self.root / path for path in self.paths[rows]]


def videos_per_pack(n_videos: int) -> int:
    """How many of `n_videos` videos go into one pack: 4 to 64. Small packs keep all cores busy with few videos."""
    return min(64, max(4, n_videos // 64))


def plan(files: Files, folder: Path, params: Params) -> Iterator[Pack]:
    """The packs to make in a folder, in the order of the list."""
    size = videos_per_pack(len(files.paths))
    for number, first in enumerate(range(0, len(files.paths), size)):
        target = folder / f"pack-{number:05d}.bin"
        yield Pack(target, files[first : first + size], params.frames, params.runtime.decode_timeout)


@dataclass
class Tally:
    """The counts of the closing line.

    Attributes:
        frames: number of frames stored.
        size: their bytes.
        unusable: videos that cannot be used, each with its reason.
        truncated: videos that can be used in part, each with its reason.
        slowest, fastest: lowest and highest frame rate of the usable videos, where it is known.
    """

    frames: int = 0
    size: int = 0
    unusable: list[str] = field(default_factory=list)
    truncated: list[str] = field(default_factory=list)
    slowest: float = math.inf
    fastest: float = 0.0

    def add(self, path: str, outcome: Outcome) -> None:
        self.frames += len(outcome.lengths)
        self.size += sum(outcome.lengths)
        if outcome.reason:
            (self.truncated if outcome.lengths else self.unusable).append(f"{path} ({outcome.reason})")
        if outcome.fps:
            self.slowest, self.fastest = min(self.slowest, outcome.fps), max(self.fastest, outcome.fps)


def _write_outputs(packs: Iterator[Pack], paths: list[str]) -> Tally:
    """Write PACKS from the finished packs. One pack at a time, so memory does not grow with their number."""
    tally = Tally()
    rows = iter(paths)
    with writing(PACKS / "index.npy") as index, writing(PACKS / "outcomes.csv") as table:
        _write_index_header(index, 0)
        table.write(csv_bytes([COLUMNS]))
        for number, pack in enumerate(packs):
            outcomes = read_sidecar(pack.target)
            lengths = np.concatenate([np.asarray(outcome.lengths, np.int64) for outcome in outcomes])
            index.write(np.column_stack([np.full_like(lengths, number), lengths.cumsum() - lengths, lengths]).tobytes())
            for outcome, path in zip(outcomes, rows, strict=False):  # outcomes first: zip must not take a row too many
                tally.add(path, outcome)
                size = outcome.width, outcome.height
                row = (path, len(outcome.lengths), outcome.fps, *size, outcome.status, outcome.reason or outcome.note)
                table.write(csv_bytes([row]))
            _link(pack.target, PACKS / pack.target.name)
        index.seek(0)
        _write_index_header(index, tally.frames)
    return tally


def _write_index_header(index: BinaryIO, frames: int) -> None:
    """Write the header of `index.npy`. NumPy pads it, so its length does not depend on the number of frames."""
    shape = {"descr": "<i8", "fortran_order": False, "shape": (frames, 3)}
    np.lib.format.write_array_header_1_0(index, shape)


def _link(file: Path, name: Path) -> None:
    """Hard-link a file, or copy it if the disks differ. The original stays, so a killed run can start from it again."""
    try:
        os.link(file, name)
    except OSError:
        with file.open("rb") as source, writing(name) as target:
            shutil.copyfileobj(source, target)


def _closing_line(root: Path, n_videos: int, tally: Tally, max_bad_share: float) -> str:
    unusable = f"{len(tally.unusable)} of {n_videos} videos cannot be used: {some_names(tally.unusable)}"
    where = f"{PACKS}/outcomes.csv names each with its reason"
    if len(tally.unusable) == n_videos:
        raise UserError(f"{root}: {unusable}; {where}: put other videos there")
    if len(tally.unusable) > max_bad_share * n_videos:
        raise UserError(
            f"{root}: {unusable}; {where}: repair or remove them, or raise data.max_bad_share, "
            f"now {max_bad_share}, in params.yaml"
        )
    usable = counted(n_videos - len(tally.unusable), "video")
    parts = [f"extract_frames: {counted(tally.frames, 'frame')} of {usable}, {tally.size / 1e6:,.1f} MB"]
    if tally.unusable:
        parts.append(unusable)
    if tally.truncated:
        parts.append(f"{counted(len(tally.truncated), 'video')} used in part: {some_names(tally.truncated)}")
    if tally.unusable or tally.truncated:
        parts.append(where)
    if tally.fastest > SIMILAR_FPS * tally.slowest:
        parts.append(
            f"warning: frame rates differ, {tally.slowest:g} to {tally.fastest:g} per second, so clips and gaps of the "
            "same number of frames last differently: set frames.fps to resample"
        )
    return "; ".join(parts)
